/** How everything reads the Kafka log: feeds that go on from an offset, and whole partitions to their end; always read-committed. */
import { PipelineError } from '../../core/errors.ts'
import type { Bounds, Slice, StoredRecord, Topic } from '../log.ts'
import { leaderOf, openClient, sendRaw } from './client.ts'
import type { Client, Cluster } from './client.ts'
import { PartitionFeed } from './feed.ts'
import { brokerOf, Fetching } from './fetching.ts'
import { topicName } from './names.ts'
import type { KafkaOptions } from './options.ts'
import { insist, PATIENCE_MS } from './patience.ts'
import type { Asking } from './patience.ts'
import { BrokerError, fetchRequest } from './protocol.ts'
import type { FetchedPartition } from './protocol.ts'
import { decodeBatches } from './record-batch.ts'
import { protocolError } from './trouble.ts'

/** One reader of one partition. */
export interface Feed {
  /**
   * Waits until there is something and gives it; null once `signal` aborts, or when nothing is left below the offset `before`.
   * One call at a time. At most `limit` records.
   * `Slice.lost` counts exactly what retention took between where the feed stood and the first record.
   * Throws RECREATED when the feed stands past the end; UNAVAILABLE after 30 s without an answer, also of a topic that is gone: after
   * these the same call may be made again. UNAUTHORIZED, BAD_CONFIG, BAD_RECORD, CLOSED are stops.
   */
  next(signal: AbortSignal, limit?: number, before?: number): Promise<Slice | null>
  close(): void
}

export interface Feeds {
  /** Reads from `from` on; null: from the oldest kept, of which nothing is lost. Nothing is fetched before `next` is called. */
  open(topic: Topic, partition: number, from: number | null): Feed
  /** [low, high), high by the high watermark: what is in open transactions counts. Throws as `Feed.next`. */
  bounds(topic: Topic, partition: number): Promise<Bounds>
  /**
   * Gives each committed record from the oldest kept to the high watermark as of the call, tombstones too, in order, and resolves
   * early when `signal` aborts. Throws UNAVAILABLE when a transaction stays open below that end for 30 s, and as `Feed.next`.
   */
  readAll(topic: Topic, partition: number, each: (record: StoredRecord) => void, signal: AbortSignal): Promise<void>
  /** What is under way rejects with CLOSED. */
  close(): Promise<void>
}

const WHOLE_BYTES = 8 * 1024 * 1024
/** So long the broker waits for the end of an open transaction before it is asked again. */
const WHOLE_WAIT_MS = 100
const OLDEST = -2
const NEWEST = -1
/** Of the high watermark: what is in open transactions counts. */
const READ_UNCOMMITTED = 0
const CONSUMER = -1

/** Connects when first asked. */
export function openFeeds(options: KafkaOptions): Feeds {
  // It asks again by itself, by the clock and with whoever leads then.
  return new KafkaFeeds(openClient(options, 'fetch', { retry: { retries: 0 } }))
}

class KafkaFeeds implements Feeds {
  readonly #client: Client
  readonly #fetching: Fetching
  /** For whole partitions: their large answers must not keep the feeds waiting. */
  readonly #bulk: Cluster
  readonly #open = new Set<PartitionFeed>()
  readonly #never = new AbortController().signal
  #isClosed = false

  constructor(client: Client) {
    this.#client = client
    this.#fetching = new Fetching(client)
    this.#bulk = client.cluster()
  }

  open(topic: Topic, partition: number, from: number | null): Feed {
    this.#mustBeOpen()
    const feed = new PartitionFeed({
      client: this.#client,
      fetching: this.#fetching,
      topic,
      partition,
      from,
      bounds: (signal) => this.#bounds(topic, partition, signal),
    })
    this.#open.add(feed)
    return {
      next: (signal, limit, before) => feed.next(signal, limit, before),
      close: () => {
        this.#open.delete(feed)
        feed.close()
      },
    }
  }

