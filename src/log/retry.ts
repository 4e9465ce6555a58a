/** Again after a pause: what `consume` and `lead` do, in every adapter, when a takeover or the work after it meets something passing. */
import { isPipelineError } from '../core/errors.ts'
import type { PipelineError } from '../core/errors.ts'
import type { Clock } from '../ops/clock.ts'
import { delay } from '../ops/clock.ts'

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 5_000

export interface RetryOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Told of each passing error before the pause; not of the fencing that a stop itself brings. */
  readonly passing?: (error: PipelineError, pauseMs: number) => void
}

/** To be called by the work when it got somewhere, such as to a commit: what it meets after that is no reason to wait for long. */
export type Progress = () => void

/**
 * Runs `work` over and over until `signal` aborts, with a pause between that doubles up to 5 s and starts small again after work that
 * made progress or lasted longer than that. Throws what isn't retriable.
 */
export async function untilStopped(work: (progress: Progress) => Promise<void>, options: RetryOptions): Promise<void> {
  const { clock, signal, passing } = options
  let pause = FIRST_PAUSE_MS
  const progress = () => {
    pause = FIRST_PAUSE_MS
  }
  while (!signal.aborted) {
    const started = clock.monotonic()
    let met: PipelineError | undefined
    try {
      await work(progress)
    } catch (error) {
      if (!isPipelineError(error) || !error.retriable) throw error
      met = error
    }
    if (clock.monotonic() - started > LONGEST_PAUSE_MS) pause = FIRST_PAUSE_MS
    const isStop = signal.aborted && met?.code === 'FENCED'
    if (met && !isStop) passing?.(met, pause)
    if (signal.aborted) return
    await delay(clock, pause, signal)
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
  }
}
