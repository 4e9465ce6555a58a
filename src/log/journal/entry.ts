/** An entry: what a journal file is made of, 48 bytes of header, then key and value, padded to 8. Little-endian throughout. */
import { crc32 } from 'node:zlib'
import { TOPICS } from '../log.ts'
import type { Topic } from '../log.ts'

export const HEAD_BYTES = 48
/** Longest key and value together: what a damaged length can make a reader allocate. */
export const MOST_PAYLOAD_BYTES = 16 * 1024 * 1024
export const MOST_KEY_BYTES = 0xffff
/** Half of what the format holds, so that one more always fits. */
export const MOST_OFFSET = 2 ** 47
const MAGIC = 0x314a4b50 // PKJ1

/** Kinds of entry, as stored: append only, never renumber. */
export const KIND_RECORD = 1
/** Ends a group and names its entries. */
export const KIND_MARKER = 2
/** First entry of a file. */
export const KIND_START = 3
/** Last entry of a sealed file. */
export const KIND_FOOTER = 4
/** A record of a bulk topic that rides in a ledger group until the bulk file has it. */
export const KIND_RIDER = 5
/** Records of a topic's partition below `offset` are gone. */
export const KIND_LOW = 6
/** All keys of a compacted topic's partition written before are void; the rest of the group says what holds instead. */
export const KIND_RESET = 7
/** What counts of the ledger file numbered `offset`, and of those before it, stands again before this place: it may be gone. */
export const KIND_BASE = 8

/** The value is null. */
export const FLAG_NULL = 1
/** Part of a commit, which counts as a whole or not at all. */
export const FLAG_COMMIT = 2
/** A live record of a compacted topic written again, with its first offset and time; nothing newer of its key stands before it. */
export const FLAG_COPY = 4
/** Of a commit drawn in chunks: the header's two fields for index and count are one index of 32 bits, and only the marker knows the count. */
const FLAG_STREAM = 8

/** Topics as stored: append only, never reorder. */
const TOPIC_ORDER: readonly Topic[] = ['readings', 'dead-letters', 'state', 'incidents', 'requests', 'leases', 'actions']
const BULK: ReadonlySet<Topic> = new Set(['readings', 'dead-letters'])

/** Topics whose records leave the ledger for files of their own, so that it can be compacted without copying them for ever. */
export const ARCHIVED = ['incidents', 'requests', 'actions'] as const
export type ArchivedTopic = (typeof ARCHIVED)[number]

/** A topic's partition as one number: its place in the tables of a journal. */
export type TrackId = number

export function trackId(topic: Topic, partition: number): TrackId {
  return TOPIC_ORDER.indexOf(topic) * 0x10000 + partition
}

/** Undefined for a topic that a newer Picket wrote. */
export function topicOf(track: TrackId): Topic | undefined {
  return TOPIC_ORDER[Math.floor(track / 0x10000)]
}

export function partitionOfTrack(track: TrackId): number {
  return track % 0x10000
}

export function trackName(track: TrackId): string {
  return `${topicOf(track) ?? `topic ${Math.floor(track / 0x10000)}`}/${partitionOfTrack(track)}`
}

export function isBulk(track: TrackId): boolean {
  const topic = topicOf(track)
  return topic !== undefined && BULK.has(topic)
}

/** Null for a topic without an archive. */
export function archivedTopic(track: TrackId): ArchivedTopic | null {
  const topic = topicOf(track)
  return ARCHIVED.find((one) => one === topic) ?? null
}

export function allTracks(partitions: number): TrackId[] {
  return TOPIC_ORDER.flatMap((topic) => {
    const count = TOPICS[topic] === 'all' ? partitions : 1
    return Array.from({ length: count }, (_, partition) => trackId(topic, partition))
  })
}

/** What is to be written. */
export interface Entry {
  readonly kind: number
  readonly flags: number
  readonly track: TrackId
  readonly offset: number
  /** Append time, ms since epoch. */
  readonly time: number
  readonly key: string
  readonly keyBytes: number
  readonly value: Uint8Array
}

export function makeEntry(from: Pick<Entry, 'kind' | 'track' | 'offset' | 'time' | 'key'> & { flags?: number; value: Uint8Array | null }): Entry {
  const { kind, track, offset, time, key, value } = from
  const flags = (from.flags ?? 0) | (value === null ? FLAG_NULL : 0)
  return { kind, flags, track, offset, time, key, keyBytes: Buffer.byteLength(key), value: value ?? EMPTY }
}

const EMPTY = new Uint8Array(0)

