/** What ends a demonstration before its time: a signal, or an error that Picket can't go on after. */
import { errorText } from '../../core/errors.ts'
import type { CliIo } from '../io.ts'

/** Ctrl-C under npm comes twice at once: from the terminal, and passed on by npm. Within this of the first, ms, the second is its echo. */
const ECHO_MS = 500
const EXIT = { SIGINT: 130, SIGTERM: 143 } as const

export interface Ending {
  /** Aborts when the end is asked for. */
  readonly signal: AbortSignal
  /** By a signal. */
  readonly signalled: boolean
  /** null: by none. */
  readonly error: string | null
  readonly fail: (error: unknown) => void
}

/** The first signal asks for the end, a second one ends the process at once, after `cleanUp`; so does what nobody caught. */
export function endingOf({ host, clock, stderr }: Pick<CliIo, 'host' | 'clock' | 'stderr'>, cleanUp: () => void): Ending {
  const abort = new AbortController()
  const state = { signalledAt: null as number | null, error: null as string | null }
  host.onSignal((signal) => {
    const at = clock.monotonic()
    if (state.signalledAt === null) {
      state.signalledAt = at
      abort.abort()
    } else if (at - state.signalledAt >= ECHO_MS) {
      cleanUp()
      host.exit(EXIT[signal])
    }
  })
  host.onUncaught((error) => {
    stderr.write(`picket: uncaught error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    cleanUp()
    host.exit(1)
  })
  return {
    signal: abort.signal,
    get signalled() {
      return state.signalledAt !== null
    },
    get error() {
      return state.error
    },
    fail(error) {
      state.error ??= errorText(error)
      abort.abort()
    },
  }
}
