/** A prefix of its own on a real Kafka: its topics, who writes there by kafkajs, and how a feed is read. */
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import type { Admin, CompressionTypes, ITopicConfig, Transaction } from 'kafkajs'
import { vi } from 'vitest'
import { registerCodecs } from '../../../src/log/kafka/codecs.ts'
import type { Feed } from '../../../src/log/kafka/feeds.ts'
import { topicName } from '../../../src/log/kafka/names.ts'
import type { KafkaOptions } from '../../../src/log/kafka/options.ts'
import type { Slice, StoredRecord, Topic } from '../../../src/log/log.ts'
import type { Clock } from '../../../src/ops/clock.ts'
import { systemClock } from '../../../src/ops/clock.ts'
import { Lines } from '../journal/rig.ts'
import { Counts } from '../../detect/fleet.ts'

export function optionsFor(brokers: readonly string[], more: Partial<KafkaOptions> = {}): KafkaOptions {
  return {
    clock: systemClock,
    random: { id: () => randomBytes(12).toString('hex'), fraction: () => 0.5 },
    logger: new Lines(),
    metrics: new Counts(),
    brokers,
    prefix: `t${randomBytes(4).toString('hex')}.`,
    name: 'test',
    partitions: 1,
    key: '{device}',
    replication: 1,
    minInSync: 1,
    compression: 'none',
    tls: null,
    sasl: null,
    retention: { bytes: null, ageMs: null },
    ...more,
  }
}

/** Runs as fast again by `times` as the system's own monotonic clock; pauses are as long. */
export function hastyClock(times: number): Clock {
  return { ...systemClock, monotonic: () => systemClock.monotonic() * times }
}

export interface Message {
  readonly key?: string
  readonly value: string | null
}

interface Writing {
  readonly partition?: number
  readonly compression?: CompressionTypes
}

interface Making {
  readonly settings?: Readonly<Record<string, string>>
  readonly partitions?: number
}

/** To be closed: it deletes what it made. */
export class ReadingRig {
  readonly options: KafkaOptions
  readonly #kafka: Kafka
  readonly admin: Admin
  readonly #ends: (() => Promise<void>)[] = []

  private constructor(options: KafkaOptions) {
    this.options = options
    registerCodecs()
    const retry = { initialRetryTime: 20, maxRetryTime: 1_000, retries: 40 }
    this.#kafka = new Kafka({ clientId: 'rig', brokers: [...options.brokers], logLevel: logLevel.NOTHING, retry })
    this.admin = this.#kafka.admin()
  }

  static async open(brokers: readonly string[], more: Partial<KafkaOptions> = {}): Promise<ReadingRig> {
    const rig = new ReadingRig(optionsFor(brokers, more))
    await rig.admin.connect()
    return rig
  }

  name(topic: Topic): string {
    return topicName(this.options.prefix, topic)
  }

  /** Closed, last first, before the topics are deleted. */
  onClose(end: () => Promise<void>): void {
    this.#ends.unshift(end)
  }

  async make(topic: Topic, { settings = {}, partitions = 1 }: Making = {}): Promise<void> {
    const made: ITopicConfig = {
      topic: this.name(topic),
      numPartitions: partitions,
      replicationFactor: this.options.replication,
      configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
    }
    // With `waitForLeaders` kafkajs throws when a broker does not know of it yet.
    await this.admin.createTopics({ waitForLeaders: false, topics: [made] })
    await vi.waitFor(() => this.admin.fetchTopicMetadata({ topics: [made.topic] }), { timeout: 30_000 })
  }

  /** One batch. */
  async write(topic: Topic, messages: readonly (string | Message)[], how: Writing = {}): Promise<void> {
    const { partition = 0, compression = 0 } = how
    const producer = this.#kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
    await producer.connect()
    await producer.send({ topic: this.name(topic), compression, messages: messages.map((message) => asMessage(message, partition)) })
    await producer.disconnect()
  }

  /** What `work` sends in one transaction; the caller ends it. */
  async transaction(topic: Topic, ...messages: readonly (string | Message)[]): Promise<Transaction> {
    const transactionalId = `${this.options.prefix}${randomBytes(4).toString('hex')}`
    const producer = this.#kafka.producer({ transactionalId, maxInFlightRequests: 1, createPartitioner: Partitioners.DefaultPartitioner })
    await producer.connect()
    this.onClose(() => producer.disconnect())
    const transaction = await producer.transaction()
    await transaction.send({ topic: this.name(topic), messages: messages.map((message) => asMessage(message, 0)) })
    return transaction
  }

  /** Takes everything below `low` away. */
  async trim(topic: Topic, low: number): Promise<void> {
    await this.admin.fetchTopicOffsets(this.name(topic))
    await this.admin.deleteTopicRecords({ topic: this.name(topic), partitions: [{ partition: 0, offset: String(low) }] })
  }

  async close(): Promise<void> {
    for (const end of this.#ends) await end()
    const own = (await this.admin.listTopics()).filter((topic) => topic.startsWith(this.options.prefix))
    if (own.length > 0) await this.admin.deleteTopics({ topics: own })
    await this.admin.disconnect()
  }
}

function asMessage(message: string | Message, partition: number) {
  const { key = null, value } = typeof message === 'string' ? { value: message } : message
  return { partition, key, value }
}

export const never = new AbortController().signal

export function values(records: readonly StoredRecord[]): (string | null)[] {
  return records.map(({ value }) => (value === null ? null : Buffer.from(value).toString()))
}

/** Slices until `count` records came. */
export async function take(feed: Feed, count: number): Promise<Slice[]> {
  const slices: Slice[] = []
  for (let left = count; left > 0; ) {
    const slice = await feed.next(never)
    if (!slice) break
    slices.push(slice)
    left -= slice.records.length
  }
  return slices
}

/** Sockets that a test can cut. */
export class Wires {
  readonly sockets: Socket[] = []
  #isCut = false

  readonly open: NonNullable<KafkaOptions['socketFactory']> = ({ host, port, onConnect }) => {
    // Nobody listens on port 1.
    const socket = connect({ host, port: this.#isCut ? 1 : port }, onConnect)
    this.sockets.push(socket)
    return socket
  }

  cut(): void {
    for (const socket of this.sockets.splice(0)) socket.destroy(new Error('cut by the test'))
  }

  /** And lets nobody connect again until `mend`. */
  keepCut(): void {
    this.#isCut = true
    this.cut()
  }

  mend(): void {
    this.#isCut = false
  }
}
