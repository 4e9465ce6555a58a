/** Records and live keys from the files, each checked; what is damaged is told and left out. */
import { errorText, PipelineError } from '../../core/errors.ts'
import type { StoredRecord } from '../log.ts'
import type { Catalog, Live, Place, Segment, Track } from './catalog.ts'
import type { DamageReport } from './damage.ts'
import { HEAD_BYTES, isSound, KIND_MARKER, KIND_RECORD, keyOf, readHead, trackName, valueOf } from './entry.ts'
import type { Head } from './entry.ts'
import type { FilePort } from './files.ts'
import { scan } from './scan.ts'
import type { Visitor } from './scan.ts'
import { fileName } from './segment.ts'
import { codeOf } from './system-error.ts'

export interface Disk {
  readonly files: FilePort
  readonly catalog: Catalog
  readonly report: DamageReport
}

export interface SliceLimits {
  readonly records: number
  readonly bytes: number
}

/**
 * Consecutive records from `from` on, or from the first sound one past it; empty when the files have none there. They end before a gap.
 * Throws IO.
 */
export async function readRecords(disk: Disk, track: Track, from: number, limits: SliceLimits): Promise<StoredRecord[]> {
  const gathering = new Gathering(track, limits)
  for (let at = from; !gathering.isFull; ) {
    const place = disk.catalog.locate(track.id, at)
    if (!place) break
    const isThere = await readSegment(disk, gathering, at, place)
    at = isThere ? place.segment.ranges.get(track.id)!.max + 1 : Math.max(at, track.low)
  }
  return gathering.records
}

/** The records of one track that a slice takes. */
class Gathering {
  readonly track: Track
  readonly records: StoredRecord[] = []
  /** Nothing more goes in: it has its limit, or a gap follows. */
  isFull = false
  readonly #limits: SliceLimits
  #bytes = 0

  constructor(track: Track, limits: SliceLimits) {
    this.track = track
    this.#limits = limits
  }

