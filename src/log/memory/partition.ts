/** One partition of the memory log: its records, its bounds, and the readers that stand in it. */
import { assert } from '../../core/assert.ts'
import type { Bounds, LogRecord, Slice, StoredRecord } from '../log.ts'

/** Records a compacted partition may gather before what is superseded is dropped. */
const COMPACT_EVERY = 256

/** A place to read on from. `broken`: records it had passed were lost, so what it read is not what the log says. */
export interface Reader {
  next: number
  broken: boolean
}

export class MemoryPartition {
  readonly #number: number
  readonly #compacted: boolean
  #records: StoredRecord[] = []
  #low = 0
  #high = 0
  /** Everything below survives a crash. */
  #stored = 0
  #time = 0
  #grown = 0
  readonly #readers = new Set<Reader>()

  constructor(number: number, options: { readonly compacted: boolean }) {
    this.#number = number
    this.#compacted = options.compacted
  }

  bounds(): Bounds {
    return { low: this.#low, high: this.#high }
  }

  /** Gives the offset. `now`: ms since epoch, of whoever keeps the partition; the append time never goes back. */
  append(record: LogRecord, now: number): number {
    assert(record.value !== null || this.#compacted, 'only a compacted topic has keys to delete')
    this.#time = Math.max(this.#time, now)
    this.#records.push({ key: record.key, value: record.value, offset: this.#high, time: this.#time })
    this.#grown++
    return this.#high++
  }

  /** What lies below `to` is durable from now on. */
  store(to: number): void {
    this.#stored = Math.min(Math.max(this.#stored, to), this.#high)
    if (this.#compacted && this.#grown >= COMPACT_EVERY) this.#compact()
  }

  /** Loses what was never stored, from `to` on. Their offsets will be used again. */
  truncate(to: number): void {
    if (to >= this.#high) return
    assert(to >= this.#stored, 'what is stored is not lost')
    this.#records.length = this.#indexOf(to)
    this.#high = to
    for (const reader of this.#readers) if (reader.next > to) reader.broken = true
  }

  /** Retention: drops what lies below `before`. */
  trim(before: number): void {
    const low = Math.min(before, this.#high)
    if (low <= this.#low) return
    this.#records.splice(0, this.#indexOf(low))
    this.#low = low
  }

  /** Empty, offsets from 0. */
  recreate(): void {
    this.#records = []
    this.#low = this.#high = this.#stored = this.#time = 0
    for (const reader of this.#readers) if (reader.next > 0) reader.broken = true
  }

  slice(from: number, limit: number): Slice | null {
    const index = this.#indexOf(from)
    const records = this.#records.slice(index, index + limit)
    const last = records.at(-1)
    if (!last) return null
    return { partition: this.#number, records, next: last.offset + 1, lost: Math.max(0, this.#low - from) }
  }

  /** Records from `from` on. */
  available(from: number): number {
    return this.#records.length - this.#indexOf(from)
  }

  all(): readonly StoredRecord[] {
    return [...this.#records]
  }

  /** The newest record of each key that is not deleted, oldest first. */
  live(): StoredRecord[] {
    return this.#records.filter(newestOf(this.#records)).filter((record) => record.value !== null)
  }

  enter(from: number): Reader {
    const reader = { next: from, broken: from > this.#high }
    this.#readers.add(reader)
    return reader
  }

  leave(reader: Reader): void {
    this.#readers.delete(reader)
  }

  /** A newer record that may still be lost supersedes nothing. */
  #compact(): void {
    this.#grown = 0
    const end = this.#indexOf(this.#stored)
    const stored = this.#records.slice(0, end)
    const kept = stored.filter(newestOf(stored)).filter((record) => record.value !== null)
    this.#records = [...kept, ...this.#records.slice(end)]
  }

  /** Index of the first record at or past an offset. */
  #indexOf(offset: number): number {
    let low = 0
    let high = this.#records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#records[middle]!.offset < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}

function newestOf(records: readonly StoredRecord[]): (record: StoredRecord) => boolean {
  const newest = new Map(records.map((record) => [record.key, record.offset]))
  return (record) => newest.get(record.key) === record.offset
}
