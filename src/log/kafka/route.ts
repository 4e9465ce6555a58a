/** A way to the brokers for requests that write: a connection to each broker, given up whole when one of them stays silent. */
import { errorText, PipelineError } from '../../core/errors.ts'
import { delay } from '../../ops/clock.ts'
import type { Broker, Client, Cluster } from './client.ts'
import { leaderOf, openClient } from './client.ts'
import type { KafkaOptions } from './options.ts'

/** Beyond the answer's time, for finding the broker and for what kafkajs fails to notice. */
const LAST_RESORT_MS = 3_000
/** An orderly goodbye waits for answers; a silent broker gives none. */
const GOODBYE_MS = 1_000

export interface Find {
  /** Kafka's name of the topic whose leaders have to be known; none but those written to, as the credentials may allow no other. */
  readonly topic?: string
  readonly broker: (cluster: Cluster) => Promise<Broker>
}

export interface RouteOptions {
  readonly options: KafkaOptions
  /** For the client id: `append-0`. */
  readonly purpose: string
  /** An answer may take so long, ms; then the connection is cut. */
  readonly attemptMs: number
}

/** What of kafkajs is in use, until one of its requests stays without an answer. */
interface Open {
  readonly client: Client
  readonly cluster: Cluster
}

/**
 * A broker serves one request a connection at a time, so what must not wait for each other takes different routes.
 * kafkajs's timers do not see every request (none on a connection that it is about to leave): what stays without an answer for longer
 * than they should allow ends the whole client, and a new one is opened.
 */
export class Route {
  readonly #options: RouteOptions
  #open: Open
  #closed = false

  constructor(options: RouteOptions) {
    this.#options = options
    this.#open = this.#reopen()
  }

  /** The one in use; for `trouble`. */
  get client(): Client {
    return this.#open.client
  }

  /** Rejects with kafkajs's errors, and with UNAVAILABLE when no answer came in time. */
  async ask<T>(find: Find, request: (broker: Broker) => Promise<T>): Promise<T> {
    if (this.#closed) throw new PipelineError('CLOSED', 'the Kafka log was closed')
    const open = this.#open
    return this.#inTime(open, async () => {
      if (!open.cluster.isConnected()) await open.cluster.connect()
      if (open.cluster.getNodeIds().length === 0) await open.cluster.refreshMetadata()
      if (find.topic !== undefined) await open.cluster.addMultipleTargetTopics([find.topic])
      return request(await find.broker(open.cluster))
    })
  }

  /** Asks for the leaders anew. What goes wrong here shows in the next request: one leader that is missing is no reason to ask none. */
  async refresh(): Promise<void> {
    if (this.#closed) return
    const open = this.#open
    try {
      await this.#inTime(open, async () => {
        if (!open.cluster.isConnected()) await open.cluster.connect()
        await open.cluster.refreshMetadata()
      })
    } catch (error) {
      this.#debug(error, 'asking the brokers for the leaders failed')
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const { client, cluster } = this.#open
    const waited = new AbortController()
    const disconnected = cluster.disconnect().catch((error: unknown) => this.#debug(error, 'taking leave of the brokers failed'))
    await Promise.race([disconnected, delay(this.#options.options.clock, GOODBYE_MS, waited.signal)])
    waited.abort()
    client.end()
  }

  async #inTime<T>(open: Open, work: () => Promise<T>): Promise<T> {
    const { clock } = this.#options.options
    const mostMs = this.#options.attemptMs + LAST_RESORT_MS
    return new Promise((resolve, reject) => {
      const cancel = clock.after(mostMs, () => {
        this.#giveUp(open)
        reject(new PipelineError('UNAVAILABLE', `no answer in ${mostMs} ms`))
      })
      const settle = () => {
        cancel()
        // What kafkajs connected after it was given up would stay open.
        if (open !== this.#open || this.#closed) open.client.end()
      }
      work().finally(settle).then(resolve, reject)
    })
  }

  /** Everything under way on it rejects, and is asked again on the next. */
  #giveUp(open: Open): void {
    if (open === this.#open && !this.#closed) this.#open = this.#reopen()
    open.client.end()
  }

  #debug(error: unknown, message: string): void {
    this.#options.options.logger.debug({ purpose: this.#options.purpose, error: errorText(error) }, message)
  }

  #reopen(): Open {
    const { options, purpose, attemptMs } = this.#options
    // kafkajs's own retries have no bound in time: ours have.
    const client = openClient(options, purpose, { retry: { retries: 0 }, requestTimeoutMs: attemptMs })
    return { client, cluster: client.cluster() }
  }
}

/** The leader of a partition, as of the last metadata. */
export function toLeader(topic: string, partition: number): Find {
  return { topic, broker: (cluster) => cluster.findBroker({ nodeId: leaderOf(cluster, topic, partition) }) }
}
