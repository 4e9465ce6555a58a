/** Bounds the bulk files: whole files go, the oldest first; never what the checkpoint before the last may be replayed from, up to twice the bound. */
import type { Logger } from '../../ops/logger.ts'
import { offsetKey } from '../log.ts'
import type { Offsets } from '../log.ts'
import type { Catalog, Segment } from './catalog.ts'
import { partitionOfTrack, topicOf } from './entry.ts'
import type { FilePort } from './files.ts'
import { fileName } from './segment.ts'

export interface RetentionOptions {
  readonly files: FilePort
  readonly catalog: Catalog
  /** Bytes of all bulk files together. */
  readonly bytes: number
  readonly partitions: number
  readonly logger: Logger | undefined
  /** Throws LOCKED when the folder is no longer this process's: the names in it may be another's. */
  readonly checkHold: () => Promise<void>
}

export class Retention {
  readonly #options: RetentionOptions
  /** A partition's place at the commit before the last, and at the last. */
  readonly #cuts = new Map<number, readonly [before: number, last: number]>()
  #under: Promise<void> | null = null

  constructor(options: RetentionOptions) {
    this.#options = options
  }

  onCut(partition: number, next: Offsets): void {
    const last = next.get(offsetKey('readings', partition)) ?? 0
    this.#cuts.set(partition, [this.#cuts.get(partition)?.[1] ?? last, last])
  }

  /** Looks whether something is to go, in the background. */
  look(): void {
    if (this.#under || !this.#isDue()) return
    this.#under = (async () => {
      try {
        await this.run()
      } catch (error) {
        // Tried again after the next flush.
        this.#options.logger?.warn({ error: String(error) }, 'the oldest files of the journal could not be removed')
      } finally {
        this.#under = null
      }
    })()
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.#under
  }

  /** Removes what is to go: files beyond the bound, and those of which nothing counts any more. */
  async run(): Promise<void> {
    const { files, catalog, checkHold } = this.#options
    if (!this.#isDue()) return
    await checkHold()
    let removed = 0
    while (this.#isDue()) {
      const oldest = catalog.bulk.shift()!
      for (const id of oldest.ranges.keys()) {
        const track = catalog.track(id)
        track.low = Math.max(track.low, catalog.oldest(id) ?? track.stored)
      }
      await files.unlink(fileName('bulk', oldest.id))
      removed++
    }
    if (removed > 0) await files.syncFolder()
  }

  #isDue(): boolean {
    const { catalog, bytes } = this.#options
    const oldest = catalog.bulk[0]
    if (!oldest || catalog.bulk.length === 1) return false
    if ([...oldest.ranges].every(([track, { max }]) => max < catalog.track(track).low)) return true
    const kept = catalog.bulk.reduce((sum, { end }) => sum + end, 0)
    return kept > bytes && (kept > 2 * bytes || !this.#isNeeded(oldest))
  }

  #isNeeded(segment: Segment): boolean {
    return [...segment.ranges].some(([track, { max }]) => {
      if (topicOf(track) !== 'readings') return false
      return max >= (this.#cuts.get(partitionOfTrack(track))?.[0] ?? 0)
    })
  }
}