  async bounds(topic: Topic, partition: number): Promise<Bounds> {
    this.#mustBeOpen()
    return (await this.#bounds(topic, partition, this.#never))!
  }

  async readAll(topic: Topic, partition: number, each: (record: StoredRecord) => void, signal: AbortSignal): Promise<void> {
    this.#mustBeOpen()
    const bounds = await this.#bounds(topic, partition, signal)
    if (!bounds) return
    let next = bounds.low
    let moved = this.#now()
    while (next < bounds.high && !signal.aborted) {
      const part = await this.#part(topic, partition, next, signal)
      if (!part) return
      if (part === 'out of range') {
        next = await this.#afterTheGap(topic, partition, next, signal)
        continue
      }
      const decoded = await decodeBatches(part.batches, next, part.aborted)
      for (const record of decoded.records) each(record)
      // What is left up to there was compacted away.
      const isEnd = decoded.next === next && part.lastStableOffset >= bounds.high
      if (isEnd) return
      if (decoded.next > next) moved = this.#now()
      else if (this.#now() - moved > PATIENCE_MS) throw this.#openTransaction(topic, partition, part, bounds)
      next = decoded.next
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const feed of this.#open) feed.close()
    this.#open.clear()
    await this.#fetching.close()
    await this.#bulk.disconnect()
  }

  #bounds(topic: Topic, partition: number, signal: AbortSignal): Promise<Bounds | null> {
    const name = topicName(this.#client.options.prefix, topic)
    return insist(async () => {
      await this.#fetching.know(name)
      const broker = await brokerOf(this.#fetching.cluster, leaderOf(this.#fetching.cluster, name, partition))
      const offsetOf = async (timestamp: number) => {
        const topics = [{ topic: name, partitions: [{ partition, timestamp }] }]
        const { responses } = await broker.listOffsets({ replicaId: CONSUMER, isolationLevel: READ_UNCOMMITTED, topics })
        return Number(responses[0]?.partitions[0]?.offset)
      }
      const [low, high] = await Promise.all([offsetOf(OLDEST), offsetOf(NEWEST)])
      return { low, high }
    }, this.#asking(topic, partition, signal))
  }

  /** One fetch of the bulk lane; null once `signal` aborts. */
  #part(topic: Topic, partition: number, offset: number, signal: AbortSignal): Promise<FetchedPartition | 'out of range' | null> {
    const name = topicName(this.#client.options.prefix, topic)
    return insist(async () => {
      const broker = await brokerOf(this.#bulk, leaderOf(this.#fetching.cluster, name, partition))
      const place = { topic: name, partition, offset, maxBytes: WHOLE_BYTES }
      const [part] = await sendRaw(broker, fetchRequest([place], { maxWaitMs: WHOLE_WAIT_MS, maxBytes: WHOLE_BYTES }))
      if (!part) throw new BrokerError(-1)
      if (part.errorCode === 0) return part
      const error = new BrokerError(part.errorCode)
      if (protocolError(error) === 'OFFSET_OUT_OF_RANGE') return 'out of range'
      throw error
    }, this.#asking(topic, partition, signal))
  }

  async #afterTheGap(topic: Topic, partition: number, next: number, signal: AbortSignal): Promise<number> {
    const now = await this.#bounds(topic, partition, signal)
    if (now && now.high < next) {
      const text = `${topic}/${partition} ends at ${now.high} and was read up to ${next}: it was made anew meanwhile`
      throw new PipelineError('RECREATED', text)
    }
    return Math.max(next, now?.low ?? next)
  }

  #asking(topic: Topic, partition: number, signal: AbortSignal): Asking {
    const name = topicName(this.#client.options.prefix, topic)
    return {
      client: this.#client,
      doing: `reading ${name}/${partition}`,
      access: { operation: 'Read', resource: 'topic', name },
      signal,
      again: async () => {
        await this.#fetching.know(name)
        await this.#fetching.refresh()
      },
      isClosed: () => this.#isClosed,
    }
  }

  #openTransaction(topic: Topic, partition: number, part: FetchedPartition, { high }: Bounds): PipelineError {
    const name = topicName(this.#client.options.prefix, topic)
    return new PipelineError(
      'UNAVAILABLE',
      `reading ${name}/${partition} to ${high}: a transaction has been open at ${part.lastStableOffset} for ${PATIENCE_MS / 1000} s; ` +
        `kafka-transactions.sh find-hanging tells whose it is`,
    )
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new PipelineError('CLOSED', 'the log was closed')
  }

  #now(): number {
    return this.#client.options.clock.monotonic()
  }
}
