/** One reader of one partition: it stands somewhere, asks for what follows, and knows what it missed. */
import { assert } from '../../core/assert.ts'
import { isPipelineError, PipelineError } from '../../core/errors.ts'
import { Bell } from '../bell.ts'
import type { Bounds, Slice, StoredRecord, Topic } from '../log.ts'
import type { Client } from './client.ts'
import type { Feed } from './feeds.ts'
import type { Fetching, Reader } from './fetching.ts'
import { topicName } from './names.ts'
import { PATIENCE_MS } from './patience.ts'
import type { Decoded } from './record-batch.ts'
import { protocolError, trouble } from './trouble.ts'

export interface FeedOptions {
  readonly client: Client
  readonly fetching: Fetching
  readonly topic: Topic
  readonly partition: number
  /** null: the oldest kept. */
  readonly from: number | null
  /** null once `signal` aborts. */
  readonly bounds: (signal: AbortSignal) => Promise<Bounds | null>
}

/** A slice is cut off after so many records, or once it has so many bytes of keys and values. */
const MOST_RECORDS = 4096
const MOST_BYTES = 1024 * 1024

/**
 * Written by no transaction and never compacted: every offset is a record, so a gap is a loss. The others have markers and cleaned
 * records between, and lose only what lies below the log's start.
 */
const WITHOUT_GAPS: ReadonlySet<Topic> = new Set(['readings', 'dead-letters', 'incidents', 'requests'])

export class PartitionFeed implements Feed, Reader {
  readonly topic: string
  readonly partition: number
  readonly #options: FeedOptions
  readonly #hasGaps: boolean
  readonly #bell = new Bell()
  /** Of the next record for the caller; null: the oldest kept, not yet asked for. */
  #stands: number | null
  /** To fetch from: one past all that was fetched, markers too. */
  #offset = 0
  #records: readonly StoredRecord[] = []
  #given = 0
  /** Found missing since the last slice, in a topic with gaps. */
  #lost = 0
  #time = 0
  #asked = 0
  #isAsking = false
  #isOutOfRange = false
  #isClosed = false
  #met: Error | null = null
  /** Monotonic: since when nobody has answered. */
  #since = 0

  constructor(options: FeedOptions) {
    this.#options = options
    this.topic = topicName(options.client.options.prefix, options.topic)
    this.partition = options.partition
    this.#hasGaps = !WITHOUT_GAPS.has(options.topic)
    this.#stands = options.from
    this.#offset = options.from ?? 0
  }

  get offset(): number {
    return this.#offset
  }

  async next(signal: AbortSignal, limit = MOST_RECORDS, before = Number.POSITIVE_INFINITY): Promise<Slice | null> {
    assert(!this.#isAsking, 'a feed is asked one at a time')
    this.#isAsking = true
    this.#asked++
    // Nobody waited when it was met, and it may have passed.
    if (isPipelineError(this.#met) && this.#met.retriable) this.#met = null
    try {
      return await this.#next(signal, Math.min(limit, MOST_RECORDS), before)
    } finally {
      this.#isAsking = false
    }
  }

  close(): void {
    this.#isClosed = true
    this.#records = []
    this.#options.fetching.forget(this)
    this.#bell.ring()
  }

  async #next(signal: AbortSignal, limit: number, before: number): Promise<Slice | null> {
    this.#since = this.#now()
    for (;;) {
      const ticket = this.#bell.ticket()
      if (this.#isClosed) throw new PipelineError('CLOSED', `reading ${this.#name}: it was closed`)
      if (signal.aborted) return null
      if (this.#given < this.#records.length) return this.#take(limit)
      if (this.#met) throw this.#forgetTrouble(this.#met)
      if (this.#stands === null || this.#isOutOfRange) {
        await this.#reposition(signal)
        continue
      }
      if (this.#offset >= before) return null
      this.#options.fetching.want(this)
      await this.#bell.wait(ticket, signal)
    }
  }

  arrived({ records, next }: Decoded): void {
    this.#records = records
    this.#given = 0
    this.#offset = next
    this.#since = this.#now()
    // Markers alone: who waits has to ask again.
    this.#bell.ring()
  }

  answered(): void {
    this.#since = this.#now()
  }

  failed(error: unknown): boolean {
    if (protocolError(error) === 'OFFSET_OUT_OF_RANGE') {
      this.#isOutOfRange = true
      this.#bell.ring()
      return false
    }
    const met = trouble(error, { client: this.#options.client, doing: `reading ${this.#name}`, access: this.#access })
    const passes = isPipelineError(met) && met.retriable && this.#now() - this.#since <= PATIENCE_MS
    if (passes) return true
    this.#met = met
    this.#bell.ring()
    return false
  }

  /** After the start was asked for, or the leader has said that what the feed wants is not there. */
  async #reposition(signal: AbortSignal): Promise<void> {
    const bounds = await this.#options.bounds(signal)
    if (!bounds) return
    const { low, high } = bounds
    this.#isOutOfRange = false
    if (this.#stands === null) {
      this.#stands = low
      this.#offset = low
    } else if (this.#offset > high) {
      this.#isOutOfRange = true
      throw new PipelineError(
        'RECREATED',
        `${this.#name} ends at ${high} and the reader stands at ${this.#offset}: the topic is not the one that was read before`,
      )
    } else if (this.#offset < low) {
      if (this.#hasGaps) {
        this.#lost += low - this.#offset
        this.#stands = low
      }
      this.#offset = low
    }
  }

  #take(limit: number): Slice {
    const first = this.#records[this.#given]!
    const end = this.#endOfSlice(limit)
    const records = this.#records.slice(this.#given, end).map((record) => {
      this.#time = Math.max(this.#time, record.time)
      return record.time === this.#time ? record : { ...record, time: this.#time }
    })
    const lost = this.#hasGaps ? this.#lost : first.offset - this.#stands!
    const next = records.at(-1)!.offset + 1
    this.#lost = 0
    this.#given = end
    this.#stands = next
    if (end === this.#records.length) {
      this.#records = []
      this.#given = 0
      // One who asks again and again finds the next part there; one who asks once has not read ahead for nothing.
      if (this.#asked > 1) {
        this.#since = this.#now()
        this.#options.fetching.want(this)
      }
    }
    return { partition: this.partition, records, next, lost }
  }

  #endOfSlice(limit: number): number {
    const most = Math.min(this.#records.length, this.#given + Math.max(1, limit))
    let bytes = 0
    let end = this.#given
    for (; end < most && bytes < MOST_BYTES; end++) {
      const record = this.#records[end]!
      const isGap = end > this.#given && record.offset !== this.#records[end - 1]!.offset + 1
      // What is missing is told between slices.
      if (isGap && !this.#hasGaps) break
      bytes += record.key.length + (record.value?.length ?? 0)
    }
    return end
  }

  #forgetTrouble(met: Error): Error {
    this.#met = null
    return met
  }

  get #name(): string {
    return `${this.topic}/${this.partition}`
  }

  get #access() {
    return { operation: 'Read', resource: 'topic', name: this.topic } as const
  }

  #now(): number {
    return this.#options.client.options.clock.monotonic()
  }
}
