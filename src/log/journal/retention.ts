/**
 * Bounds the bulk files, by size and by age: whole files go, the oldest first; never what the checkpoint before the last may be replayed
 * from, up to twice the size. Age alone takes nothing that is needed, as a clock may jump.
 */
import type { Clock } from '../../ops/clock.ts'
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
  readonly clock: Clock
  /** Bytes of all bulk files together. */
  readonly bytes: number
  /** Since the append of a file's newest record. */
  readonly ageMs: number
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

  /** Removes what is to go: files beyond the bounds, and those of which nothing counts any more. */
  async run(): Promise<void> {
    const { files, catalog, checkHold } = this.#options
    if (!this.#isDue()) return
    await checkHold()
    while (this.#isDue()) {
      const oldest = catalog.bulk.shift()!
      for (const id of oldest.ranges.keys()) {
        const track = catalog.track(id)
        track.low = Math.max(track.low, catalog.oldest(id) ?? track.stored)
      }
      await files.unlink(fileName('bulk', oldest.id))
      await files.syncFolder() // before the next goes: a gap between files would look like a loss
    }
  }

  #isDue(): boolean {
    const { catalog, bytes, ageMs, clock } = this.#options
    const oldest = catalog.bulk[0]
    if (!oldest || catalog.bulk.length === 1) return false
    if ([...oldest.ranges].every(([track, { max }]) => max < catalog.track(track).low)) return true
    const kept = catalog.bytes('bulk')
    const age = clock.now() - oldest.time
    if (kept > 2 * bytes) return true
    return (kept > bytes || age > ageMs) && !this.#isNeeded(oldest)
  }

  #isNeeded(segment: Segment): boolean {
    return [...segment.ranges].some(([track, { max }]) => {
      if (topicOf(track) !== 'readings') return false
      return max >= (this.#cuts.get(partitionOfTrack(track))?.[0] ?? 0)
    })
  }
}
