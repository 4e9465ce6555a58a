/** What the groups of the files amount to: the catalog, the records that still ride in the ledger, and which state is not to be trusted. */
import { decodeHeader, HEADER_KEY } from '../header.ts'
import type { Header } from '../header.ts'
import type { AssemblySink, Group, Lost, Placed } from './assembly.ts'
import { spoils } from './assembly.ts'
import type { Catalog, Live, Track } from './catalog.ts'
import { FLAG_COMMIT, FLAG_COPY, hashKey, isBulk, KIND_BASE, KIND_LOW, KIND_RECORD, KIND_RESET, KIND_RIDER, topicOf } from './entry.ts'
import type { Head, TrackId } from './entry.ts'

/** Poison that only a reset takes away: nobody knows which keys are meant. */
const ANY_KEY = 'any'

/** Why a compacted track can't be trusted, and up to which group it could. */
interface Health {
  /** Keys whose newest record is lost, by hash; commits in doubt as `group N`; or `any`. */
  readonly poison: Set<string>
  /** How many groups had been counted when it was last without poison. */
  cleanAt: number
  /** The newest header seen, in the order of the file. */
  header: Buffer | null
}

export interface ReplayOptions {
  readonly catalog: Catalog
  /** Groups to count; the rest is ignored. All where left out. */
  readonly stopAfter?: number
}

export class Replay implements AssemblySink {
  /** Records of bulk topics that were written to the ledger. */
  riders: Placed[] = []
  /** Records of the bulk files' last group, which did not come to be whole. */
  rescued: Placed[] = []
  /** Next offsets of bulk tracks that the ledger says were durable. */
  readonly ends = new Map<TrackId, number>()
  /** Number of the oldest file there is. */
  firstFile = 0
  #groups = 0
  /** By ledger file: how many groups had been counted when what counts of it stood again behind it. */
  readonly #bases = new Map<number, number>()
  readonly #catalog: Catalog
  readonly #stopAfter: number
  readonly #health = new Map<TrackId, Health>()

  constructor(options: ReplayOptions) {
    this.#catalog = options.catalog
    this.#stopAfter = options.stopAfter ?? Infinity
  }

  /** Which values the replay needs, beside keys and places. */
  static keeps(head: Head, key: string): boolean {
    return head.kind === KIND_RIDER || key === HEADER_KEY
  }

  /** What the start of a ledger file says the bulk files had. */
  bulkReached(track: TrackId, high: number): void {
    this.ends.set(track, Math.max(this.ends.get(track) ?? 0, high))
  }

