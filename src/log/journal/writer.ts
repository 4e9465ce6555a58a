/** Writes groups to the newest file of one journal and makes them durable; begins a new file when that is full, or can't be trusted. */
import { errorText, isPipelineError, PipelineError } from '../../core/errors.ts'
import { Segment } from './catalog.ts'
import type { Catalog } from './catalog.ts'
import { FLAG_COPY, isBulk, KIND_RECORD } from './entry.ts'
import type { FilePort, OpenFile } from './files.ts'
import { Arena, groupAfter, markerBytes, sizeOf } from './group.ts'
import type { Chunk, Written } from './group.ts'
import { encodeFooter, encodeStart, fileName } from './segment.ts'
import type { JournalName, Layout } from './segment.ts'
import { isFull } from './system-error.ts'

const MOST_TRIES = 2

export interface WriterOptions {
  readonly files: FilePort
  readonly journal: JournalName
  readonly catalog: Catalog
  readonly layout: Layout
  /** Throws LOCKED when the folder is no longer this process's. */
  readonly checkHold: () => Promise<void>
  /** A file is ended before it grows past this; a group larger than that gets a file of its own. */
  readonly segmentBytes: number
  /** Number of the first group to be written. */
  readonly nextGroup: number
  /** Told of an error after which writing went on in a new file. */
  readonly onLeft: (file: string, error: unknown) => void
  /** The disk is full; true when it made room and the write is to be tried once more. */
  readonly onFull: () => Promise<boolean>
}

/** One call at a time. */
export class SegmentWriter {
  #nextGroup: number
  #file: OpenFile | null = null
  /** Position in the current file where its first group stands. */
  #dataStart = 0
  /** A file before the current one may hold a whole group that was refused: until the next file says that it doesn't count, nobody knows. */
  #doubt = false
  /** The newest file may be truncated and sealed; not so after a failed sync. */
  #mayTouch = true
  readonly #arena = new Arena()
  readonly #options: WriterOptions

  constructor(options: WriterOptions) {
    this.#options = options
    this.#nextGroup = options.nextGroup
  }

  takeGroup(): number {
    const group = this.#nextGroup
    this.#nextGroup = groupAfter(group)
    return group
  }

  /**
   * Stores the chunks; durable when it resolves to where they stand. Throws DISK_FULL or IO when nothing of them counts, IN_DOUBT when that
   * will be known only after the next group or the next start, LOCKED when the folder was taken away.
   */
  async store(chunks: readonly Chunk[]): Promise<Written[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#write(chunks)
      } catch (error) {
        if (isPipelineError(error)) throw error
        if (isFull(error)) await this.#takeBack()
        else await this.#leave(error)
        const mayTry = tries < MOST_TRIES && (!isFull(error) || (await this.#options.onFull()))
        if (!mayTry) throw this.#toPipelineError(error)
      }
    }
  }

