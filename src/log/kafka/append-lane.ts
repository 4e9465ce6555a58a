/** The queue in front of one partition: what waits to be appended, in order, one send under way at a time. */
import { errorText, PipelineError } from '../../core/errors.ts'
import type { Clock } from '../../ops/clock.ts'
import type { LogRecord, Topic } from '../log.ts'
import type { Batch, Identity } from './sending.ts'
import { recordBytes, SEND_BYTES, SEND_RECORDS, SendError } from './sending.ts'

/** Kafka counts sequences to 2³¹ − 1 and kafkajs does not go on from there as brokers expect: an id is given up long before. */
const MOST_SEQUENCE = 2 ** 30

/** One call of `append`. */
interface Append {
  readonly records: readonly LogRecord[]
  readonly bytes: readonly number[]
  /** `Clock.monotonic` of the call. */
  readonly since: number
  /** How many of the records are in a send. */
  taken: number
  /** How many are stored. */
  stored: number
  /** Of the first record. */
  offset: number
  readonly resolve: (offset: number) => void
  readonly reject: (error: unknown) => void
}

/** Some records of an append, in one send. */
interface Share {
  readonly append: Append
  readonly count: number
  readonly isStart: boolean
}

export interface AppendLaneOptions {
  readonly topic: Topic
  readonly partition: number
  readonly clock: Clock
  /** Most bytes that wait, the send under way among them; one append alone may be larger. */
  readonly queueBytes: number
  /** An append is given up so long after it was called, ms; each batch is sent once at least. */
  readonly retryMs: number
  /** A producer id of its own, for this lane alone. */
  readonly identify: (deadline: number) => Promise<Identity>
  /** Gives the offset of the batch's first record; rejects with `SendError` alone. */
  readonly send: (batch: Batch, identity: Identity, sequence: number, deadline: number) => Promise<number>
}

/**
 * Each lane has a producer id of its own, because one whose send failed is never used again: the sequences of that send may be taken or
 * not, and brokers answer a batch whose sequences they have seen with "stored" without storing it.
 */
export class AppendLane {
  readonly #options: AppendLaneOptions
  #waiting: Append[] = []
  #bytes = 0
  #running = false
  #identity: Identity | null = null
  #sequence = 0
  #failure: string | null = null

  constructor(options: AppendLaneOptions) {
    this.#options = options
  }

  /** What the last send failed by; null after one that worked. */
  get failure(): string | null {
    return this.#failure
  }

  /** Offset of the first record, once all are stored. */
  add(records: readonly LogRecord[]): Promise<number> {
    const { topic, partition, clock, queueBytes } = this.#options
    const bytes = records.map(recordBytes)
    const sum = bytes.reduce((total, one) => total + one, 0)
    if (this.#bytes > 0 && this.#bytes + sum > queueBytes) {
      const text = `${this.#bytes} bytes wait to be written to ${topic}/${partition}, and ${queueBytes} is the most: try again later`
      return Promise.reject(new PipelineError('UNAVAILABLE', this.#failure === null ? text : `${text} (${this.#failure})`))
    }
    this.#bytes += sum
    const added = new Promise<number>((resolve, reject) => {
      this.#waiting.push({ records, bytes, since: clock.monotonic(), taken: 0, stored: 0, offset: -1, resolve, reject })
    })
    if (!this.#running) {
      this.#running = true
      // What is appended in the same turn goes in the same send.
      queueMicrotask(() => void this.#run())
    }
    return added
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) await this.#sendNext()
    this.#running = false
  }

  async #sendNext(): Promise<void> {
    const oldest = this.#waiting[0]!
    const deadline = oldest.since + this.#options.retryMs
    const { batch, shares } = this.#take()
    try {
      if (this.#sequence > MOST_SEQUENCE) this.#forget()
      this.#identity ??= await this.#options.identify(deadline)
      const offset = await this.#options.send(batch, this.#identity, this.#sequence, deadline)
      this.#sequence += batch.records.length
      this.#failure = null
      this.#store(shares, offset)
    } catch (error) {
      this.#forget()
      const cause = error instanceof SendError ? error.cause : error
      this.#failure = errorText(cause)
      this.#fail(shares, cause)
    }
  }

  #forget(): void {
    this.#identity = null
    this.#sequence = 0
  }

  /** From the front, up to the bounds of a send; a record that is larger goes alone. */
  #take(): { batch: Batch; shares: readonly Share[] } {
    const { topic, partition } = this.#options
    const records: LogRecord[] = []
    const shares: Share[] = []
    let bytes = 0
    for (const append of this.#waiting) {
      const start = append.taken
      while (append.taken < append.records.length) {
        const size = append.bytes[append.taken]!
        if (records.length > 0 && (bytes + size > SEND_BYTES || records.length >= SEND_RECORDS)) break
        records.push(append.records[append.taken]!)
        bytes += size
        append.taken++
      }
      if (append.taken > start) shares.push({ append, count: append.taken - start, isStart: start === 0 })
      if (append.taken < append.records.length) break
    }
    return { batch: { topic, partition, records, bytes }, shares }
  }

  #store(shares: readonly Share[], first: number): void {
    let offset = first
    for (const { append, count, isStart } of shares) {
      if (isStart) append.offset = offset
      offset += count
      append.stored += count
      if (append.stored === append.records.length) {
        this.#leave(append)
        append.resolve(append.offset)
      }
    }
  }

  /** What of these appends is not sent yet never is. */
  #fail(shares: readonly Share[], error: unknown): void {
    for (const { append } of shares) {
      this.#leave(append)
      append.reject(error)
    }
  }

  /** Appends leave from the front, in the order they came. */
  #leave(append: Append): void {
    this.#bytes -= append.bytes.reduce((total, one) => total + one, 0)
    if (this.#waiting[0] === append) this.#waiting.shift()
  }
}
