/** The embedded log: the log port over files in one folder of one process. `docs/journal.md` has the format and the order of writes. */
import type { PipelineError } from '../../core/errors.ts'
import type { Clock } from '../../ops/clock.ts'
import type { Logger } from '../../ops/logger.ts'
import type { Gauge, Metrics } from '../../ops/metrics.ts'
import type { Random } from '../../ops/random.ts'
import type { Appended, Bounds, Log, LogRecord, Opened, Owned, Partition, Slice, Topic } from '../log.ts'
import { checkLayout } from '../takeover.ts'
import { Archives } from './archives.ts'
import { Compaction } from './compaction.ts'
import { Core } from './core.ts'
import { DamageReport } from './damage.ts'
import type { Damage } from './damage.ts'
import { ARCHIVED, KIND_RECORD, makeEntry } from './entry.ts'
import { nodeFiles } from './files.ts'
import type { FilePort, Hold } from './files.ts'
import { Flusher } from './flush.ts'
import { Owning } from './owning.ts'
import { recover } from './recovery.ts'
import type { Recovered } from './recovery.ts'
import { repairState } from './repair.ts'
import { Reserve } from './reserve.ts'
import { checkRestored } from './restoring.ts'
import { Retention } from './retention.ts'
import { JOURNALS } from './segment.ts'
import type { JournalName } from './segment.ts'
import { lockingError, openingError } from './system-error.ts'
import { Watch } from './watch.ts'
import { SegmentWriter } from './writer.ts'
import type { WriterOptions } from './writer.ts'

export interface JournalOptions {
  /** The folder; made when it is missing. */
  readonly path: string
  /** Of the topics marked `all`. */
  readonly partitions: number
  /** `log.key` of the config. */
  readonly key: string
  /** Of this process, for `holder`; 'picket' where left out. */
  readonly name?: string
  readonly clock: Clock
  readonly random: Random
  readonly logger?: Logger
  readonly metrics?: Metrics
  /** The disk; that of the system where left out. */
  readonly files?: FilePort
  readonly onDamage?: (damage: Damage) => void
  /** Bytes after which a file is ended; `archive` as `ledger` where left out. */
  readonly segmentBytes?: { readonly bulk: number; readonly ledger: number; readonly archive?: number }
  /** Bytes of readings and dead letters that are kept. */
  readonly retentionBytes?: number
  /** How long they are kept, from their append, ms. */
  readonly retentionAgeMs?: number
  /** Bytes set aside for a full disk; 0: none. */
  readonly reserveBytes?: number
  /** Bytes of frames that may ride in the ledger; 0: none do. */
  readonly riderBytes?: number
  /** Bytes of newest records kept in memory. */
  readonly recentBytes?: number
  /** A commit is drawn and written in chunks of about so many bytes. */
  readonly chunkBytes?: number
}

const MiB = 1024 * 1024
const DEFAULTS = {
  segmentBytes: { bulk: 64 * MiB, ledger: 32 * MiB, archive: 8 * MiB },
  retentionBytes: 8 * 1024 * MiB,
  retentionAgeMs: 7 * 86_400_000,
  reserveBytes: 16 * MiB,
  riderBytes: MiB / 4,
  recentBytes: 16 * MiB,
  chunkBytes: MiB / 4,
}

export interface JournalStats {
  /** On the disk, of each kind of file. */
  readonly bytes: Readonly<Record<JournalName, number>>
  readonly files: Readonly<Record<JournalName, number>>
  /** Found since the start, the first thousand. */
  readonly damaged: readonly Damage[]
}

/**
 * Locks the folder and recovers what is in it; what was damaged is reported and skipped. Throws LOCKED, PARTITIONS_CHANGED, BAD_CONFIG for
 * a folder that can't be used or that a newer Picket wrote, IO, DISK_FULL. Once the folder is deleted or replaced under it, all that
 * works with it rejects with LOCKED.
 */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const files = options.files ?? nodeFiles(options.path)
  const hold = await lock(files, options.random.id())
  try {
    return await openHeld(files, options, hold)
  } catch (error) {
    throw openingError(error, files.folder)
  }
}

async function lock(files: FilePort, token: string): Promise<Hold> {
  try {
    return await files.lock(token)
  } catch (error) {
    throw lockingError(error, files.folder)
  }
}

