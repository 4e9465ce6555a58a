/** A file of the journal: its name, its header of 64 bytes, the entry it starts with, and the footer and tail that seal it. */
import { crc32 } from 'node:zlib'
import { ARCHIVED, HEAD_BYTES, isSound, KIND_FOOTER, KIND_START, makeEntry, MOST_OFFSET, padded, readHead, valueOf, writeEntry } from './entry.ts'
import type { ArchivedTopic, TrackId } from './entry.ts'
import type { OpenFile } from './files.ts'

/** The kinds of file, each a row of files of its own. */
export type JournalName = 'bulk' | 'ledger' | ArchivedTopic
export const JOURNALS: readonly JournalName[] = ['bulk', 'ledger', ...ARCHIVED]

/** Where the first entry stands. */
export const FILE_HEAD_BYTES = 64
const FILE_MAGIC = 0x4745534b // KSEG
/** 1 knew no archives and no compaction; what it wrote is read as it is. */
const FORMAT = 2
const TAIL_BYTES = 16

export function fileName(journal: JournalName, id: number): string {
  return `${journal}-${String(id).padStart(10, '0')}.seg`
}

/** The segment's number; null for a file that is none of this journal's. */
export function segmentOf(journal: JournalName, name: string): number | null {
  const match = /^([a-z]+)-(\d{10})\.seg$/.exec(name)
  return match?.[1] === journal ? Number(match[2]) : null
}

/** Whether such a file is one of a journal. */
export function isSegment(name: string): boolean {
  return JOURNALS.some((journal) => segmentOf(journal, name) !== null)
}

/** Bounds of a track when the file was begun. */
export interface TrackBounds {
  readonly track: TrackId
  readonly low: number
  readonly high: number
  readonly time: number
}

/** What a file knows of those before it, so that they may be unlinked. */
export interface Start {
  /** What counts of the file before ends at `end`, whatever else may stand in it; null in the first. */
  readonly previous: { readonly id: number; readonly end: number; readonly sealed: boolean } | null
  /** Number of the next group. */
  readonly group: number
  /** In the ledger those of the bulk files too, as far as these have them. */
  readonly tracks: readonly TrackBounds[]
  /** In the ledger: the bulk files were deleted by somebody, and what the ledger knew of them until here is void. */
  readonly bulkGone: boolean
  readonly layout: Layout
}

/** What the log was made with, and may not be opened otherwise. */
export interface Layout {
  readonly partitions: number
  /** `log.key`. */
  readonly key: string
}

/** Offsets of one track in one file; `points` are places to start reading from: offset, position, offset, position, … */
export interface Range {
  min: number
  max: number
  readonly points: number[]
}

/** What a sealed file says of itself. */
export interface Footer {
  /** Position after its last group. */
  readonly end: number
  /** Number of the next group. */
  readonly group: number
  readonly ranges: ReadonlyMap<TrackId, Range>
  /** Latest append time a track. */
  readonly times: ReadonlyMap<TrackId, number>
}

/** The head of a new file: header and start entry. */
export function encodeStart(id: number, start: Start): Buffer {
  const entry = makeEntry({ kind: KIND_START, track: 0, offset: 0, time: 0, key: '', value: Buffer.from(JSON.stringify(start)) })
  const bytes = Buffer.alloc(FILE_HEAD_BYTES + HEAD_BYTES + padded(entry.value.length))
  bytes.writeUInt32LE(FILE_MAGIC, 0)
  bytes.writeUInt32LE(FORMAT, 4)
  bytes.writeUInt32LE(id, 8)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, FILE_HEAD_BYTES - 4)), FILE_HEAD_BYTES - 4)
  writeEntry(bytes, FILE_HEAD_BYTES, entry, { segment: id, group: 0, index: 0, count: 0 })
  return bytes
}

/** What is wrong with a file's header; null when nothing is. A format newer than ours is no damage. */
export function checkFileHead(bytes: Buffer, id: number): 'damaged' | 'newer' | null {
  const check = FILE_HEAD_BYTES - 4
  if (bytes.length < FILE_HEAD_BYTES || bytes.readUInt32LE(0) !== FILE_MAGIC || bytes.readUInt32LE(check) !== crc32(bytes.subarray(0, check))) return 'damaged'
  if (bytes.readUInt32LE(4) > FORMAT) return 'newer'
  return bytes.readUInt32LE(8) === id ? null : 'damaged'
}

/** Null when the bytes don't say. */
export function parseStart(value: Buffer): Start | null {
  const start = parseJson(value) as Start | null
  if (!isObject(start) || !isGroup(start.group) || !isLayout(start.layout) || typeof start.bulkGone !== 'boolean') return null
  if (start.previous !== null && !(isObject(start.previous) && isCount(start.previous.id) && isCount(start.previous.end))) return null
  const areBounds = Array.isArray(start.tracks) && start.tracks.every((one: TrackBounds) => isObject(one) && isTrack(one.track) && [one.low, one.high].every(isOffset) && isTime(one.time))
  return areBounds ? start : null
}

