/** What of the journal is known in memory: where each topic's partition begins and ends, which file holds what, where each live key stands. */
import { COMPACTED } from '../log.ts'
import { allTracks, archivedTopic, isBulk, topicOf } from './entry.ts'
import type { TrackId } from './entry.ts'
import { JOURNALS } from './segment.ts'
import type { JournalName, Range, TrackBounds } from './segment.ts'

/** A range gets a place to start reading from about every so many bytes. */
const POINT_EVERY_BYTES = 64 * 1024

/** A file. */
export class Segment {
  readonly journal: JournalName
  readonly id: number
  /** Position after the last whole group. */
  end: number
  readonly ranges = new Map<TrackId, Range>()
  /** Append time of its newest record, ms since epoch; 0 without one. */
  time = 0
  /** Bytes of the live records of compacted topics in it. */
  liveBytes = 0

  constructor(journal: JournalName, id: number, end: number) {
    this.journal = journal
    this.id = id
    this.end = end
  }
}

/** Where a live key's newest record stands. */
export interface Place {
  readonly offset: number
  readonly segment: Segment
  readonly at: number
  /** Of the entry on disk, header and padding included. */
  readonly bytes: number
}

/** The newest record of each key of a compacted topic's partition. */
export class Live {
  readonly #places = new Map<string, Place>()
  /** Of all of them together, on disk. */
  bytes = 0

  get size(): number {
    return this.#places.size
  }

  get(key: string): Place | undefined {
    return this.#places.get(key)
  }

  set(key: string, place: Place): void {
    this.delete(key)
    this.#places.set(key, place)
    this.bytes += place.bytes
    place.segment.liveBytes += place.bytes
  }

  delete(key: string): void {
    const place = this.#places.get(key)
    if (!place) return
    this.#places.delete(key)
    this.bytes -= place.bytes
    place.segment.liveBytes -= place.bytes
  }

  clear(): void {
    for (const key of this.#places.keys()) this.delete(key)
  }

  [Symbol.iterator](): IterableIterator<[string, Place]> {
    return this.#places[Symbol.iterator]()
  }
}

/** One topic's partition. */
export class Track {
  readonly id: TrackId
  /** Offset of the oldest record kept. */
  low = 0
  /** Offset the next record will get. */
  next = 0
  /** Records below survive a power cut. */
  durable = 0
  /** Records below can be read from their own file; behind `durable` while records ride in the ledger. */
  stored = 0
  /** Append time of the newest, ms since epoch. */
  time = 0
  /** Commits of this state since the log was opened. */
  commits = 0
  /** Compacted topics only. */
  readonly live: Live | null

  constructor(id: TrackId) {
    this.id = id
    const topic = topicOf(id)
    this.live = topic && COMPACTED.has(topic) ? new Live() : null
  }

  /** What readers may see; a compacted topic shows what is durable. */
  get high(): number {
    return this.live ? this.durable : this.next
  }

  /** What its own files have. */
  get bounds(): TrackBounds {
    return { track: this.id, low: this.low, high: this.stored, time: this.time }
  }
}

export class Catalog {
  readonly #segments = new Map<JournalName, Segment[]>(JOURNALS.map((journal) => [journal, []]))
  readonly #tracks = new Map<TrackId, Track>()

  constructor(partitions: number) {
    for (const id of allTracks(partitions)) this.#tracks.set(id, new Track(id))
  }

  get bulk(): Segment[] {
    return this.segments('bulk')
  }

  get ledger(): Segment[] {
    return this.segments('ledger')
  }

  /** Oldest first. */
  segments(journal: JournalName): Segment[] {
    return this.#segments.get(journal)!
  }

  /** Bytes of a journal's files. */
  bytes(journal: JournalName): number {
    return this.segments(journal).reduce((sum, { end }) => sum + end, 0)
  }

  /** Bytes of what compaction has to keep. */
  liveBytes(): number {
    let bytes = 0
    for (const { live } of this.#tracks.values()) bytes += live?.bytes ?? 0
    return bytes
  }

  /** Made when missing: a log made with more partitions is still read to the end, so that its header can refuse us. */
  track(id: TrackId): Track {
    let track = this.#tracks.get(id)
    if (!track) this.#tracks.set(id, (track = new Track(id)))
    return track
  }

  tracks(): Iterable<Track> {
    return this.#tracks.values()
  }

  tracksOf(journal: 'bulk' | 'ledger'): Track[] {
    return [...this.#tracks.values()].filter((track) => isBulk(track.id) === (journal === 'bulk'))
  }

  /** A record stands in `segment` at `at`. Called in the order of the offsets. */
  place(segment: Segment, record: { readonly track: TrackId; readonly offset: number; readonly time: number }, at: number): void {
    const { track, offset, time } = record
    segment.time = Math.max(segment.time, time)
    const range = segment.ranges.get(track)
    if (!range) {
      segment.ranges.set(track, { min: offset, max: offset, points: [offset, at] })
      return
    }
    range.max = Math.max(range.max, offset)
    if (at - range.points.at(-1)! >= POINT_EVERY_BYTES) range.points.push(offset, at)
  }

  /** The first file that holds a record of the track at or past `offset`, and where to start reading it. */
  locate(track: TrackId, offset: number): { segment: Segment; at: number } | null {
    const archive = archivedTopic(track)
    const archived = archive && this.#locateIn(archive, track, offset)
    return archived ?? this.#locateIn(isBulk(track) ? 'bulk' : 'ledger', track, offset)
  }

  /** Offset of the oldest record of the track that a file still holds; null when none does. */
  oldest(track: TrackId): number | null {
    return this.locate(track, 0)?.segment.ranges.get(track)?.min ?? null
  }

  /** One past the last record of the track that its archive has; 0 when it has none. */
  archivedTo(track: TrackId): number {
    const archive = archivedTopic(track)
    const newest = archive && this.segments(archive).findLast(({ ranges }) => ranges.has(track))
    return newest ? newest.ranges.get(track)!.max + 1 : 0
  }

  #locateIn(journal: JournalName, track: TrackId, offset: number): { segment: Segment; at: number } | null {
    for (const segment of this.segments(journal)) {
      const range = segment.ranges.get(track)
      if (range && range.max >= offset) return { segment, at: pointBefore(range.points, offset) }
    }
    return null
  }
}

/** Position of the last point at or below `offset`; of the first when all lie past it. */
function pointBefore(points: readonly number[], offset: number): number {
  let low = 0
  let high = points.length / 2 - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (points[middle * 2]! <= offset) low = middle
    else high = middle - 1
  }
  return points[low * 2 + 1]!
}
