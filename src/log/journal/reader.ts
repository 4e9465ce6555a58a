/** The journal opened to be read only, beside the process that writes it: `picket log read`. Takes no lock and changes nothing. */
import { assert } from '../../core/assert.ts'
import { errorText, isPipelineError, PipelineError } from '../../core/errors.ts'
import { TOPICS } from '../log.ts'
import type { Bounds, Slice, StoredRecord, Topic } from '../log.ts'
import type { Track } from './catalog.ts'
import { DamageReport } from './damage.ts'
import type { Damage } from './damage.ts'
import { trackId } from './entry.ts'
import { nodeFiles } from './files.ts'
import type { FilePort } from './files.ts'
import { readLive, readRecords } from './reading.ts'
import { Recovery } from './recovery.ts'
import type { Recovered } from './recovery.ts'
import { checkRestored } from './restoring.ts'
import { codeOf } from './system-error.ts'

const SLICE_RECORDS = 1_024
const SLICE_BYTES = 4 * 1024 * 1024
/** Looks for one answer: files go while the folder is looked at, but not as fast as that. */
const MOST_TRIES = 16

/** A record is seen once its whole group is in the file, which is a moment before its writer knows it durable. */
export interface JournalReader {
  readonly partitions: number
  /** What was damaged when it was looked at. */
  readonly damaged: readonly Damage[]
  bounds(topic: Topic, partition: number): Promise<Bounds>
  /** As the log port's; before it says null it looks for what was written since. Throws IO. */
  read(topic: Topic, partition: number, from: number, limit: number): Promise<Slice | null>
  close(): Promise<void>
}

/** Throws BAD_CONFIG where there is no journal, IO. */
export async function openJournalReader(path: string, files: FilePort = nodeFiles(path)): Promise<JournalReader> {
  const looking = new Looking(files)
  const found = await looking.look()
  if (!found.layout) throw new PipelineError('BAD_CONFIG', `there is no log in ${files.folder}`)
  return new Reader({ files, looking, found, partitions: found.layout.partitions })
}

/** Looks at the folder again and again: goes on where it stood, or starts over where the files it stood in are gone. */
class Looking {
  readonly report = new DamageReport({})
  readonly #files: FilePort
  #recovery: Recovery

  constructor(files: FilePort) {
    this.#files = files
    this.#recovery = this.#anew()
  }

  /** A file may go between the look at the folder and the look into it. */
  async look(): Promise<Recovered> {
    for (let tries = 1; ; tries++) {
      try {
        const names = await this.#files.list()
        checkRestored(names, this.#files.folder)
        if (!this.#recovery.goesOn(names)) this.#recovery = this.#anew()
        return await this.#recovery.run()
      } catch (cause) {
        if (cause instanceof PipelineError) throw cause
        this.#recovery = this.#anew()
        if (codeOf(cause) !== 'ENOENT' || tries === MOST_TRIES || !(await this.#isThere())) throw await this.#toPipelineError(cause)
      }
    }
  }

  #anew(): Recovery {
    return new Recovery({ files: this.#files, partitions: 0, report: this.report })
  }

  async #toPipelineError(cause: unknown): Promise<PipelineError> {
    const { folder } = this.#files
    const isMissing = ['ENOENT', 'ENOTDIR'].includes(codeOf(cause)) && !(await this.#isThere())
    if (isMissing) return new PipelineError('BAD_CONFIG', `there is no log in ${folder}`, { cause })
    return new PipelineError('IO', `the log in ${folder} can't be read: ${errorText(cause)}`, { cause })
  }

  async #isThere(): Promise<boolean> {
    try {
      return (await this.#files.list()).length > 0
    } catch {
      return false // the caller has the error to tell
    }
  }
}

interface ReaderParts {
  readonly files: FilePort
  readonly looking: Looking
  readonly found: Recovered
  readonly partitions: number
}

class Reader implements JournalReader {
  readonly partitions: number
  readonly #parts: ReaderParts
  #found: Recovered

  constructor(parts: ReaderParts) {
    this.partitions = parts.partitions
    this.#parts = parts
    this.#found = parts.found
  }

  get damaged(): readonly Damage[] {
    return this.#parts.looking.report.found
  }

  async bounds(topic: Topic, partition: number): Promise<Bounds> {
    const { low, high } = this.#track(topic, partition)
    return { low, high }
  }

  async read(topic: Topic, partition: number, from: number, limit: number): Promise<Slice | null> {
    for (let tries = 1; tries < MOST_TRIES; tries++) {
      const slice = await this.#sliceOfKnown(topic, partition, from, limit)
      if (slice || (slice === null && tries > 1)) return slice
      this.#found = await this.#parts.looking.look()
    }
    return this.#slice(topic, partition, from, limit)
  }

  async close(): Promise<void> {
    // No file is kept open.
  }

  /** Undefined when a file was taken since the last look. */
  async #sliceOfKnown(topic: Topic, partition: number, from: number, limit: number): Promise<Slice | null | undefined> {
    try {
      return await this.#slice(topic, partition, from, limit)
    } catch (error) {
      if (isPipelineError(error, 'IO') && codeOf(error.cause) === 'ENOENT') return undefined
      throw error
    }
  }

  async #slice(topic: Topic, partition: number, from: number, limit: number): Promise<Slice | null> {
    const track = this.#track(topic, partition)
    const start = Math.max(from, track.low)
    const { files, looking } = this.#parts
    const disk = { files, report: looking.report, catalog: this.#found.catalog }
    const limits = { records: Math.min(limit, SLICE_RECORDS), bytes: SLICE_BYTES }
    const stored = track.live ? await readLive(disk, track, start, limits.records) : await readRecords(disk, track, start, limits)
    const records = stored.length > 0 ? stored : this.#riding(track, start, limits.records)
    const first = records[0]
    if (!first) return null
    return { partition, records, next: records.at(-1)!.offset + 1, lost: track.live ? 0 : first.offset - from }
  }

  /** Records that only the ledger has so far. */
  #riding(track: Track, from: number, limit: number): StoredRecord[] {
    const riders = this.#found.riders.filter(({ head }) => head.track === track.id && head.offset >= from)
    return riders.slice(0, limit).map(({ head, key, value }) => ({ key, value, offset: head.offset, time: head.time }))
  }

  #track(topic: Topic, partition: number): Track {
    assert(partition < (TOPICS[topic] === 'all' ? this.partitions : 1), `there is no ${topic}/${partition}`)
    return this.#found.catalog.track(trackId(topic, partition))
  }
}
