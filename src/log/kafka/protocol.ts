/** The two requests that we write and read ourselves: kafkajs's own give up all partitions of an answer for the error of one. */
import type { RawRequest } from './cluster.ts'
import type { Aborted } from './record-batch.ts'
import { WireReader, WireWriter } from './wire.ts'

/** Of the protocol's numbers, what we decide by; all else is named by its number. */
const ERROR_NAMES: ReadonlyMap<number, string> = new Map([
  [-1, 'UNKNOWN'],
  [1, 'OFFSET_OUT_OF_RANGE'],
  [2, 'CORRUPT_MESSAGE'],
  [3, 'UNKNOWN_TOPIC_OR_PARTITION'],
  [5, 'LEADER_NOT_AVAILABLE'],
  [6, 'NOT_LEADER_OR_FOLLOWER'],
  [9, 'REPLICA_NOT_AVAILABLE'],
  [17, 'INVALID_TOPIC_EXCEPTION'],
  [29, 'TOPIC_AUTHORIZATION_FAILED'],
  [56, 'KAFKA_STORAGE_ERROR'],
])

/** An error that a broker said of one partition, or of one topic, as kafkajs's own carry it. */
export class BrokerError extends Error {
  readonly type: string

  constructor(code: number) {
    const type = ERROR_NAMES.get(code) ?? `ERROR_${code}`
    super(`the broker says ${type}`)
    this.name = 'KafkaJSProtocolError'
    this.type = type
  }
}

export interface Place {
  readonly topic: string
  readonly partition: number
  /** To fetch from. */
  readonly offset: number
  /** Most bytes of this partition; a larger first batch comes whole. */
  readonly maxBytes: number
}

export interface FetchedPartition {
  readonly topic: string
  readonly partition: number
  /** 0: none. */
  readonly errorCode: number
  readonly highWatermark: number
  /** Below it no transaction is open; read-committed sees up to here. */
  readonly lastStableOffset: number
  readonly aborted: readonly Aborted[]
  /** Record batches, the last maybe cut off. */
  readonly batches: Buffer
}

export interface FetchLimits {
  readonly maxWaitMs: number
  /** Of the whole answer; a larger first batch comes whole. */
  readonly maxBytes: number
}

const FETCH = 1
const FETCH_VERSION = 11
const READ_COMMITTED = 1
const CONSUMER = -1
const NO_EPOCH = -1
const WAIT_SLACK_MS = 10_000

/** Waits on the broker's side up to `maxWaitMs` for one byte. */
export function fetchRequest(places: readonly Place[], limits: FetchLimits): RawRequest<FetchedPartition[]> {
  const { maxWaitMs, maxBytes } = limits
  const write = new WireWriter().int32(CONSUMER).int32(maxWaitMs).int32(1).int32(maxBytes).int8(READ_COMMITTED)
  // No fetch session.
  write.int32(0).int32(NO_EPOCH)
  write.array([...byTopic(places)], ([topic, own]) => {
    write.string(topic).array(own, ({ partition, offset, maxBytes: most }) => {
      write.int32(partition).int32(NO_EPOCH).int64(offset).int64(-1).int32(most)
    })
  })
  // Topics to forget, and the rack.
  write.int32(0).string('')
  const timeoutMs = maxWaitMs + WAIT_SLACK_MS
  return { apiKey: FETCH, apiVersion: FETCH_VERSION, apiName: 'Fetch', body: write.done(), answer: fetchAnswer, timeoutMs }
}

function byTopic(places: readonly Place[]): Map<string, Place[]> {
  const topics = new Map<string, Place[]>()
  for (const place of places) {
    const own = topics.get(place.topic)
    if (own) own.push(place)
    else topics.set(place.topic, [place])
  }
  return topics
}

function fetchAnswer(payload: Buffer): FetchedPartition[] {
  const read = new WireReader(payload)
  // Throttle time; what the broker says of the request as a whole; the session.
  read.int32()
  const whole = read.int16()
  if (whole !== 0) throw new BrokerError(whole)
  read.int32()
  return read
    .array(() => {
      const topic = read.string()
      return read.array((): FetchedPartition => {
        const partition = read.int32()
        const errorCode = read.int16()
        const highWatermark = read.int64()
        const lastStableOffset = read.int64()
        // Where the log starts.
        read.int64()
        const aborted = read.array(() => ({ producerId: read.int64(), firstOffset: read.int64() }))
        // A replica that would rather be read from.
        read.int32()
        return { topic, partition, errorCode, highWatermark, lastStableOffset, aborted, batches: read.block() }
      })
    })
    .flat()
}

/** As kafkajs keeps it. */
export interface MetadataAnswer {
  readonly brokers: readonly { nodeId: number; host: string; port: number; rack: string | null }[]
  readonly clusterId: string
  readonly controllerId: number
  readonly topicMetadata: readonly {
    /** 0: none. */
    topicErrorCode: number
    topic: string
    isInternal: boolean
    partitionMetadata: readonly {
      partitionErrorCode: number
      partitionId: number
      /** Node id; -1: there is none. */
      leader: number
      replicas: readonly number[]
      isr: readonly number[]
      offlineReplicas: readonly number[]
    }[]
  }[]
}

const METADATA = 3
const METADATA_VERSION = 5

/** Of just these topics, and makes none. An error of a topic or partition stands in its place in the answer, and none throws. */
export function metadataRequest(topics: readonly string[]): RawRequest<MetadataAnswer> {
  const write = new WireWriter()
  write.array(topics, (topic) => write.string(topic)).int8(0)
  return { apiKey: METADATA, apiVersion: METADATA_VERSION, apiName: 'Metadata', body: write.done(), answer: metadataAnswer }
}

function metadataAnswer(payload: Buffer): MetadataAnswer {
  const read = new WireReader(payload)
  read.int32()
  const brokers = read.array(() => ({ nodeId: read.int32(), host: read.string(), port: read.int32(), rack: read.string() || null }))
  const clusterId = read.string()
  const controllerId = read.int32()
  const topicMetadata = read.array(() => ({
    topicErrorCode: read.int16(),
    topic: read.string(),
    isInternal: read.int8() !== 0,
    partitionMetadata: read.array(() => ({
      partitionErrorCode: read.int16(),
      partitionId: read.int32(),
      leader: read.int32(),
      replicas: read.array(() => read.int32()),
      isr: read.array(() => read.int32()),
      offlineReplicas: read.array(() => read.int32()),
    })),
  }))
  return { brokers, clusterId, controllerId, topicMetadata }
}
