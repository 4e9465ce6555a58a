/**
 * Keeps the ledger from growing with history: what still counts of its oldest file is written again, live state to the ledger's end, the
 * records of other topics to their archives; then the file goes. In the background, a batch at a time, while commits go on.
 */
import { errorText, isPipelineError, PipelineError } from '../../core/errors.ts'
import type { Clock } from '../../ops/clock.ts'
import type { Logger } from '../../ops/logger.ts'
import type { Archives } from './archives.ts'
import type { Catalog, Segment, Track } from './catalog.ts'
import type { DamageReport } from './damage.ts'
import { archivedTopic, FLAG_COMMIT, FLAG_COPY, KIND_BASE, KIND_RECORD, keyOf, makeEntry, trackName, valueOf } from './entry.ts'
import type { Entry } from './entry.ts'
import type { FilePort } from './files.ts'
import type { Copy, Flusher } from './flush.ts'
import { scan } from './scan.ts'
import type { Found } from './scan.ts'
import { FILE_HEAD_BYTES, fileName } from './segment.ts'

/** Written again at a time, beside the commits of the same round. */
const BATCH_BYTES = 256 * 1024
const BATCH_ENTRIES = 1_024
/** Read at a time: what the loop is held for. */
const SCAN_BYTES = 256 * 1024
/** A state that commits no more does not keep an emptied file for longer. */
const PATIENCE_MS = 60_000
/** After an error, until it is tried again. */
const AGAIN_MS = 1_000

export interface CompactionOptions {
  readonly files: FilePort
  readonly catalog: Catalog
  readonly flusher: Flusher
  readonly archives: Archives
  readonly clock: Clock
  readonly logger: Logger | undefined
  readonly report: DamageReport
  /** The ledger may have so many bytes beyond twice those that are live. */
  readonly spareBytes: number
  /** Whether the disk has room for what is written again; asked before each batch. */
  readonly hasRoom: () => Promise<boolean>
  /** Throws LOCKED when the folder is no longer this process's. */
  readonly checkHold: () => Promise<void>
}

/** A file all of which stands again elsewhere. */
interface Emptied {
  readonly segment: Segment
  /** Commits each state had had by then. */
  readonly commits: ReadonlyMap<Track, number>
  /** `Clock.monotonic`. */
  readonly at: number
}

export class Compaction {
  readonly #options: CompactionOptions
  #under: Promise<void> | null = null
  /** The oldest files of the ledger, in order: they wait to go. */
  readonly #emptied: Emptied[] = []
  /** `Clock.monotonic` of the next try. */
  #notBefore = 0
  #stopped = false

  constructor(options: CompactionOptions) {
    this.#options = options
  }

  /** Looks whether something is to be done, in the background. Called after each flush. */
  look(): void {
    if (this.#under || this.#stopped || !this.#hasWork() || this.#options.clock.monotonic() < this.#notBefore) return
    this.#under = this.#work().finally(() => (this.#under = null))
  }

  /** Ends it after the batch under way, for good. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#under
  }

  #hasWork(): boolean {
    return this.#mayGo(this.#emptied[0]) || this.#isDue()
  }

  #isDue(): boolean {
    const { catalog, flusher, spareBytes } = this.#options
    const next = this.#next()
    if (!next || next.id >= flusher.oldestInUse) return false
    const waiting = this.#emptied.reduce((sum, { segment }) => sum + segment.end, 0)
    return catalog.bytes('ledger') - waiting > 2 * catalog.liveBytes() + spareBytes
  }

  /** The oldest file that is not emptied; never the one being written. */
  #next(): Segment | undefined {
    const { ledger } = this.#options.catalog
    return ledger.slice(0, -1).find((segment) => !this.#emptied.some((one) => one.segment === segment))
  }

  /** Every state can go back one commit without the file: it has committed since, or has long stopped to. */
  #mayGo(emptied: Emptied | undefined): boolean {
    if (!emptied) return false
    if (this.#options.clock.monotonic() - emptied.at >= PATIENCE_MS) return true
    return [...emptied.commits].every(([track, before]) => track.commits > before)
  }

  async #work(): Promise<void> {
    try {
      if (this.#mayGo(this.#emptied[0])) await this.#drop(this.#emptied[0]!.segment)
      else await this.#empty(this.#next()!)
    } catch (error) {
      this.#notBefore = this.#options.clock.monotonic() + AGAIN_MS
      if (isPipelineError(error, 'BAD_RECORD')) this.#giveUp(error)
      else if (!isPipelineError(error, 'LOCKED')) this.#options.logger?.warn({ error: errorText(error) }, 'the oldest file of the ledger could not be compacted, trying again')
    }
  }

  /** What it has can't all be read; only the next start, which goes back to an older state, helps. */
  #giveUp({ message }: PipelineError): void {
    this.#stopped = true
    this.#options.logger?.error({}, message)
  }

