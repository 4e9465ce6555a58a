/** Sends one batch of one partition, the same again until its fate is known: the step that appends and commits share. */
import { isPipelineError, PipelineError } from '../../core/errors.ts'
import type { LogRecord, Topic } from '../log.ts'
import type { Broker } from './cluster.ts'
import { compressionType } from './codecs.ts'
import type { Access } from './trouble.ts'
import { protocolError, trouble } from './trouble.ts'
import type { Compression } from './options.ts'
import { topicName } from './names.ts'
import { repeat } from './repeating.ts'
import type { Term } from './repeating.ts'
import type { Route } from './route.ts'
import { toLeader } from './route.ts'

/** Most bytes of the records of one send: as one batch they have to stay below the topic's max.message.bytes (1,048,588). */
export const SEND_BYTES = 900_000
/** Most records of one send: what a broker has to check, and kafkajs to encode, in one go. */
export const SEND_RECORDS = 2_000
/** Of a record beside key and value. */
const RECORD_BYTES = 32

const ALL_REPLICAS = -1
/** So long the leader waits for the other replicas: longer than the 9 s after which a dead one is taken off the list. */
const ACKS_MS = 10_500

/**
 * Answers that say: this request wrote nothing. NOT_LEADER_FOR_PARTITION and UNKNOWN_TOPIC_OR_PARTITION are none: the broker may have lost
 * the partition while it waited for the replicas.
 */
const REFUSALS = new Set([
  'MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE',
  'TOPIC_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED', 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'NOT_ENOUGH_REPLICAS', 'CORRUPT_MESSAGE', 'INVALID_RECORD', 'UNSUPPORTED_COMPRESSION_TYPE', 'UNSUPPORTED_VERSION',
  'OUT_OF_ORDER_SEQUENCE_NUMBER', 'UNKNOWN_PRODUCER_ID', 'INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'INVALID_PRODUCER_ID_MAPPING',
  'INVALID_TXN_STATE', 'TRANSACTION_ABORTABLE',
])

/** Of those that `trouble` takes for passing, the ones that the same request would meet again. */
const STUCK = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER', 'DUPLICATE_SEQUENCE_NUMBER', 'UNKNOWN_PRODUCER_ID', 'INVALID_TXN_STATE', 'TRANSACTION_ABORTABLE',
  'INVALID_RECORD', 'INVALID_REQUEST', 'INVALID_TIMESTAMP',
])

/** Who sends: the brokers keep the last sequences of each id, and take no batch of one twice. */
export interface Identity {
  readonly producerId: string
  readonly producerEpoch: number
}

export interface Batch {
  readonly topic: Topic
  readonly partition: number
  readonly records: readonly LogRecord[]
  /** As `recordBytes` counts them. */
  readonly bytes: number
}

export interface Sending {
  readonly route: Route
  readonly prefix: string
  readonly compression: Compression
  readonly identity: Identity
  readonly transactionalId?: string
  /** Of the first record, in this partition under this identity. */
  readonly sequence: number
  readonly term: Term
  /** Told of each attempt that failed and is made again. */
  readonly again?: (error: unknown) => void
}

/** A send that failed. `isUnknown`: it may have been written, or may be yet, and its sequences can't be used for anything else. */
export class SendError extends Error {
  override readonly cause: Error
  readonly isUnknown: boolean

  constructor(cause: Error, isUnknown: boolean) {
    super(cause.message)
    this.name = 'SendError'
    this.cause = cause
    this.isUnknown = isUnknown
  }
}

export function recordBytes({ key, value }: LogRecord): number {
  return Buffer.byteLength(key) + (value?.length ?? 0) + RECORD_BYTES
}

/** Offset of the first record. Rejects with `SendError` alone. */
export async function send(batch: Batch, sending: Sending): Promise<number> {
  const { route } = sending
  const name = topicName(sending.prefix, batch.topic)
  const messages = batch.records.map(({ key, value }) => ({ key: Buffer.from(key), value: value && asBuffer(value) }))
  const data = [{ topic: name, partitions: [{ partition: batch.partition, firstSequence: sending.sequence, messages }] }]
  let isUnknown = false
  const attempt = async (isFirst: boolean) => {
    if (!isFirst) await route.refresh()
    let isSent = false
    try {
      const answer = await route.ask(toLeader(name, batch.partition), (broker) => {
        isSent = true
        const { identity, transactionalId, compression } = sending
        const codec = compressionType(compression)
        return broker.produce({ topicData: data, acks: ALL_REPLICAS, timeout: ACKS_MS, compression: codec, transactionalId, ...identity })
      })
      return offsetIn(answer, name, batch.partition)
    } catch (error) {
      isUnknown ||= isSent && !REFUSALS.has(protocolError(error))
      throw error
    }
  }
  try {
    return await repeat({ attempt, isFinal: isFinalError(route), again: sending.again }, sending.term)
  } catch (error) {
    const doing = `writing ${batch.records.length} records of ${batch.bytes} bytes to ${name}/${batch.partition}`
    throw new SendError(describe(error, route, doing, { operation: 'Write', resource: 'topic', name }), isUnknown)
  }
}

/** `error` with what was being done, as a `PipelineError` where it is one of Kafka's. */
export function describe(error: unknown, route: Route, doing: string, access: Access): Error {
  const { brokers } = route.client
  if (isPipelineError(error)) return new PipelineError(error.code, `Kafka at ${brokers}: ${doing}: ${error.message}`, { cause: error })
  return trouble(error, { client: route.client, doing, access })
}

/** Whether what a request met will not pass by itself. */
export function isFinalError(route: Route): (error: unknown) => boolean {
  return (error) => {
    if (STUCK.has(protocolError(error))) return true
    const known = trouble(error, { client: route.client, doing: '' })
    return !isPipelineError(known, 'UNAVAILABLE', 'IO')
  }
}

type Answer = Awaited<ReturnType<Broker['produce']>>

/** Never taken on trust: an answer that doesn't name the partition has stored nothing that we know of. */
function offsetIn(answer: Answer, name: string, partition: number): number {
  const stored = answer.topics.find(({ topicName: own }) => own === name)?.partitions.find((one) => one.partition === partition)
  if (!stored) throw new PipelineError('IO', `the answer says nothing of ${name}/${partition}`)
  return Number(stored.baseOffset)
}

/** kafkajs writes anything but a Buffer as the text of it. */
function asBuffer(value: Uint8Array): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}