  /** The bulk files were made anew: what the ledger said of them is void. */
  forgetBulk(): void {
    this.riders = []
    this.ends.clear()
    for (const track of this.#catalog.tracksOf('bulk')) track.low = 0
  }

  group(group: Group): void {
    if (this.#groups >= this.#stopAfter) return
    this.#groups++
    for (const entry of group.entries) this.#apply(entry)
    for (const lost of group.lost) this.#lose(lost)
    if (group.unnamed > 0) this.suspect(0, null)
    for (const [track, high] of group.ends) this.ends.set(track, high)
    if (group.ends.size > 0) this.riders = this.riders.filter(({ head }) => head.offset >= (this.ends.get(head.track) ?? 0))
    for (const health of this.#health.values()) if (health.poison.size === 0) health.cleanAt = this.#groups
  }

  suspect(group: number, tracks: ReadonlySet<TrackId> | null): void {
    if (this.#groups >= this.#stopAfter) return
    const suspects = tracks ? [...tracks].map((id) => this.#catalog.track(id)) : [...this.#catalog.tracks()]
    for (const track of suspects) {
      if (track.live) this.#healthOf(track.id).poison.add(tracks ? `group ${group}` : ANY_KEY)
    }
  }

  cleared(group: number): void {
    for (const { poison } of this.#health.values()) poison.delete(`group ${group}`)
  }

  /** What was appended and not part of a commit may be kept; only what rides here has no other place to come back from. */
  dropped(entries: readonly Placed[]): void {
    if (this.#groups >= this.#stopAfter) return
    this.riders.push(...entries.filter(({ head }) => head.kind === KIND_RIDER && !(head.flags & FLAG_COMMIT)))
  }

  salvaged(entries: readonly Placed[]): void {
    this.rescued.push(...entries.filter(({ head }) => head.kind === KIND_RECORD))
  }

  /** Whether a record rides here. */
  carries(track: TrackId, offset: number): boolean {
    return this.riders.some(({ head }) => head.track === track && head.offset === offset)
  }

  /** Compacted tracks whose newest state is not whole, each with the number of groups after which it was, and the newest header seen. */
  *spoiled(): Iterable<{ track: TrackId; cleanAt: number; header: Header | null }> {
    const base = this.#base()
    for (const [track, { poison, cleanAt, header }] of this.#health) {
      if (poison.size > 0) yield { track, cleanAt: cleanAt < base ? 0 : cleanAt, header: header && decodeHeader(header) }
    }
  }

  /** Before so many groups the state as it was is no longer whole: parts of it were in files that are gone. */
  #base(): number {
    return Math.max(0, ...[...this.#bases].filter(([file]) => file < this.firstFile).map(([, groups]) => groups))
  }

  #apply(placed: Placed): void {
    const { head, segment, at } = placed
    if (topicOf(head.track) === undefined) return
    const track = this.#catalog.track(head.track)
    if (head.kind === KIND_RECORD) {
      advance(track, head.offset, head.time)
      if (!(head.flags & FLAG_COPY)) this.#catalog.place(segment, head, at)
      if (track.live) this.#revive(track.live, placed)
    } else if (head.kind === KIND_RIDER) {
      this.riders.push(placed)
    } else if (head.kind === KIND_BASE) {
      this.#bases.set(head.offset, this.#groups)
    } else if (head.kind === KIND_LOW) {
      track.low = Math.max(track.low, head.offset)
    } else if (head.kind === KIND_RESET && track.live) {
      track.live.clear()
      this.#healthOf(track.id).poison.clear()
    }
  }

  #revive(live: Live, { head, segment, at, end, key, value }: Placed): void {
    const health = this.#healthOf(head.track)
    if (value && value.length > 0) health.header = value
    if (value === null) live.delete(key)
    else live.set(key, { offset: head.offset, segment, at, bytes: end - at })
    health.poison.delete(`${hashKey(key)}`)
  }

  #lose(lost: Lost): void {
    if (topicOf(lost.track) === undefined) return
    const track = this.#catalog.track(lost.track)
    // A rider's offset counts when its turn comes: the bulk file may have the record.
    if (lost.kind === KIND_RIDER) this.bulkReached(track.id, lost.offset + 1)
    // In the bulk files a lost record counts when one behind it, the next file or the ledger says so: else it may never have been flushed.
    if (lost.kind === KIND_RECORD && !isBulk(track.id)) advance(track, lost.offset, 0)
    if (!track.live || !spoils(lost)) return
    this.#healthOf(track.id).poison.add(lost.kind === KIND_RESET || lost.keyHash === null ? ANY_KEY : `${lost.keyHash}`)
  }

  #healthOf(track: TrackId): Health {
    let health = this.#health.get(track)
    if (!health) this.#health.set(track, (health = { poison: new Set(), cleanAt: 0, header: null }))
    return health
  }
}

function advance(track: Track, offset: number, time: number): void {
  track.next = Math.max(track.next, offset + 1)
  track.time = Math.max(track.time, time)
}

/** The riders, and what was rescued, that the bulk files don't have: each once, in the order of their offsets. */
export function ridersLeft(riders: readonly Placed[], catalog: Catalog): Placed[] {
  const left = riders.filter(({ head }) => isBulk(head.track) && head.offset >= catalog.track(head.track).next)
  const seen = new Set<string>()
  const isFirst = ({ head }: Placed) => seen.size < seen.add(`${head.track} ${head.offset}`).size
  return left.filter(isFirst).toSorted((a, b) => a.head.offset - b.head.offset)
}