/** What a header says. */
export interface Head {
  /** Of key and value, without padding. */
  readonly length: number
  /** CRC-32 of key, value and padding. */
  readonly check: number
  readonly group: number
  /** Place in the group; the marker's is the number of entries. */
  readonly index: number
  /** Entries in the group, the marker not counted; 0: only the marker knows. */
  readonly count: number
  readonly kind: number
  readonly flags: number
  readonly track: TrackId
  readonly keyBytes: number
  readonly offset: number
  readonly time: number
}

export function padded(bytes: number): number {
  return (bytes + 7) & ~7
}

export function entryBytes(entry: Entry): number {
  return HEAD_BYTES + padded(entry.keyBytes + entry.value.length)
}

export interface GroupPlace {
  readonly segment: number
  readonly group: number
  readonly index: number
  readonly count: number
}

/** Writes `entry` into `into` at `at`; gives the position after it, padding included. */
export function writeEntry(into: Buffer, at: number, entry: Entry, place: GroupPlace): number {
  const start = at + HEAD_BYTES
  const length = entry.keyBytes + entry.value.length
  if (entry.keyBytes > 0) into.write(entry.key, start, entry.keyBytes, 'utf8')
  into.set(entry.value, start + entry.keyBytes)
  const end = start + padded(length)
  into.fill(0, start + length, end)
  into.writeUInt32LE(MAGIC, at)
  into.writeUInt32LE(length, at + 8)
  into.writeUInt32LE(crc32(into.subarray(start, end)), at + 12)
  into.writeUInt32LE(place.segment, at + 16)
  into.writeUInt32LE(place.group, at + 20)
  into.writeUInt16LE(place.index % 0x10000, at + 24)
  into.writeUInt16LE(place.count === 0 ? Math.floor(place.index / 0x10000) : place.count, at + 26)
  into[at + 28] = entry.kind
  into[at + 29] = place.count === 0 && place.index >= 0x10000 ? entry.flags | FLAG_STREAM : entry.flags
  into.writeUInt16LE(Math.floor(entry.track / 0x10000), at + 30)
  into.writeUInt16LE(entry.track % 0x10000, at + 32)
  into.writeUInt16LE(entry.keyBytes, at + 34)
  into.writeUIntLE(entry.offset, at + 36, 6)
  into.writeUIntLE(Math.max(0, Math.floor(entry.time)), at + 42, 6)
  into.writeUInt32LE(crc32(into.subarray(at + 8, start)), at + 4)
  return end
}

/** Null when there is no sound header of this segment at `at`; `bytes` must reach 48 bytes from there. */
export function readHead(bytes: Buffer, at: number, segment: number): Head | null {
  if (bytes.readUInt32LE(at) !== MAGIC || bytes.readUInt32LE(at + 16) !== segment) return null
  if (bytes.readUInt32LE(at + 4) !== crc32(bytes.subarray(at + 8, at + HEAD_BYTES)) || bytes.readUIntLE(at + 36, 6) > MOST_OFFSET) return null
  const flags = bytes[at + 29]!
  const isLong = (flags & FLAG_STREAM) !== 0
  return {
    length: bytes.readUInt32LE(at + 8),
    check: bytes.readUInt32LE(at + 12),
    group: bytes.readUInt32LE(at + 20),
    index: isLong ? bytes.readUInt32LE(at + 24) : bytes.readUInt16LE(at + 24),
    count: isLong ? 0 : bytes.readUInt16LE(at + 26),
    kind: bytes[at + 28]!,
    flags: flags & ~FLAG_STREAM,
    track: bytes.readUInt16LE(at + 30) * 0x10000 + bytes.readUInt16LE(at + 32),
    keyBytes: bytes.readUInt16LE(at + 34),
    offset: bytes.readUIntLE(at + 36, 6),
    time: bytes.readUIntLE(at + 42, 6),
  }
}

/** `payload` is what follows the header, padding included. */
export function isSound(head: Head, payload: Buffer): boolean {
  return payload.length === padded(head.length) && head.keyBytes <= head.length && crc32(payload) === head.check
}

export function keyOf(head: Head, payload: Buffer): string {
  return payload.toString('utf8', 0, head.keyBytes)
}

/** A view of `payload`, not a copy; null when the record's value is. */
export function valueOf(head: Head, payload: Buffer): Buffer | null {
  return head.flags & FLAG_NULL ? null : payload.subarray(head.keyBytes, head.length)
}

export function hashKey(key: string): number {
  return crc32(key)
}
