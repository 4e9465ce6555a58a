/** The journal below the port: what is appended and committed, and what of it readers see. `journal.ts` puts owners and tails on top. */
import { assert } from '../../core/assert.ts'
import { PipelineError } from '../../core/errors.ts'
import type { Clock } from '../../ops/clock.ts'
import { Bell } from '../bell.ts'
import { COMPACTED, TOPICS } from '../log.ts'
import type { Appended, Bounds, LogRecord, Slice, StoredRecord, Topic, Write } from '../log.ts'
import type { Catalog, Track } from './catalog.ts'
import type { DamageReport } from './damage.ts'
import { FLAG_COMMIT, isBulk, KIND_LOW, KIND_RECORD, makeEntry, MOST_KEY_BYTES, MOST_PAYLOAD_BYTES, trackId } from './entry.ts'
import type { Entry } from './entry.ts'
import type { FilePort } from './files.ts'
import type { Flusher } from './flush.ts'
import { readLive, readPlaces, readRecords } from './reading.ts'
import type { Disk } from './reading.ts'
import { Recent } from './recent.ts'
import type { Reserve } from './reserve.ts'

/** A slice has no more, so that its reader never holds the loop for long. */
const SLICE_RECORDS = 1_024
const SLICE_BYTES = 4 * 1024 * 1024
const MOST_RECORDS_AN_APPEND = 16_384
/** After a failed write nothing is taken for so long: what can't be kept should not be shown first. */
const REFUSE_MS = 250
/** A failed write says nothing of now so long after it. */
const FAILURE_STANDS_MS = 10_000

export interface CoreOptions {
  readonly files: FilePort
  readonly catalog: Catalog
  readonly report: DamageReport
  readonly clock: Clock
  readonly partitions: number
  readonly reserve: Reserve
  /** Bytes of newest records kept in memory. */
  readonly recentBytes: number
  /** Records that readers may have seen are gone. */
  readonly onLost: () => void
}

/** A place to read on from. `broken`: records it had passed were lost. */
export interface Reader {
  next: number
  broken: boolean
}

export class Core {
  readonly catalog: Catalog
  readonly #options: CoreOptions
  readonly #disk: Disk
  readonly #recent: Recent
  readonly #bells = new Map<Topic, Bell>()
  readonly #readers = new Map<Track, Set<Reader>>()
  /** Set right after construction: the two know each other. */
  #flusher!: Flusher
  /** The last of those who wait for room, or null. */
  #line: Promise<void> | null = null
  #refusal: { readonly until: number; readonly error: PipelineError } | null = null
  #evicted: PipelineError | null = null
  #closed = false

  constructor(options: CoreOptions) {
    this.#options = options
    this.catalog = options.catalog
    this.#disk = options
    this.#recent = new Recent(options.recentBytes)
    for (const topic of Object.keys(TOPICS) as Topic[]) this.#bells.set(topic, new Bell())
  }

  attach(flusher: Flusher): void {
    this.#flusher = flusher
  }

  bell(topic: Topic): Bell {
    return this.#bells.get(topic)!
  }

  track(topic: Topic, partition: number): Track {
    const count = TOPICS[topic] === 'all' ? this.#options.partitions : 1
    assert(Number.isInteger(partition) && partition >= 0 && partition < count, `there is no ${topic}/${partition}`)
    return this.catalog.track(trackId(topic, partition))
  }

