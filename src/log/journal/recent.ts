/** The newest records, kept in memory: detect and respond read what was just appended without touching the disk. */
import type { StoredRecord } from '../log.ts'
import type { Track } from './catalog.ts'

/** What a record costs beside its value. */
const RECORD_BYTES = 128
/** Shifting an array costs; it is cut only when so much of it is gone. */
const CUT_AFTER = 1_024

class Run {
  readonly track: Track
  records: StoredRecord[] = []
  /** Records at the front that were dropped and not yet cut. */
  gone = 0

  constructor(track: Track) {
    this.track = track
  }

  /** Offset of the oldest that is kept. */
  get start(): number {
    return this.track.next - (this.records.length - this.gone)
  }
}

export class Recent {
  readonly #budget: number
  readonly #runs = new Map<Track, Run>()
  /** One entry a record, in the order of the appends over all tracks: the oldest goes first. */
  #order: Run[] = []
  #head = 0
  #bytes = 0

  /** `budget`: bytes kept; what is not yet in its file is kept in any case. */
  constructor(budget: number) {
    this.#budget = budget
  }

  /** Call it after `track.next` has moved past the record. */
  push(track: Track, record: StoredRecord): void {
    let run = this.#runs.get(track)
    if (!run) this.#runs.set(track, (run = new Run(track)))
    run.records.push(record)
    this.#order.push(run)
    this.#bytes += sizeOf(record)
  }

  /** Up to `limit` records and `bytes` from `from` on; null when the oldest of them are no longer kept. */
  read(track: Track, from: number, limit: number, bytes: number): StoredRecord[] | null {
    const run = this.#runs.get(track)
    if (!run || from < run.start) return from >= track.next ? [] : null
    const records: StoredRecord[] = []
    let size = 0
    for (let i = run.gone + from - run.start; i < run.records.length && records.length < limit; i++) {
      const record = run.records[i]!
      size += record.value?.length ?? 0
      if (size > bytes && records.length > 0) break
      records.push(record)
    }
    return records
  }

  /** Offset of the oldest record kept of the track; its end when none is. */
  start(track: Track): number {
    return this.#runs.get(track)?.start ?? track.next
  }

  /** Drops the oldest beyond the budget, as far as the files have them. */
  shrink(): void {
    for (let looked = this.#order.length - this.#head; this.#bytes > this.#budget && looked > 0; looked--) {
      const run = this.#order[this.#head++]!
      if (run.start < run.track.stored) this.#drop(run)
      else this.#order.push(run)
    }
    if (this.#head > CUT_AFTER && this.#head * 2 > this.#order.length) {
      this.#order = this.#order.slice(this.#head)
      this.#head = 0
    }
  }

  /** Forgets what was lost. Call it after the tracks were set back; `was` tells where each stood before. */
  forget(was: ReadonlyMap<Track, number>): void {
    for (const [track, next] of was) {
      const run = this.#runs.get(track)
      const lost = next - track.next
      if (!run || lost === 0) continue
      for (const record of run.records.splice(run.records.length - lost)) this.#bytes -= sizeOf(record)
      // The order keeps its entries: a run that is asked for more than it has gives nothing.
    }
  }

  #drop(run: Run): void {
    const record = run.records[run.gone]
    if (!record) return
    this.#bytes -= sizeOf(record)
    run.gone++
    if (run.gone <= CUT_AFTER || run.gone * 2 <= run.records.length) return
    run.records = run.records.slice(run.gone)
    run.gone = 0
  }
}

function sizeOf(record: StoredRecord): number {
  return RECORD_BYTES + (record.value?.length ?? 0)
}