async function openHeld(files: FilePort, options: JournalOptions, hold: Hold): Promise<Journal> {
  try {
    return await openLocked(files, options, hold)
  } catch (error) {
    await hold.release()
    throw error
  }
}

async function openLocked(files: FilePort, options: JournalOptions, hold: Hold): Promise<Journal> {
  const settings = { ...DEFAULTS, ...options }
  const { partitions, key, clock, logger, metrics } = options
  const layout = { partitions, key }
  const report = new DamageReport(options)
  checkRestored(await files.list(), files.folder)
  for (const name of await files.list()) if (name.endsWith('.seg.tmp')) await files.unlink(name)
  const recovered = await recover({ files, partitions, report })
  if (recovered.layout) checkLayout(recovered.layout, layout)
  const { catalog } = recovered
  const onLeft = (file: string, error: unknown) => logger?.error({ file, error: String(error) }, 'a file of the journal is left as it is after an error')
  const onEvicted = (error: PipelineError) => {
    core.evict(error)
    flusher.fail(error)
    owning.fail(error)
  }
  const watch = new Watch({ folder: files.folder, hold, clock, logger, onEvicted })
  const checkHold = () => watch.check()
  const full = metrics?.gauge('picket_journal_disk_full', '1 while the disk is full and nothing is taken from devices.')
  const reserve = new Reserve({ files, bytes: settings.reserveBytes, clock, logger, full, checkHold })
  const writers = makeWriters({ files, catalog, layout, checkHold, onLeft, onFull: () => reserve.release() }, settings.segmentBytes, recovered)
  const core: Core = new Core({ files, catalog, report, clock, partitions, reserve, recentBytes: settings.recentBytes, onLost: () => owning.revoke() })
  const retention = new Retention({ files, catalog, clock, bytes: settings.retentionBytes, ageMs: settings.retentionAgeMs, logger, checkHold })
  const bytes = metrics?.gauge('picket_journal_bytes', 'Bytes of the journal on the disk.', ['journal'])
  const flusher: Flusher = new Flusher({
    ...writers,
    catalog,
    clock,
    riderBytes: settings.riderBytes,
    seconds: metrics?.histogram('picket_journal_flush_seconds', 'From the start of a write to the end of its sync.'),
    onLost: (error, was) => core.onLost(error, was),
    onStored: () => {
      core.onStored()
      retention.look()
      compaction.look()
      if (bytes) tellBytes(bytes, catalog)
    },
  })
  core.attach(flusher)
  const archives = new Archives({ files, catalog, clock, writers, checkHold, setLow: (track, before) => core.setLow(track, before) })
  const spareBytes = 2 * settings.segmentBytes.ledger
  const compaction: Compaction = new Compaction({ files, catalog, flusher, archives, clock, logger, report, spareBytes, hasRoom: () => reserve.leavesRoom(), checkHold })
  const owning = new Owning({
    core,
    flusher,
    clock,
    logger,
    partitions,
    key,
    chunkBytes: settings.chunkBytes,
    onCut: (topic, partition, next) => topic === 'state' && retention.onCut(partition, next),
  })
  await reserve.open()
  await prepare(recovered, writers, flusher)
  await repairState({ files, catalog, replay: recovered.replay, flusher, report, partitions, layout, now: clock.now() })
  watch.start(async () => (await writers.bulk.isInPlace()) && (await writers.ledger.isInPlace()))
  return new Journal({ core, flusher, owning, retention, compaction, reserve, report, writers, partitions, name: options.name ?? 'picket', watch, hold })
}

type Writers = Readonly<Record<JournalName, SegmentWriter>>
type SegmentBytes = NonNullable<JournalOptions['segmentBytes']>

function makeWriters(options: Omit<WriterOptions, 'journal' | 'segmentBytes' | 'nextGroup'>, { bulk, ledger, archive = ledger }: SegmentBytes, { nextGroup }: Recovered): Writers {
  const segmentBytes = { bulk, ledger, ...(Object.fromEntries(ARCHIVED.map((topic) => [topic, archive])) as Record<(typeof ARCHIVED)[number], number>) }
  const writer = (journal: JournalName) => new SegmentWriter({ ...options, journal, segmentBytes: segmentBytes[journal], nextGroup: nextGroup[journal] })
  return Object.fromEntries(JOURNALS.map((journal) => [journal, writer(journal)])) as unknown as Writers
}

