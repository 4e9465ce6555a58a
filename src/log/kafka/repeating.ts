/** How a request that writes is asked again: as it was, after a growing pause, until an answer is final or the time is over. */
import { delay } from '../../ops/clock.ts'
import type { Clock } from '../../ops/clock.ts'
import type { Random } from '../../ops/random.ts'
import { protocolError } from './trouble.ts'

const FIRST_PAUSE_MS = 25
const LONGEST_PAUSE_MS = 500
/** The end of the transaction before takes some milliseconds. */
const SHORTEST_WAIT_MS = 5
const LONGEST_WAIT_MS = 20

export interface Term {
  readonly clock: Clock
  readonly random: Random
  /** Ends the asking; what was met last is thrown. */
  readonly signal: AbortSignal
  /** `Clock.monotonic` after which it is not asked again, ms. */
  readonly deadline: number
}

export interface Request<T> {
  /** `isFirst` is false when the same was asked before, and failed. */
  readonly attempt: (isFirst: boolean) => Promise<T>
  /** True when asking again can't change it. */
  readonly isFinal: (error: unknown) => boolean
  /** Told of each failure after which it is asked again. */
  readonly again?: ((error: unknown) => void) | undefined
}

/** True for a coordinator's "not yet": it is still ending the transaction before, and nothing is wrong. */
export function isBusy(error: unknown): boolean {
  return protocolError(error) === 'CONCURRENT_TRANSACTIONS'
}

/** Asks once at least. Rejects with what the last attempt rejected with. */
export async function repeat<T>({ attempt, isFinal, again }: Request<T>, { clock, random, signal, deadline }: Term): Promise<T> {
  let pause = FIRST_PAUSE_MS
  let wait = SHORTEST_WAIT_MS
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await attempt(isFirst)
    } catch (error) {
      if (isFinal(error) || signal.aborted || clock.monotonic() >= deadline) throw error
      again?.(error)
      if (isBusy(error)) {
        await delay(clock, wait, signal)
        wait = Math.min(wait * 2, LONGEST_WAIT_MS)
      } else {
        // Spread, so that the lanes of a broker that comes back do not ask all at once.
        await delay(clock, pause * (0.75 + random.fraction() / 2), signal)
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
      }
    }
  }
}