  partitionsOf(topic: Topic): number[] {
    return Array.from({ length: TOPICS[topic] === 'all' ? this.#options.partitions : 1 }, (_, number) => number)
  }

  async append(topic: Topic, partition: number, records: readonly LogRecord[]): Promise<Appended> {
    this.checkOpen()
    assert(records.length > 0 && records.length <= MOST_RECORDS_AN_APPEND, `an append has 1 to ${MOST_RECORDS_AN_APPEND} records`)
    const track = this.track(topic, partition)
    for (const record of records) checkRecord(topic, record)
    const enter = () => {
      this.checkOpen()
      this.checkDisk()
      if (isBulk(track.id)) this.#checkRoom()
      const offset = track.next
      const entries = records.map((record) => this.#enter(track, record, 0))
      this.bell(topic).ring()
      return { offset, flushed: this.#flusher.add(entries) }
    }
    return this.#line || this.#flusher.isFull ? this.#queue(enter) : enter()
  }

  /** What a commit writes, in its order: readable from now on, but for compacted topics, which show what is durable. Flush it at once. */
  enterCommit(writes: readonly Write[]): Entry[] {
    const entries = writes.map((write) => this.#enter(this.track(write.topic, write.partition), write, FLAG_COMMIT))
    for (const topic of new Set(writes.map((write) => write.topic))) this.bell(topic).ring()
    return entries
  }

  /** Retention may take what lies below `before`; what it has taken stays taken. */
  async setLow(track: Track, before: number): Promise<void> {
    const offset = Math.min(before, track.durable)
    await this.#flusher.add([makeEntry({ kind: KIND_LOW, track: track.id, offset, time: 0, key: '', value: null })])
    track.low = Math.max(track.low, offset)
  }

  flushed(): Promise<void> {
    return this.#line ? this.#line.then(() => this.#flusher.flushed()) : this.#flusher.flushed()
  }

  bounds(topic: Topic, partition: number): Bounds {
    const track = this.track(topic, partition)
    return { low: track.low, high: track.high }
  }

  enterReader(topic: Topic, partition: number, from: number | null): Reader {
    const track = this.track(topic, partition)
    const reader = { next: from ?? track.low, broken: (from ?? 0) > track.high }
    const readers = this.#readers.get(track) ?? new Set()
    this.#readers.set(track, readers.add(reader))
    return reader
  }

  leaveReader(topic: Topic, partition: number, reader: Reader): void {
    this.#readers.get(this.track(topic, partition))?.delete(reader)
  }

  /** The reader's next slice; null when there is none yet. Throws RECREATED when what the reader has passed is no longer what the log says. */
  async next(topic: Topic, partition: number, reader: Reader): Promise<Slice | null> {
    if (reader.broken) {
      const { high } = this.bounds(topic, partition)
      throw new PipelineError('RECREATED', `${topic}/${partition} was read up to ${reader.next}, but it ended before that (it now ends at ${high}): start anew`)
    }
    const slice = await this.slice(topic, partition, reader.next, SLICE_RECORDS)
    if (slice) reader.next = slice.next
    return slice
  }

  /** At most `limit` records from `from` on. Throws IO. */
  async slice(topic: Topic, partition: number, from: number, limit: number): Promise<Slice | null> {
    const track = this.track(topic, partition)
    const start = Math.max(from, track.low)
    if (start >= track.high) return null
    const limits = { records: Math.min(limit, SLICE_RECORDS), bytes: SLICE_BYTES }
    const records = track.live ? await readLive(this.#disk, track, start, limits.records) : await this.#records(track, start, limits)
    if (records.length === 0) return null
    const lost = track.live ? Math.max(0, track.low - from) : records[0]!.offset - from
    return { partition, records, next: records.at(-1)!.offset + 1, lost }
  }

  /** Each live key and its newest durable value. Throws IO. */
  readLive(track: Track, each: (key: string, value: Buffer) => void): Promise<void> {
    return readPlaces(this.#disk, track.live ?? [], each, track.live)
  }

  /** Records are durable. */
  onStored(): void {
    this.#refusal = null
    this.#recent.shrink()
  }

  /** Everything not durable is lost; `was`: where the tracks stood before. */
  onLost(error: PipelineError, was: ReadonlyMap<Track, number>): void {
    this.#refusal = { until: this.#options.clock.monotonic() + REFUSE_MS, error }
    this.#recent.forget(was)
    for (const [track, readers] of this.#readers) for (const reader of readers) if (reader.next > track.high) reader.broken = true
    this.#options.onLost()
    for (const bell of this.#bells.values()) bell.ring()
  }

  /** The folder was taken away: nothing is taken any more. */
  evict(error: PipelineError): void {
    this.#evicted = error
  }

  get isEvicted(): boolean {
    return this.#evicted !== null
  }

  close(): void {
    this.#closed = true
  }

  /** Throws CLOSED, and LOCKED once the folder was taken away. */
  checkOpen(): void {
    if (this.#evicted) throw this.#evicted
    if (this.#closed) throw new PipelineError('CLOSED', `the journal in ${this.#options.files.folder} is closed`)
  }

  checkDisk(): void {
    const refusal = this.#refusal
    if (!refusal || this.#options.clock.monotonic() >= refusal.until) return
    const { folder } = this.#options.files
    const cause = refusal.error
    if (cause.code === 'DISK_FULL') throw new PipelineError('DISK_FULL', `${folder}: the disk is full, nothing is taken until there is room`, { cause })
    throw new PipelineError('IO', `${folder}: nothing is taken for ${REFUSE_MS} ms after a write that failed: ${cause.message}`, { cause })
  }

  /** Why it takes nothing now, in words for people; empty as a rule. */
  reasons(): string[] {
    const { reserve, clock } = this.#options
    if (this.#evicted) return [this.#evicted.message]
    if (reserve.isSpent) return [reserve.text]
    const refusal = this.#refusal
    return refusal && clock.monotonic() < refusal.until + FAILURE_STANDS_MS ? [refusal.error.message] : []
  }

  /** On a full disk what room is left is for what ends: commits, incidents, decisions. */
  #checkRoom(): void {
    const { reserve } = this.#options
    if (reserve.isSpent) throw new PipelineError('DISK_FULL', reserve.text)
  }

  /** Runs `enter` behind those that wait already, once there is room. */
  #queue<T>(enter: () => T): Promise<T> {
    const before = this.#line
    const entered = (async () => {
      await before
      while (this.#flusher.isFull) await this.#flusher.turn()
      return enter()
    })()
    const mine: Promise<void> = Promise.allSettled([entered]).then(() => {
      if (this.#line === mine) this.#line = null
    })
    this.#line = mine
    return entered
  }

  #enter(track: Track, { key, value }: LogRecord, flags: number): Entry {
    const offset = track.next++
    const time = Math.max(track.time, this.#options.clock.now())
    track.time = time
    if (!track.live) this.#recent.push(track, { key, value, offset, time })
    return makeEntry({ kind: KIND_RECORD, flags, track: track.id, offset, time, key, value })
  }

  async #records(track: Track, from: number, limits: { records: number; bytes: number }): Promise<StoredRecord[]> {
    const recent = this.#recent.read(track, from, limits.records, limits.bytes)
    if (recent) return recent
    const stored = await readRecords(this.#disk, track, from, limits)
    const next = stored.length > 0 ? stored.at(-1)!.offset + 1 : from
    const start = this.#recent.start(track)
    // What lies between is damaged, and a gap ends a slice.
    if (stored.length >= limits.records || (stored.length > 0 && next < start)) return stored
    return [...stored, ...(this.#recent.read(track, Math.max(next, start), limits.records - stored.length, limits.bytes) ?? [])]
  }
}

/** Throws REFUSED for what the format can't hold. */
export function checkRecord(topic: Topic, { key, value }: LogRecord): void {
  assert(value !== null || COMPACTED.has(topic), `${topic} keeps every record: there is nothing to delete`)
  const keyBytes = Buffer.byteLength(key)
  const bytes = keyBytes + (value?.length ?? 0)
  if (keyBytes > MOST_KEY_BYTES) throw new PipelineError('REFUSED', `a key of ${keyBytes} bytes for ${topic}: ${MOST_KEY_BYTES} is the most`)
  if (bytes > MOST_PAYLOAD_BYTES) throw new PipelineError('REFUSED', `a record of ${bytes} bytes for ${topic}: ${MOST_PAYLOAD_BYTES} is the most`)
}

