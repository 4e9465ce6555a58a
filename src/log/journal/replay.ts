/** What the groups of the files amount to: the catalog, the records that still ride in the ledger, and which state is not to be trusted. */
import { decodeHeader, HEADER_KEY } from '../header.ts'
import type { Header } from '../header.ts'
import type { AssemblySink, Group, Lost, Placed } from './assembly.ts'
import { spoils } from './assembly.ts'
import type { Catalog, Track } from './catalog.ts'
import { FLAG_COMMIT, hashKey, isBulk, KIND_LOW, KIND_RECORD, KIND_RESET, KIND_RIDER, topicOf } from './entry.ts'
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
  /** Next offsets of bulk tracks that the ledger says were durable. */
  readonly ends = new Map<TrackId, number>()
  #groups = 0
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

  /** Compacted tracks whose newest state is not whole, each with the number of groups after which it was, and the newest header seen. */
  *spoiled(): Iterable<{ track: TrackId; cleanAt: number; header: Header | null }> {
    for (const [track, { poison, cleanAt, header }] of this.#health) {
      if (poison.size > 0) yield { track, cleanAt, header: header && decodeHeader(header) }
    }
  }

  #apply({ head, segment, at, end, key, value }: Placed): void {
    if (topicOf(head.track) === undefined) return
    const track = this.#catalog.track(head.track)
    if (head.kind === KIND_RECORD) {
      advance(track, head.offset, head.time)
      this.#catalog.place(segment, track.id, head.offset, at)
      if (!track.live) return
      if (value) this.#healthOf(track.id).header = value.length > 0 ? value : this.#healthOf(track.id).header
      if (value === null) track.live.delete(key)
      else track.live.set(key, { offset: head.offset, segment, at, bytes: end - at })
      this.#healthOf(track.id).poison.delete(`${hashKey(key)}`)
    } else if (head.kind === KIND_RIDER) {
      this.riders.push({ head, segment, at, end, key, value })
    } else if (head.kind === KIND_LOW) {
      track.low = Math.max(track.low, head.offset)
    } else if (head.kind === KIND_RESET && track.live) {
      track.live.clear()
      this.#healthOf(track.id).poison.clear()
    }
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

/** The riders that the bulk files don't have, in the order they were written. */
export function ridersLeft(riders: readonly Placed[], catalog: Catalog): Placed[] {
  return riders.filter(({ head }) => isBulk(head.track) && head.offset >= catalog.track(head.track).next)
}
