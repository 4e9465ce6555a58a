/** What of the journal is known in memory: where each topic's partition begins and ends, which file holds what, where each live key stands. */
import { COMPACTED } from '../log.ts'
import { allTracks, isBulk, topicOf } from './entry.ts'
import type { TrackId } from './entry.ts'
import type { JournalName, Range, TrackBounds } from './segment.ts'

/** A range gets a place to start reading from about every so many bytes. */
const POINT_EVERY_BYTES = 64 * 1024

/** A file. */
export interface Segment {
  readonly journal: JournalName
  readonly id: number
  /** Position after the last whole group. */
  end: number
  readonly ranges: Map<TrackId, Range>
}

/** Where a live key's newest record stands. */
export interface Place {
  readonly offset: number
  readonly segment: Segment
  readonly at: number
  /** Of the entry on disk, header and padding included. */
  readonly bytes: number
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
  /** Compacted topics: the newest record of each key. */
  readonly live: Map<string, Place> | null

  constructor(id: TrackId) {
    this.id = id
    const topic = topicOf(id)
    this.live = topic && COMPACTED.has(topic) ? new Map() : null
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
  readonly bulk: Segment[] = []
  readonly ledger: Segment[] = []
  readonly #tracks = new Map<TrackId, Track>()

  constructor(partitions: number) {
    for (const id of allTracks(partitions)) this.#tracks.set(id, new Track(id))
  }

  segments(journal: JournalName): Segment[] {
    return journal === 'bulk' ? this.bulk : this.ledger
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

  tracksOf(journal: JournalName): Track[] {
    return [...this.#tracks.values()].filter((track) => isBulk(track.id) === (journal === 'bulk'))
  }

  /** A record stands in `segment` at `at`. Called in the order of the offsets. */
  place(segment: Segment, track: TrackId, offset: number, at: number): void {
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
    for (const segment of this.segments(isBulk(track) ? 'bulk' : 'ledger')) {
      const range = segment.ranges.get(track)
      if (range && range.max >= offset) return { segment, at: pointBefore(range.points, offset) }
    }
    return null
  }

  /** Offset of the oldest record of the track that a file still holds; null when none does. */
  oldest(track: TrackId): number | null {
    return this.locate(track, 0)?.segment.ranges.get(track)?.min ?? null
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
