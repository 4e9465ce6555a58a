/**
 * What was appended waits here for the disk, one round at a time: it is written as soon as the disk is idle; what comes meanwhile is the next
 * round. Frames are durable before the ledger group that follows them, or ride in it when they are small (docs/decisions/0002).
 */
import { PipelineError } from '../../core/errors.ts'
import type { Clock } from '../../ops/clock.ts'
import type { Histogram } from '../../ops/metrics.ts'
import { HEADER_KEY } from '../header.ts'
import type { Catalog, Place, Track } from './catalog.ts'
import { entryBytes, FLAG_COMMIT, FLAG_COPY, FLAG_NULL, isBulk, KIND_RECORD, KIND_RESET, KIND_RIDER } from './entry.ts'
import type { Entry, TrackId } from './entry.ts'
import { MOST_ENTRIES, nameEntries } from './group.ts'
import type { Chunk, Written } from './group.ts'
import { Pace } from './pace.ts'
import type { SegmentWriter } from './writer.ts'

/** A round beyond it makes callers wait. */
const MOST_ROUND_BYTES = 8 * 1024 * 1024
const ROOM_FOR_MARKERS = 8

export interface FlushOptions {
  readonly catalog: Catalog
  readonly bulk: SegmentWriter
  readonly ledger: SegmentWriter
  readonly clock: Clock
  /** Bytes of bulk records that may ride in the ledger at a time; 0: none do. */
  readonly riderBytes: number
  readonly seconds: Histogram | undefined
  /** All that was not durable is lost; the tracks have been set back from where they were. */
  readonly onLost: (error: PipelineError, was: ReadonlyMap<Track, number>) => void
  /** Records are durable. */
  readonly onStored: () => void
}

/** A commit drawn lazily, chunk by chunk, over several rounds. */
export interface Stream {
  readonly group: number
  readonly written: Written[]
}

/** A live record to be written again, so that the file it stands in may go. */
export interface Copy {
  readonly entry: Entry
  readonly from: Place
}

interface Copying {
  readonly copies: readonly Copy[]
  readonly resolve: () => void
  readonly reject: (error: PipelineError) => void
}

/** What is written together. */
class Round {
  /** Records of bulk topics, in order; those that are part of a commit stand in `ledger` or `chunks` too, as riders. */
  readonly bulk: Entry[] = []
  readonly ledger: Entry[] = []
  readonly chunks: { readonly stream: Stream; readonly chunk: Chunk }[] = []
  /** What rides in the ledger goes to the bulk file first. */
  unloads = false
  bulkBytes = 0
  bytes = 0
  count = 0
  readonly done: Promise<void>
  resolve!: () => void
  reject!: (error: PipelineError) => void

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    this.done.catch(() => undefined) // nobody has to listen: the port says so
  }

  get hasLedger(): boolean {
    return this.ledger.length > 0 || this.chunks.length > 0
  }

  get isEmpty(): boolean {
    return this.count === 0
  }
}

export class Flusher {
  readonly #options: FlushOptions
  #gathering = new Round()
  #flying: Round | null = null
  #scheduled = false
  #waiting: (() => void)[] = []
  readonly #pace: Pace
  /** Bulk records that are durable in the ledger alone, in order. */
  #riders: Entry[] = []
  #riderBytes = 0
  #dead: PipelineError | null = null
  /** What the last ledger marker said of the bulk tracks. */
  readonly #ends = new Map<TrackId, number>()
  readonly #streams = new Set<Stream>()
  #copying: Copying | null = null

  constructor(options: FlushOptions) {
    this.#options = options
    this.#pace = new Pace(options.clock)
  }

  /** No more may be added until the round under way has ended. */
  get isFull(): boolean {
    return this.#gathering.bytes >= MOST_ROUND_BYTES || this.#gathering.count >= MOST_ENTRIES / 2
  }

