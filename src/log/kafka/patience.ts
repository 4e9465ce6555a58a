/** How long the Kafka log asks again before it says that nobody answers, and how it waits between. */
import { isPipelineError, PipelineError } from '../../core/errors.ts'
import { delay } from '../../ops/clock.ts'
import type { Client } from './client.ts'
import { trouble } from './trouble.ts'
import type { Access } from './trouble.ts'

/** Without any answer for so long, UNAVAILABLE: an election takes 9 s, a broker that restarts some 20. */
export const PATIENCE_MS = 30_000
export const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1_000
/** kafkajs's own timer does not see every request: none on a connection that it is about to leave. */
const LAST_RESORT_MS = 20_000

/** The next pause, doubled up to a second. */
export function longer(pauseMs: number): number {
  return Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
}

/** Half of `pauseMs` to all of it, so that many that lost one broker don't come back at once. */
export function jittered(client: Client, pauseMs: number): number {
  return pauseMs * (0.5 + client.options.random.fraction() / 2)
}

export interface Asking {
  readonly client: Client
  readonly doing: string
  readonly access: Access
  readonly signal: AbortSignal
  /** Before each try but the first: such as asking who leads now. What it throws counts as the try's. */
  readonly again: () => Promise<void>
  /** Thrown in place of the next try once this is true. */
  readonly isClosed: () => boolean
}

/** Tries until there is an answer; null once `signal` aborts. Throws UNAVAILABLE when patience is over, CLOSED, or what doesn't pass. */
export async function insist<T>(ask: () => Promise<T>, asking: Asking): Promise<T | null> {
  const { client, signal } = asking
  const { clock } = client.options
  const started = clock.monotonic()
  let pause = 0
  for (;;) {
    if (asking.isClosed()) throw new PipelineError('CLOSED', `${asking.doing}: the log was closed`)
    try {
      return await orAborted(inTime(client, pause === 0 ? ask() : asking.again().then(ask)), signal)
    } catch (error) {
      if (asking.isClosed()) continue
      const met = trouble(error, asking)
      if (!isPipelineError(met) || !met.retriable || clock.monotonic() - started > PATIENCE_MS) throw met
    }
    pause = pause === 0 ? FIRST_PAUSE_MS : longer(pause)
    await delay(clock, jittered(client, pause), signal)
    if (signal.aborted) return null
  }
}

/** What `answer` gives; after 20 s it rejects, and all connections of `client` are cut, so that nothing waits on a dead one for ever. */
export function inTime<T>(client: Client, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = client.options.clock.after(LAST_RESORT_MS, () => {
      reject(new PipelineError('UNAVAILABLE', `Kafka at ${client.brokers} has not answered for ${LAST_RESORT_MS / 1000} s`))
      client.end()
    })
    answer.then(resolve, reject).finally(cancel)
  })
}

/** What `promise` gives, or null once `signal` aborts: then nobody looks at `promise` any more. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const abort = () => resolve(null)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    const done = () => signal.removeEventListener('abort', abort)
    promise.then(resolve, reject).finally(done)
  })
}