function isLayout(layout: Layout): boolean {
  return isObject(layout) && isCount(layout.partitions) && layout.partitions < 0x10000 && typeof layout.key === 'string'
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= Number.MAX_SAFE_INTEGER
}

function isGroup(value: unknown): boolean {
  return isCount(value) && (value as number) < 2 ** 32
}

function isTrack(value: unknown): boolean {
  return isCount(value) && (value as number) < 2 ** 32
}

function isOffset(value: unknown): boolean {
  return isCount(value) && (value as number) <= MOST_OFFSET
}

/** Not always whole: it is the clock's. */
function isTime(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value < 2 ** 47
}

/** Null for what is no JSON. */
function parseJson(value: Buffer): unknown {
  try {
    return JSON.parse(value.toString('utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

export function encodeFooter(id: number, footer: Footer): Buffer {
  const { end, group } = footer
  const ranges = [...footer.ranges].map(([track, { min, max, points }]) => ({ track, min, max, points, time: footer.times.get(track) ?? 0 }))
  const body = Buffer.from(JSON.stringify({ end, group, ranges }))
  const entry = makeEntry({ kind: KIND_FOOTER, track: 0, offset: 0, time: 0, key: '', value: body })
  const bytes = Buffer.alloc(HEAD_BYTES + padded(body.length) + TAIL_BYTES)
  const at = writeEntry(bytes, 0, entry, { segment: id, group: 0, index: 0, count: 0 })
  bytes.writeUInt32LE(HEAD_BYTES + padded(body.length), at)
  bytes.writeUInt32LE(id, at + 4)
  bytes.writeUInt32LE(FILE_MAGIC, at + 8)
  bytes.writeUInt32LE(crc32(bytes.subarray(at, at + 12)), at + 12)
  return bytes
}

/** Null when the file is not sealed, or its footer is damaged. */
export async function readFooter(file: OpenFile, id: number): Promise<Footer | null> {
  const size = await file.size()
  if (size < FILE_HEAD_BYTES + HEAD_BYTES + TAIL_BYTES) return null
  const tail = Buffer.alloc(TAIL_BYTES)
  if ((await file.read(tail, size - TAIL_BYTES)) < TAIL_BYTES) return null
  if (tail.readUInt32LE(12) !== crc32(tail.subarray(0, 12)) || tail.readUInt32LE(8) !== FILE_MAGIC || tail.readUInt32LE(4) !== id) return null
  const length = tail.readUInt32LE(0)
  if (length > size - TAIL_BYTES - FILE_HEAD_BYTES || length < HEAD_BYTES) return null
  const bytes = Buffer.alloc(length)
  if ((await file.read(bytes, size - TAIL_BYTES - length)) < length) return null
  const head = readHead(bytes, 0, id)
  if (!head || head.kind !== KIND_FOOTER) return null
  const body = bytes.subarray(HEAD_BYTES)
  const value = isSound(head, body) ? valueOf(head, body) : null
  return value && parseFooter(value)
}

/** Whether what stands behind the file's last group, at `end`, is no footer or the beginning of one: nothing of it was damaged, it was never written to its end. */
export async function isFooterCut(file: OpenFile, id: number, end: number): Promise<boolean> {
  const left = (await file.size()) - end
  if (left < HEAD_BYTES) return true
  const bytes = Buffer.alloc(HEAD_BYTES)
  if ((await file.read(bytes, end)) < HEAD_BYTES) return true
  const head = readHead(bytes, 0, id)
  return head?.kind === KIND_FOOTER && left < HEAD_BYTES + padded(head.length) + TAIL_BYTES
}

type StoredRange = Range & { readonly track: TrackId; readonly time: number }

interface StoredFooter {
  readonly end: number
  readonly group: number
  readonly ranges: readonly StoredRange[]
}

function isRange(range: StoredRange): boolean {
  if (!isObject(range) || !isTrack(range.track) || ![range.min, range.max].every(isOffset) || !isTime(range.time)) return false
  return Array.isArray(range.points) && range.points.length >= 2 && range.points.length % 2 === 0 && range.points.every(isCount)
}

/** Null when the bytes don't say. */
export function parseFooter(body: Buffer): Footer | null {
  const stored = parseJson(body) as StoredFooter | null
  if (!isObject(stored) || !isCount(stored.end) || !isGroup(stored.group) || !Array.isArray(stored.ranges)) return null
  const { end, group, ranges } = stored
  if (!ranges.every(isRange)) return null
  return {
    end,
    group,
    ranges: new Map(ranges.map(({ track, min, max, points }) => [track, { min, max, points }])),
    times: new Map(ranges.map(({ track, time }) => [track, time])),
  }
}