  /** Resolves when another round begins to gather. */
  turn(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /**
   * Appended records, or small commits, in order. The promise is the round's: it resolves when they, and all before them, are durable, and
   * rejects with IO, DISK_FULL or LOCKED when they are lost; with IN_DOUBT as the cause when only the next start may tell.
   */
  add(entries: readonly Entry[]): Promise<void> {
    const round = this.#gathering
    for (const entry of entries) this.#put(round, entry)
    this.#kick()
    return round.done
  }

  /** To be ended by `endStream`, however it goes. */
  beginStream(): Stream {
    const stream = { group: this.#options.ledger.takeGroup(), written: [] }
    this.#streams.add(stream)
    return stream
  }

  endStream(stream: Stream): void {
    this.#streams.delete(stream)
  }

  /** Number of the oldest ledger file that a commit under way has written to; what it wrote there may count yet. */
  get oldestInUse(): number {
    return Math.min(...[...this.#streams].map(({ written }) => written[0]?.segment.id ?? Infinity))
  }

  /** Live records written again, those of them that are still live by then; between two rounds, one call at a time. Throws as `add`. */
  addCopies(copies: readonly Copy[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#copying = { copies, resolve, reject }
      this.#kick()
    })
  }

  /** What rides in the ledger now is in the bulk file when it resolves. */
  unloaded(): Promise<void> {
    if (this.#riders.length === 0) return Promise.resolve()
    const round = this.#gathering
    round.unloads = true
    round.count++
    this.#kick()
    return round.done
  }

  /** The next chunk of a commit; `chunk.entries` has the riders of its bulk records, which `bulk` has as records. */
  addChunk(stream: Stream, chunk: Chunk, bulk: readonly Entry[] = []): Promise<void> {
    const round = this.#gathering
    round.chunks.push({ stream, chunk })
    for (const entry of chunk.entries) measure(round, entry)
    round.bulk.push(...bulk)
    this.#pace.hurry()
    this.#kick()
    return round.done
  }

  /** Everything added so far. */
  flushed(): Promise<void> {
    this.#pace.hurry()
    if (this.#dead) return rejected(this.#dead)
    if (!this.#gathering.isEmpty) return this.#gathering.done
    return this.#flying?.done ?? Promise.resolve()
  }

  /** Nothing is durable any more: what waits, what is under way and what comes rejects with `error`. */
  fail(error: PipelineError): void {
    this.#dead = error
    this.#pace.hurry()
  }

  /** Puts what rides in the ledger into the bulk file, where it belongs. Call it when nothing is under way. */
  unload(): Promise<void> {
    return this.#storeBulk([])
  }

  /** At start: what a recovery found riding. */
  resume(riders: readonly Entry[]): void {
    for (const rider of riders) this.#carry(rider)
  }

  #put(round: Round, entry: Entry): void {
    measure(round, entry)
    if (!isBulk(entry.track) || entry.kind !== KIND_RECORD) {
      round.ledger.push(entry)
      this.#pace.hurry()
      return
    }
    round.bulk.push(entry)
    round.bulkBytes += entryBytes(entry)
    if (entry.flags & FLAG_COMMIT) round.ledger.push(asRider(entry))
  }

  /** Not before the callers, and whoever reads at once what they appended, have had their turn: what these append joins the same round. */
  #kick(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => process.nextTick(() => void this.#run()))
  }

  async #run(): Promise<void> {
    while (!this.#gathering.isEmpty || this.#copying) {
      if (this.#copying) await this.#storeCopies(this.#copying)
      if (this.#gathering.isEmpty) continue
      const round = this.#gathering
      this.#flying = round
      this.#gatherAnew()
      const started = this.#pace.begin(round.bytes)
      try {
        if (!this.#dead) await this.#store(round)
        if (this.#dead) throw this.#dead
      } catch (error) {
        if (!(error instanceof PipelineError)) throw error // a bug, and fatal: nothing may be acknowledged any more
        this.#lose(round, error)
        continue
      }
      this.#options.seconds?.observe((this.#options.clock.monotonic() - started) / 1000)
      this.#flying = null
      this.#options.onStored()
      round.resolve()
      if (!this.#gathering.hasLedger) await this.#pace.gap()
    }
    this.#scheduled = false
  }

  /**
   * A write of its own: torn, it is the last group, which is dropped, and the first copies are still there. What is newer than they are, or
   * deletes them, is either durable by now and they are left out, or stands behind them.
   */
  async #storeCopies({ copies, resolve, reject }: Copying): Promise<void> {
    const still = copies.filter(({ entry, from }) => this.#track(entry.track).live?.get(entry.key) === from)
    this.#copying = null
    try {
      if (this.#dead) throw this.#dead
      if (still.length > 0) this.#land(await this.#options.ledger.store([this.#group(still.map(({ entry }) => entry), this.#options.ledger)]))
      resolve()
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      reject(error)
    }
  }

  #gatherAnew(): void {
    this.#gathering = new Round()
    for (const wake of this.#waiting.splice(0)) wake()
  }

  async #store(round: Round): Promise<void> {
    const { ledger, riderBytes } = this.#options
    const inCommits = round.bulk.some((entry) => entry.flags & FLAG_COMMIT)
    const rides = inCommits || (round.hasLedger && this.#riderBytes + round.bulkBytes <= riderBytes)
    if (round.unloads || this.#riderBytes > riderBytes) await this.unload()
    if (!rides && round.bulk.length > 0) await this.#storeBulk(round.bulk)
    const entries = rides ? [...round.ledger, ...round.bulk.filter((entry) => !(entry.flags & FLAG_COMMIT)).map(asRider)] : round.ledger
    const chunks = round.chunks.map(({ chunk }) => chunk)
    if (entries.length > 0) chunks.push(this.#group(entries, ledger))
    if (chunks.length > 0) this.#settle(round, await ledger.store(chunks), entries.length)
    if (!rides) return
    for (const entry of round.bulk) this.#carry(entry)
  }

  #carry(rider: Entry): void {
    this.#riders.push(rider)
    this.#riderBytes += entryBytes(rider)
    const track = this.#track(rider.track)
    track.durable = Math.max(track.durable, rider.offset + 1)
  }

  /** Behind those that ride, so that the order stays. */
  async #storeBulk(behind: readonly Entry[]): Promise<void> {
    const entries = [...this.#riders.filter(({ track, offset }) => offset >= this.#track(track).stored), ...behind]
    for (let from = 0; from < entries.length; from += MOST_ENTRIES) {
      const part = entries.slice(from, from + MOST_ENTRIES)
      await this.#options.bulk.store([this.#group(part, this.#options.bulk)])
      for (const { track, offset } of part) {
        this.#track(track).durable = Math.max(this.#track(track).durable, offset + 1)
        this.#track(track).stored = offset + 1
      }
    }
    this.#riders = []
    this.#riderBytes = 0
  }

  #group(entries: readonly Entry[], writer: SegmentWriter): Chunk {
    const ends = writer === this.#options.ledger ? this.#newEnds() : new Map<TrackId, number>()
    return { group: writer.takeGroup(), first: 0, count: entries.length, entries, marker: { names: [nameEntries(entries)], ends } }
  }

  #newEnds(): Map<TrackId, number> {
    const ends = new Map<TrackId, number>()
    for (const track of this.#options.catalog.tracksOf('bulk')) {
      if (track.stored > 0 && this.#ends.get(track.id) !== track.stored) ends.set(track.id, track.stored)
    }
    return ends
  }

  /** The ledger has it: chunks first, then the group of `count` entries. */
  #settle(round: Round, written: readonly Written[], count: number): void {
    for (const track of this.#options.catalog.tracksOf('bulk')) this.#ends.set(track.id, track.stored)
    let at = 0
    for (const { stream, chunk } of round.chunks) {
      for (const one of written.slice(at, (at += chunk.entries.length))) stream.written.push(one)
      if (chunk.marker) this.#land(stream.written)
    }
    if (count > 0) this.#land(written.slice(at))
  }

  #land(written: readonly Written[]): void {
    for (const { entry, at, segment } of written) {
      const track = this.#track(entry.track)
      if (entry.kind === KIND_RESET) track.live?.clear()
      if (entry.kind !== KIND_RECORD) continue
      if (!(entry.flags & FLAG_COPY)) track.durable = track.stored = entry.offset + 1
      track.time = Math.max(track.time, entry.time)
      if (!track.live) continue
      if (entry.key === HEADER_KEY && !(entry.flags & FLAG_COPY)) track.commits++
      if (entry.flags & FLAG_NULL) track.live.delete(entry.key)
      else track.live.set(entry.key, { offset: entry.offset, segment, at, bytes: entryBytes(entry) })
    }
  }

  /** Nothing behind what is durable counts: neither this round nor what was added since, which may have been made from it. */
  #lose(round: Round, error: PipelineError): void {
    const later = this.#gathering
    this.#flying = null
    this.#gatherAnew()
    const was = new Map<Track, number>()
    for (const track of this.#options.catalog.tracks()) {
      was.set(track, track.next)
      track.next = track.durable
    }
    this.#options.onLost(error, was)
    const code = error.code === 'DISK_FULL' || error.code === 'LOCKED' ? error.code : 'IO'
    round.reject(error.code === code ? error : new PipelineError(code, error.message, { cause: error }))
    later.reject(new PipelineError(code, `not written, as what came before it was not: ${error.message}`))
  }

  #track(id: TrackId): Track {
    return this.#options.catalog.track(id)
  }
}

function measure(round: Round, entry: Entry): void {
  round.bytes += entryBytes(entry) + ROOM_FOR_MARKERS
  round.count++
}

function rejected(error: PipelineError): Promise<void> {
  const promise = Promise.reject(error)
  promise.catch(() => undefined) // nobody has to listen, as with a round's
  return promise
}

function asRider(entry: Entry): Entry {
  return { ...entry, kind: KIND_RIDER }
}