  /** Ends the current file and begins the next. `bulkGone`: see `Start`. */
  async roll(options: { readonly bulkGone: boolean } = { bulkGone: false }): Promise<void> {
    const { files, journal, catalog, layout } = this.#options
    await this.#options.checkHold()
    const segments = catalog.segments(journal)
    const newest = segments.at(-1)
    const id = (newest?.id ?? 0) + 1
    const name = fileName(journal, id)
    const head = encodeStart(id, {
      previous: newest ? { id: newest.id, end: newest.end, sealed: this.#mayTouch } : null,
      group: this.#nextGroup,
      tracks: [...catalog.tracks()].filter(({ id: track }) => journal === 'ledger' || (journal === 'bulk' && isBulk(track))).map((track) => track.bounds),
      bulkGone: options.bulkGone,
      layout,
    })
    const file = await this.#create(`${name}.tmp`, head)
    if (newest && this.#mayTouch) await this.#seal(newest)
    await files.rename(`${name}.tmp`, name)
    await files.syncFolder()
    this.#file = file
    this.#dataStart = head.length
    this.#mayTouch = true
    this.#doubt = false
    segments.push(new Segment(journal, id, head.length))
  }

  /** False when the file being written is no longer the one of its name in the folder. */
  async isInPlace(): Promise<boolean> {
    const file = this.#file
    const newest = this.#options.catalog.segments(this.#options.journal).at(-1)
    if (!file || !newest) return true
    try {
      return (await file.isStill(fileName(newest.journal, newest.id))) || this.#file !== file
    } catch (error) {
      if (this.#file !== file) return true // closed meanwhile
      throw error
    }
  }

  /** Seals the newest file. Nothing may be stored afterwards. */
  async close(): Promise<void> {
    const newest = this.#options.catalog.segments(this.#options.journal).at(-1)
    if (newest && this.#file) await this.#seal(newest)
  }

  async #write(chunks: readonly Chunk[]): Promise<Written[]> {
    const { catalog, journal, segmentBytes } = this.#options
    const bytes = chunks.reduce((sum, { marker }) => sum + (marker ? markerBytes(marker) : 0), sizeOf(chunks))
    const newest = catalog.segments(journal).at(-1)
    if (!newest || !this.#file || (newest.end > this.#dataStart && newest.end + bytes > segmentBytes)) await this.roll()
    const segment = catalog.segments(journal).at(-1)!
    const file = this.#file!
    const written: Written[] = []
    const encoded = this.#arena.encode(chunks, segment, written)
    this.#doubt = true
    await file.write(encoded, segment.end)
    await file.datasync()
    this.#doubt = false
    for (const { entry, at } of written) if (entry.kind === KIND_RECORD && !(entry.flags & FLAG_COPY)) catalog.place(segment, entry, at)
    segment.end += encoded.length
    return written
  }

  async #create(name: string, head: Buffer): Promise<OpenFile> {
    const file = await this.#options.files.open(name, 'create')
    try {
      await file.write(head, 0)
      await file.datasync()
      return file
    } catch (error) {
      await this.#discard(file, name)
      throw error
    }
  }

  /** A file that can't be sealed is left as it is: the next one says where it ends. */
  async #seal(segment: Segment): Promise<void> {
    const { files, journal, catalog } = this.#options
    const name = fileName(journal, segment.id)
    try {
      const file = this.#file ?? (await files.open(name, 'write'))
      this.#file = null
      try {
        const times = new Map([...segment.ranges.keys()].map((track) => [track, catalog.track(track).time]))
        const footer = encodeFooter(segment.id, { end: segment.end, group: this.#nextGroup, ranges: segment.ranges, times })
        await file.truncate(segment.end)
        await file.write(footer, segment.end)
        await file.datasync()
      } catch (error) {
        await file.truncate(segment.end) // none at all is better than half a footer
        throw error
      } finally {
        await file.close()
      }
    } catch (error) {
      this.#options.onLeft(name, error)
    }
  }

  /** After a write that the disk had no room for: gives back what it took of it. */
  async #takeBack(): Promise<void> {
    const segment = this.#options.catalog.segments(this.#options.journal).at(-1)
    if (!segment || !this.#file) return
    try {
      await this.#file.truncate(segment.end)
      await this.#file.datasync()
      this.#doubt = false
    } catch (error) {
      await this.#leave(error)
    }
  }

  /** After a failed write or sync nobody knows what of the file is on the disk: it is not written to again. */
  async #leave(error: unknown): Promise<void> {
    const file = this.#file
    if (!file) return
    const newest = this.#options.catalog.segments(this.#options.journal).at(-1)!
    this.#file = null
    this.#mayTouch = false
    this.#options.onLeft(fileName(newest.journal, newest.id), error)
    await this.#letGo(file)
  }

  /** A file without a name of its own takes room for nothing; the next start removes it where we can't. */
  async #discard(file: OpenFile, name: string): Promise<void> {
    await this.#letGo(file)
    try {
      await this.#options.files.unlink(name)
    } catch (error) {
      this.#options.onLeft(name, error)
    }
  }

  /** The first error is the one to tell. */
  async #letGo(file: OpenFile): Promise<void> {
    try {
      await file.close()
    } catch (error) {
      this.#options.onLeft('a file that could not be closed', error)
    }
  }

  #toPipelineError(cause: unknown): PipelineError {
    const { files, journal } = this.#options
    const place = `${files.folder} (${journal})`
    if (this.#doubt) return new PipelineError('IN_DOUBT', `${place}: a write failed, whether it counts is not known: ${errorText(cause)}`, { cause })
    if (isFull(cause)) return new PipelineError('DISK_FULL', `${place}: the disk is full, nothing was stored`, { cause })
    return new PipelineError('IO', `${place}: can't be written: ${errorText(cause)}`, { cause })
  }
}

