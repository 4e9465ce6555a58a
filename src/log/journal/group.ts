/**
 * A group: entries that count together, written at once or, when a commit is drawn lazily, in chunks between which other groups may lie.
 * Its marker comes last and names every entry, so that a lost one is known by name.
 */
import type { Segment } from './catalog.ts'
import { entryBytes, HEAD_BYTES, hashKey, KIND_MARKER, makeEntry, padded, writeEntry } from './entry.ts'
import type { Entry, TrackId } from './entry.ts'

/** The header counts entries in 16 bits; the gap leaves room for the marker's index. */
export const MOST_ENTRIES = 65_000
/** Of a commit drawn in chunks: its marker, which names each, is one entry and has to fit into the longest. */
export const MOST_STREAM_ENTRIES = 1_000_000

/** Groups are numbered in 32 bits, over and over: of two numbers the later is the one that is less than half of them ahead. */
export function isLaterGroup(number: number, than: number): boolean {
  return number !== than && ((number - than) >>> 0) < 0x80000000
}

export function groupAfter(number: number): number {
  return (number + 1) >>> 0
}

const NAME_BYTES = 16
const KIND_END = 0

/** What the marker says of one entry. */
export interface EntryName {
  readonly kind: number
  readonly flags: number
  readonly track: TrackId
  readonly keyHash: number
  readonly offset: number
}

/** Next offset of each track of the bulk files that was durable when a ledger group was written. */
export type Ends = ReadonlyMap<TrackId, number>

/** A run of one group's entries. */
export interface Chunk {
  readonly group: number
  /** Index of the first entry. */
  readonly first: number
  /** Entries of the whole group; 0: drawn lazily, the marker will tell. */
  readonly count: number
  readonly entries: readonly Entry[]
  /** Null while more chunks follow. */
  readonly marker: Marker | null
}

export interface Marker {
  /** As `nameEntries` made them, chunk by chunk. */
  readonly names: readonly Buffer[]
  readonly ends: Ends
}

export function nameEntries(entries: readonly Entry[]): Buffer {
  const names = Buffer.alloc(entries.length * NAME_BYTES)
  entries.forEach((entry, i) => writeName(names, i * NAME_BYTES, entry.kind, entry.flags, entry.track, hashKey(entry.key), entry.offset))
  return names
}

function writeName(into: Buffer, at: number, kind: number, flags: number, track: TrackId, keyHash: number, offset: number): void {
  into[at] = kind
  into[at + 1] = flags
  into.writeUInt32LE(track, at + 2)
  into.writeUInt32LE(keyHash, at + 6)
  into.writeUIntLE(offset, at + 10, 6)
}

/** `count`: as the marker's own header has it. */
export function readMarker(payload: Buffer, count: number): { names: EntryName[]; ends: Map<TrackId, number> } {
  const names: EntryName[] = []
  const ends = new Map<TrackId, number>()
  for (let at = 0; at + NAME_BYTES <= payload.length; at += NAME_BYTES) {
    const track = payload.readUInt32LE(at + 2)
    const offset = payload.readUIntLE(at + 10, 6)
    if (names.length < count) names.push({ kind: payload[at]!, flags: payload[at + 1]!, track, keyHash: payload.readUInt32LE(at + 6), offset })
    else ends.set(track, offset)
  }
  return { names, ends }
}

function markerEntry(marker: Marker, time: number): Entry {
  const ends = Buffer.alloc(marker.ends.size * NAME_BYTES)
  let at = 0
  for (const [track, high] of marker.ends) {
    writeName(ends, at, KIND_END, 0, track, 0, high)
    at += NAME_BYTES
  }
  return makeEntry({ kind: KIND_MARKER, track: 0, offset: 0, time, key: '', value: Buffer.concat([...marker.names, ends]) })
}

/** Where an entry came to lie. */
export interface Written {
  readonly entry: Entry
  readonly segment: Segment
  /** Of its header. */
  readonly at: number
}

/** A buffer for one write at a time, kept and grown so that writing allocates nothing. */
export class Arena {
  #bytes = Buffer.allocUnsafeSlow(64 * 1024)

  /** The chunks' bytes, to be written at the end of `segment`. The buffer is the arena's own until the next call. */
  encode(chunks: readonly Chunk[], segment: Segment, written: Written[]): Buffer {
    const markers = chunks.map((chunk) => (chunk.marker ? markerEntry(chunk.marker, chunk.entries.at(-1)?.time ?? 0) : null))
    this.#grow(sizeOf(chunks) + markers.reduce((sum, marker) => sum + (marker ? entryBytes(marker) : 0), 0))
    let at = 0
    chunks.forEach((chunk, c) => {
      const { group, count, entries } = chunk
      let index = chunk.first
      for (const entry of entries) {
        written.push({ entry, segment, at: segment.end + at })
        at = writeEntry(this.#bytes, at, entry, { segment: segment.id, group, index: index++, count })
      }
      const marker = markers[c]
      if (marker) at = writeEntry(this.#bytes, at, marker, { segment: segment.id, group, index, count })
    })
    return this.#bytes.subarray(0, at)
  }

  #grow(bytes: number): void {
    if (this.#bytes.length < bytes) this.#bytes = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)))
  }
}

/** Bytes on disk, the markers' left out. */
export function sizeOf(chunks: readonly Chunk[]): number {
  let bytes = 0
  for (const chunk of chunks) for (const entry of chunk.entries) bytes += entryBytes(entry)
  return bytes
}

/** Bytes of a marker on disk, what it says of the bulk files left out. */
export function markerBytes({ names }: Marker): number {
  return HEAD_BYTES + padded(names.reduce((sum, { length }) => sum + length, 0))
}
