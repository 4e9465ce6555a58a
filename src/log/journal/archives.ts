/**
 * Where incidents, requests and actions go when compaction takes the ledger file they stand in: files of their own, a row a topic, whose
 * sealed ones no start reads. Whole files go again by age; those of actions never do.
 */
import type { Clock } from '../../ops/clock.ts'
import type { Catalog, Segment, Track } from './catalog.ts'
import { archivedTopic, ARCHIVED, KIND_BASE, makeEntry } from './entry.ts'
import type { ArchivedTopic, Entry } from './entry.ts'
import type { FilePort } from './files.ts'
import { nameEntries } from './group.ts'
import { fileName } from './segment.ts'
import type { SegmentWriter } from './writer.ts'

const DAY_MS = 86_400_000

/** How long a topic's records are kept; actions, which are not named, for ever. */
const KEPT_MS: Partial<Record<ArchivedTopic, number>> = { incidents: 400 * DAY_MS, requests: 90 * DAY_MS }

export interface ArchivesOptions {
  readonly files: FilePort
  readonly catalog: Catalog
  readonly clock: Clock
  readonly writers: Readonly<Record<ArchivedTopic, SegmentWriter>>
  /** Throws LOCKED when the folder is no longer this process's. */
  readonly checkHold: () => Promise<void>
  /** Records of the track below `before` are gone, and stay so. Durable when it resolves. */
  readonly setLow: (track: Track, before: number) => Promise<void>
}

export class Archives {
  readonly #options: ArchivesOptions

  constructor(options: ArchivesOptions) {
    this.#options = options
  }

  /** Records as they stood in the ledger, in order; durable when it resolves. Throws as `SegmentWriter.store`. */
  async store(entries: readonly Entry[]): Promise<void> {
    for (const topic of ARCHIVED) {
      const ours = entries.filter(({ track }) => archivedTopic(track) === topic)
      if (ours.length > 0) await this.#append(topic, ours)
    }
  }

  /**
   * All that counts of ledger file `id` was stored, in these archives. The last group of a journal, when it is damaged, can't be told from a
   * torn one and is dropped whole: so that it is none with records, one without goes behind them.
   */
  async finish(id: number, topics: Iterable<ArchivedTopic>): Promise<void> {
    for (const topic of topics) await this.#append(topic, [makeEntry({ kind: KIND_BASE, track: 0, offset: id, time: 0, key: '', value: null })])
  }

  /** Removes what is too old. Throws LOCKED, IO, DISK_FULL, and the system's errors. */
  async expire(): Promise<void> {
    for (const topic of ARCHIVED) {
      const segments = this.#options.catalog.segments(topic)
      while (segments.length > 1 && this.#isExpired(segments[0]!)) await this.#remove(segments[0]!, segments)
    }
  }

  #isExpired({ journal, time }: Segment): boolean {
    const keptMs = KEPT_MS[journal as ArchivedTopic] ?? Infinity
    return this.#options.clock.now() - time > keptMs
  }

  /** The ledger knows before the file goes, so that nobody takes what is gone for lost. */
  async #remove(oldest: Segment, segments: Segment[]): Promise<void> {
    const { files, catalog, checkHold, setLow } = this.#options
    await checkHold()
    for (const [id, { max }] of oldest.ranges) await setLow(catalog.track(id), max + 1)
    segments.shift()
    await files.unlink(fileName(oldest.journal, oldest.id))
    await files.syncFolder()
  }

  async #append(topic: ArchivedTopic, entries: readonly Entry[]): Promise<void> {
    const writer = this.#options.writers[topic]
    const marker = { names: [nameEntries(entries)], ends: new Map() }
    await writer.store([{ group: writer.takeGroup(), first: 0, count: entries.length, entries, marker }])
  }
}