  /** Nothing to tell: that the disk is full was told, and goes on of itself. */
  #waitForRoom(): void {
    this.#notBefore = this.#options.clock.monotonic() + AGAIN_MS
  }

  async #empty(segment: Segment): Promise<void> {
    const { catalog, flusher, archives, clock, hasRoom } = this.#options
    const reached = new Map<Track, number>()
    for (let at = FILE_HEAD_BYTES; at < segment.end; ) {
      if (!(await hasRoom())) return this.#waitForRoom()
      const batch = new Batch(segment, catalog, reached)
      at = await this.#scan(segment, at, batch)
      if (this.#stopped) return
      await archives.store(batch.records)
      if (batch.copies.length > 0) await flusher.addCopies(batch.copies)
      if (this.#stopped) return
    }
    if (segment.liveBytes > 0) throw this.#damaged(segment)
    await archives.finish(segment.id, new Set([...segment.ranges.keys()].map(archivedTopic).filter((topic) => topic !== null)))
    await flusher.unloaded()
    await flusher.add([makeEntry({ kind: KIND_BASE, track: 0, offset: segment.id, time: 0, key: '', value: null })])
    const states = [...catalog.tracks()].filter(({ live }) => live && live.size > 0)
    this.#emptied.push({ segment, commits: new Map(states.map((track) => [track, track.commits])), at: clock.monotonic() })
  }

  async #scan(segment: Segment, from: number, batch: Batch): Promise<number> {
    const file = await this.#options.files.open(fileName('ledger', segment.id), 'read')
    const { report } = this.#options
    const place = { file: fileName('ledger', segment.id) }
    const visitor = {
      wants: ({ kind }: Found['head']) => kind === KIND_RECORD,
      entry: (found: Found) => {
        const { head, at, sound } = found
        // What is live is told when all of the file was read, and stays; the others have no other place to be missed from.
        if (!sound && archivedTopic(head.track)) report.tell({ what: 'entry', ...place, at, detail: `${trackName(head.track)} offset ${head.offset} (group ${head.group}) is damaged and skipped` })
        return batch.take(found)
      },
      junk: (at: number, bytes: number) => {
        if (at > FILE_HEAD_BYTES) report.tell({ what: 'bytes', ...place, at, detail: `${bytes} bytes are no entry and were skipped` })
      },
    }
    try {
      return await scan({ file, segment: segment.id, from, to: segment.end, visitor, chunkBytes: SCAN_BYTES })
    } finally {
      await file.close()
    }
  }

  /** One file at a time, the oldest first, each for sure before the next: a gap would look like a loss. */
  async #drop(segment: Segment): Promise<void> {
    const { files, catalog, archives, checkHold } = this.#options
    await checkHold()
    if (catalog.ledger[0] === segment) catalog.ledger.shift()
    await removeIfThere(files, fileName('ledger', segment.id))
    await files.syncFolder()
    this.#emptied.shift()
    await archives.expire()
  }

  #damaged(segment: Segment): PipelineError {
    const name = `${this.#options.files.folder}/${fileName('ledger', segment.id)}`
    const text = `${name} was damaged after the log was opened: ${segment.liveBytes} bytes of newest state in it can't be read, and the ledger only grows until Picket is started anew`
    return new PipelineError('BAD_RECORD', text)
  }
}

async function removeIfThere(files: FilePort, name: string): Promise<void> {
  const names = await files.list()
  if (names.includes(name)) await files.unlink(name)
}

/** What a stretch of the file has that still counts. */
class Batch {
  readonly copies: Copy[] = []
  /** For the archives. */
  readonly records: Entry[] = []
  readonly #segment: Segment
  readonly #catalog: Catalog
  /** Next offset that an archive lacks. */
  readonly #reached: Map<Track, number>
  #bytes = 0

  constructor(segment: Segment, catalog: Catalog, reached: Map<Track, number>) {
    this.#segment = segment
    this.#catalog = catalog
    this.#reached = reached
  }

  take({ head, at, end, payload, sound }: Found): 'stop' | undefined {
    if (head.kind !== KIND_RECORD || !sound) return undefined
    const track = this.#catalog.track(head.track)
    const key = keyOf(head, payload)
    const from = track.live?.get(key)
    const isLive = from !== undefined && from.segment === this.#segment && from.at === at
    const isKept = archivedTopic(head.track) !== null && head.offset >= track.low && head.offset >= this.#next(track)
    if (!isLive && !isKept) return undefined
    const value = valueOf(head, payload)
    const flags = isLive ? FLAG_COPY | FLAG_COMMIT : head.flags
    const entry = makeEntry({ kind: KIND_RECORD, flags, track: track.id, offset: head.offset, time: head.time, key, value: value && Buffer.from(value) })
    if (isLive) this.copies.push({ entry, from })
    else {
      this.records.push(entry)
      this.#reached.set(track, head.offset + 1)
    }
    this.#bytes += end - at
    return this.#bytes >= BATCH_BYTES || this.copies.length + this.records.length >= BATCH_ENTRIES ? 'stop' : undefined
  }

  #next(track: Track): number {
    return this.#reached.get(track) ?? this.#catalog.archivedTo(track.id)
  }
}
