/**
 * A file that only takes room: deleted when the disk is full, so that commits can still be stored and old files go; made again when there
 * is room. Between the two the journal takes nothing new from devices.
 */
import { errorText, isPipelineError } from '../../core/errors.ts'
import type { Clock } from '../../ops/clock.ts'
import type { Logger } from '../../ops/logger.ts'
import type { Gauge } from '../../ops/metrics.ts'
import type { FilePort, OpenFile } from './files.ts'
import { isFull } from './system-error.ts'

const NAME = 'reserve'
const BLOCK_BYTES = 1024 * 1024
/** With less than that free a start gives the reserve up at once, as it may need room itself. */
const LEAST_FREE_BYTES = 1024 * 1024
const LOOK_MS = 1_000

export interface ReserveOptions {
  readonly files: FilePort
  /** 0: there is none. */
  readonly bytes: number
  readonly clock: Clock
  readonly logger: Logger | undefined
  /** 1 while the disk is full. */
  readonly full: Gauge | undefined
  /** Throws LOCKED when the folder is no longer this process's. */
  readonly checkHold: () => Promise<void>
}

export class Reserve {
  readonly #options: ReserveOptions
  #isSpent = false
  #under: Promise<void> | null = null
  #cancel: () => void = () => undefined
  #stopped = false

  constructor(options: ReserveOptions) {
    this.#options = options
  }

  /** The disk is full, or was until a moment ago. */
  get isSpent(): boolean {
    return this.#isSpent
  }

  /** For people: what is wrong and what to do. */
  get text(): string {
    const { folder } = this.#options.files
    return `${folder}: the disk is full, nothing is taken until there is room: free ${mebibytes(2 * this.#options.bytes)} on it, or lower log.embedded.retention.size and start anew`
  }

  /** At start: makes it where it is missing. */
  async open(): Promise<void> {
    const { files, bytes } = this.#options
    if (bytes === 0) return
    const isThere = (await files.list()).includes(NAME)
    const isWhole = isThere && (await sizeOf(files)) === bytes
    if (isThere && !isWhole) await this.#clear() // of a process killed while it made it, or of other bytes
    const free = await files.room()
    if (isWhole && free >= LEAST_FREE_BYTES) return
    if (isWhole) await this.release()
    else if (free < bytes + LEAST_FREE_BYTES || !(await this.#make())) this.#spend()
  }

  /** Whether what needs room to make some may go on: on a full disk half of what the reserve gave is left to commits. */
  async leavesRoom(): Promise<boolean> {
    const { files, bytes } = this.#options
    return !this.#isSpent || (await files.room()) >= bytes / 2
  }

  /** The disk is full. True when that gave room. */
  async release(): Promise<boolean> {
    const { files, bytes, checkHold, logger } = this.#options
    if (bytes === 0 || this.#isSpent) return false
    this.#spend()
    try {
      await checkHold()
      await files.unlink(NAME)
      return true
    } catch (error) {
      logger?.warn({ error: errorText(error) }, 'the reserve could not be given up')
      return false
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel()
    await this.#under
  }

  #spend(): void {
    const { logger, full, files } = this.#options
    this.#isSpent = true
    full?.set(1)
    logger?.error({ folder: files.folder }, this.text)
    this.#lookLater()
  }

  #lookLater(): void {
    if (this.#stopped) return
    this.#cancel = this.#options.clock.after(LOOK_MS, () => {
      this.#under = this.#look()
    })
  }

  async #look(): Promise<void> {
    if (await this.#isMadeAgain()) {
      const { logger, full, files } = this.#options
      this.#isSpent = false
      full?.set(0)
      logger?.info({ folder: files.folder }, 'the disk has room again')
    } else this.#lookLater()
  }

  /** Not before there is twice the room, so that what is taken then does not fill the disk at once. */
  async #isMadeAgain(): Promise<boolean> {
    const { files, bytes, logger } = this.#options
    try {
      return (await files.room()) >= 2 * bytes && (await this.#make())
    } catch (error) {
      logger?.debug({ error: errorText(error) }, "can't see how much room the disk has")
      return false
    }
  }

  async #make(): Promise<boolean> {
    const { files, bytes, checkHold, logger } = this.#options
    try {
      await checkHold()
      const file = await files.open(NAME, 'create')
      try {
        await fill(file, bytes)
      } finally {
        await file.close()
      }
      return true
    } catch (error) {
      if (isPipelineError(error, 'LOCKED')) return false
      if (!isFull(error)) logger?.warn({ error: errorText(error) }, 'the reserve for a full disk could not be made')
      await this.#clear()
      return false
    }
  }

  /** Half of it would take room for nothing. */
  async #clear(): Promise<void> {
    try {
      await this.#options.files.unlink(NAME)
    } catch (error) {
      this.#options.logger?.debug({ error: errorText(error) }, 'there is no part of a reserve to remove')
    }
  }
}

async function sizeOf(files: FilePort): Promise<number> {
  const file = await files.open(NAME, 'read')
  try {
    return await file.size()
  } finally {
    await file.close()
  }
}

async function fill(file: OpenFile, bytes: number): Promise<void> {
  const block = noise(Math.min(bytes, BLOCK_BYTES))
  for (let at = 0; at < bytes; at += block.length) await file.write(block.subarray(0, Math.min(block.length, bytes - at)), at)
  await file.datasync()
}

/** Nothing a file system could store in less room: xorshift32. */
function noise(bytes: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(bytes / 4))
  let state = 0x9e3779b9
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return new Uint8Array(words.buffer, 0, bytes)
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / (1024 * 1024))} MiB`
}