/** Before anything is taken: a place for the bulk records, and in it those that only the ledger had. */
async function prepare(recovered: Recovered, writers: Writers, flusher: Flusher): Promise<void> {
  if (recovered.bulkGone) await writers.ledger.roll({ bulkGone: true })
  if (recovered.catalog.bulk.length === 0) await writers.bulk.roll()
  const riders = recovered.riders.map(({ head, key, value }) => {
    const { flags, track, offset, time } = head
    return makeEntry({ kind: KIND_RECORD, flags, track, offset, time, key, value })
  })
  flusher.resume(riders)
  await flusher.unload()
}

function tellBytes(gauge: Gauge, catalog: Recovered['catalog']): void {
  for (const journal of JOURNALS) gauge.set(catalog.bytes(journal), { journal })
}

interface JournalParts {
  readonly core: Core
  readonly flusher: Flusher
  readonly owning: Owning
  readonly retention: Retention
  readonly compaction: Compaction
  readonly reserve: Reserve
  readonly report: DamageReport
  readonly writers: Writers
  readonly partitions: number
  readonly name: string
  readonly watch: Watch
  readonly hold: Hold
}

export class Journal implements Log {
  readonly partitions: number
  readonly #parts: JournalParts
  #closing: Promise<void> | null = null

  constructor(parts: JournalParts) {
    this.partitions = parts.partitions
    this.#parts = parts
  }

  append(topic: Topic, partition: number, records: readonly LogRecord[]): Promise<Appended> {
    return this.#parts.core.append(topic, partition, records)
  }

  consume(open: (owned: Partition) => Promise<Opened>, signal: AbortSignal): Promise<void> {
    return this.#parts.owning.consume(open, signal)
  }

  lead(name: string, run: (owned: Owned) => Promise<void>, signal: AbortSignal): Promise<void> {
    return this.#parts.owning.lead(name, run, signal)
  }

  tail(topic: Topic, from: ReadonlyMap<number, number>, each: (slice: Slice) => Promise<void>, signal: AbortSignal): Promise<void> {
    return this.#parts.owning.tail(topic, from, each, signal)
  }

  async read(topic: Topic, partition: number, from: number, limit: number): Promise<Slice | null> {
    this.#parts.core.checkOpen()
    return this.#parts.core.slice(topic, partition, from, limit)
  }

  async bounds(topic: Topic, partition: number): Promise<Bounds> {
    this.#parts.core.checkOpen()
    return this.#parts.core.bounds(topic, partition)
  }

  flushed(): Promise<void> {
    return this.#parts.core.flushed()
  }

  reasons(): readonly string[] {
    return this.#parts.core.reasons()
  }

  holder(place: string): string | null {
    return this.#parts.owning.isHeld(place) ? this.#parts.name : null
  }

  /** Retention by hand: records below `before` are gone, and the files that hold nothing else. */
  async trim(topic: Topic, partition: number, before: number): Promise<void> {
    const { core, retention } = this.#parts
    core.checkOpen()
    await core.setLow(core.track(topic, partition), before)
    await retention.settled()
    await retention.run()
  }

  stats(): JournalStats {
    const { core, report } = this.#parts
    const each = (count: (journal: JournalName) => number) => Object.fromEntries(JOURNALS.map((journal) => [journal, count(journal)])) as Record<JournalName, number>
    return { bytes: each((journal) => core.catalog.bytes(journal)), files: each((journal) => core.catalog.segments(journal).length), damaged: [...report.found] }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** The files are sealed and the folder let go even where the last flush fails, which is then told; that the folder is gone was told before. */
  async #close(): Promise<void> {
    const { core, owning, retention, compaction, reserve, writers, watch, hold } = this.#parts
    await owning.close()
    await compaction.stop()
    try {
      if (!core.isEvicted) await this.#flushAll()
    } finally {
      core.close()
      await retention.settled()
      await reserve.stop()
      for (const journal of JOURNALS) await writers[journal].close()
      watch.stop()
      await hold.release()
    }
  }

  async #flushAll(): Promise<void> {
    const { core, flusher } = this.#parts
    await core.flushed()
    core.close()
    await core.flushed()
    await flusher.unload()
  }
}