  take(head: Head, payload: Buffer): void {
    const last = this.records.at(-1)
    this.#bytes += head.length
    this.isFull = last !== undefined && (head.offset !== last.offset + 1 || this.#bytes > this.#limits.bytes)
    if (this.isFull) return
    const value = valueOf(head, payload)
    this.records.push({ key: keyOf(head, payload), value: value && Buffer.from(value), offset: head.offset, time: head.time })
    this.isFull = this.records.length >= this.#limits.records
  }
}

type Located = NonNullable<ReturnType<Catalog['locate']>>

/** Gives false when retention has taken the file meanwhile. */
async function readSegment(disk: Disk, gathering: Gathering, from: number, { segment, at }: Located): Promise<boolean> {
  const { track } = gathering
  const name = fileName(segment.journal, segment.id)
  const isOurs = (head: Head) => head.track === track.id && head.kind === KIND_RECORD && head.offset >= from
  const visitor: Visitor = {
    wants: (head) => head.kind === KIND_MARKER || isOurs(head),
    entry({ head, at: place, payload, sound }) {
      if (head.kind === KIND_MARKER && !sound) disk.report.tell({ what: 'marker', file: name, at: place, detail: `the marker of group ${head.group} is damaged` })
      if (!isOurs(head)) return undefined
      if (sound) gathering.take(head, payload)
      else disk.report.tell({ what: 'entry', file: name, at: place, detail: `${trackName(track.id)} offset ${head.offset} is damaged and skipped` })
      return gathering.isFull ? 'stop' : undefined
    },
    junk(place, length) {
      disk.report.tell({ what: 'bytes', file: name, at: place, detail: `${length} bytes are no entry and were skipped` })
    },
  }
  try {
    const file = await disk.files.open(name, 'read')
    try {
      await scan({ file, segment: segment.id, from: at, to: segment.end, visitor })
    } finally {
      await file.close()
    }
  } catch (cause) {
    if (isTaken(disk, segment, cause)) return false
    throw new PipelineError('IO', `${disk.files.folder}/${name} can't be read: ${errorText(cause)}`, { cause })
  }
  return true
}

/** The newest records of a compacted track's live keys, in the order of their offsets, from `from` on. Throws IO. */
export async function readLive(disk: Disk, track: Track, from: number, limit: number): Promise<StoredRecord[]> {
  const places = [...(track.live ?? [])].filter(([, { offset }]) => offset >= from).toSorted(([, a], [, b]) => a.offset - b.offset)
  const records: StoredRecord[] = []
  const each: EachPlace = (key, value, { offset }, time) => void records.push({ key, value: Buffer.from(value), offset, time })
  await readPlaces(disk, places.slice(0, limit), each, track.live)
  return records.toSorted((a, b) => a.offset - b.offset)
}

/** Neighbours closer than this are read at once. */
const GAP_BYTES = 32 * 1024
const BATCH_BYTES = 1024 * 1024

type KeyPlace = [key: string, place: Place]
type EachPlace = (key: string, value: Buffer, place: Place, time: number) => void

/**
 * Gives each place's value, in the order of the files. One whose file compaction has taken meanwhile is looked up in `live`; gone from
 * there, or newer, it is left out. Throws IO when one can't be read, or is not what was written.
 */
export async function readPlaces(disk: Disk, places: Iterable<KeyPlace>, each: EachPlace, live: Live | null): Promise<void> {
  const sorted = [...places].toSorted(([, a], [, b]) => a.segment.id - b.segment.id || a.at - b.at)
  const moved: KeyPlace[] = []
  for (let first = 0; first < sorted.length; ) {
    let last = first
    while (last + 1 < sorted.length && isNear(sorted[first]![1], sorted[last]![1], sorted[last + 1]![1])) last++
    const batch = sorted.slice(first, last + 1)
    if (!(await readBatch(disk, batch, each))) moved.push(...batch)
    first = last + 1
  }
  const anew = moved.flatMap(([key, { offset }]): KeyPlace[] => {
    const place = live?.get(key)
    return place?.offset === offset ? [[key, place]] : []
  })
  if (anew.length > 0) await readPlaces(disk, anew, each, live)
}

function isNear(first: Place, last: Place, next: Place): boolean {
  if (next.segment !== first.segment) return false
  return next.at - (last.at + last.bytes) <= GAP_BYTES && next.at + next.bytes - first.at <= BATCH_BYTES
}

/** Gives false when the file is gone by right. */
async function readBatch(disk: Disk, batch: readonly KeyPlace[], each: EachPlace): Promise<boolean> {
  const { segment, at: start } = batch[0]![1]
  const last = batch.at(-1)![1]
  const name = fileName(segment.journal, segment.id)
  const bytes = Buffer.allocUnsafeSlow(last.at + last.bytes - start)
  try {
    const file = await disk.files.open(name, 'read')
    try {
      await file.read(bytes, start)
    } finally {
      await file.close()
    }
  } catch (cause) {
    if (isTaken(disk, segment, cause)) return false
    throw new PipelineError('IO', `${disk.files.folder}/${name} can't be read: ${errorText(cause)}`, { cause })
  }
  for (const [key, place] of batch) {
    const entry = bytes.subarray(place.at - start, place.at - start + place.bytes)
    const head = readHead(entry, 0, segment.id)
    const payload = entry.subarray(HEAD_BYTES)
    if (!head || !isSound(head, payload) || keyOf(head, payload) !== key) {
      disk.report.tell({ what: 'entry', file: name, at: place.at, detail: `the newest record of '${key}' was damaged after the log was opened` })
      throw new PipelineError('IO', `${disk.files.folder}/${name} is damaged at ${place.at} ('${key}'): start Picket anew, so that it goes back to an older state`)
    }
    each(key, valueOf(head, payload)!, place, head.time)
  }
  return true
}

/** The file was removed by retention or compaction while somebody was about to read it. */
function isTaken(disk: Disk, segment: Segment, cause: unknown): boolean {
  return codeOf(cause) === 'ENOENT' && !disk.catalog.segments(segment.journal).includes(segment)
}
