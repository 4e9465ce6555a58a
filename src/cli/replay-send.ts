/** Pace and window of a replay: rows go out when their own time says so, many under way, none forgotten. */
import type { Clock } from '../ops/clock.ts'
import { delay } from '../ops/clock.ts'
import { errorText } from '../core/errors.ts'
import { Failure } from './io.ts'
import type { Publisher } from './publisher.ts'

/** Messages sent and not yet acknowledged, at most. */
export const WINDOW = 64
/** So long without any acknowledgement while some are owed, and the replay is given up, ms. */
const STALL_MS = 30_000
/** Longest single wait; timers of the platform end at 2^31 ms. */
const WAIT_MS = 86_400_000

export interface Outgoing {
  /** Of the row, by its own clock, ms. */
  readonly time: number
  /** What to send at the moment `now`, ms since epoch. */
  readonly payload: (now: number) => string
}

export interface Progress {
  readonly sent: number
  readonly acked: number
}

export interface SendOptions {
  readonly publisher: Publisher
  readonly topic: string
  readonly clock: Clock
  /** How many times as fast as the rows' own time; 0: as fast as they are taken. */
  readonly speed: number
  /** Hears of each row sent. */
  readonly onProgress: (progress: Progress) => void
}

/** Sends all and waits for every acknowledgement. Throws a Failure that says how far it came when the broker stops answering. */
export async function sendAll(rows: AsyncIterable<Outgoing>, options: SendOptions): Promise<Progress> {
  const { publisher, topic, clock } = options
  const window = makeWindow(clock)
  const pace = makePace(clock, options.speed)
  let sent = 0
  const progress = () => ({ sent, acked: window.acked() })
  try {
    for await (const row of rows) {
      await pace(row.time)
      await window.room()
      window.add(publisher.publish(topic, row.payload(Math.round(clock.now()))))
      sent++
      options.onProgress(progress())
    }
    await window.empty()
  } catch (error) {
    if (error instanceof Failure) throw new Failure(`${error.message}; ${sent} sent, ${window.acked()} acknowledged`, { cause: error })
    throw error
  }
  return progress()
}

/** Resolves when a row of time `time` is due. The first row is due at once, and so is one whose time goes back. */
function makePace(clock: Clock, speed: number): (time: number) => Promise<void> {
  let first: { readonly time: number; readonly at: number } | null = null
  return async (time) => {
    if (speed === 0) return
    first ??= { time, at: clock.monotonic() }
    const due = first.at + (time - first.time) / speed
    for (let left = due - clock.monotonic(); left > 0; left = due - clock.monotonic()) await delay(clock, Math.min(left, WAIT_MS))
  }
}

function makeWindow(clock: Clock) {
  const state = { inFlight: 0, acked: 0, failure: null as Failure | null, wake: () => {} }

  /** Resolves with the next answer of the broker, or fails the window when there is none for `STALL_MS`. */
  async function answer(): Promise<void> {
    const answered = new AbortController()
    let isStalled = true
    state.wake = () => {
      isStalled = false
      answered.abort()
    }
    await delay(clock, STALL_MS, answered.signal)
    if (isStalled) state.failure ??= new Failure(`no acknowledgement for ${STALL_MS / 1000} s: is Picket still running, and its disk not full?`)
  }

  /** Waits until at most `most` are under way. */
  async function until(most: number): Promise<void> {
    while (state.inFlight > most && !state.failure) await answer()
    if (state.failure) throw state.failure
  }

  return {
    acked: () => state.acked,
    add(sent: Promise<void>) {
      state.inFlight++
      sent.then(
        () => {
          state.inFlight--
          state.acked++
          state.wake()
        },
        (error: unknown) => {
          state.failure ??= new Failure(`the broker did not take a message: ${errorText(error)}`, { cause: error })
          state.wake()
        },
      )
    },
    room: () => until(WINDOW - 1),
    empty: () => until(0),
  }
}
