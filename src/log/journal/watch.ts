/** Notices that the journal's folder was taken away while it is open: deleted, moved, or begun anew by somebody. Files go on taking writes then. */
import { errorText, PipelineError } from '../../core/errors.ts'
import type { Clock } from '../../ops/clock.ts'
import type { Logger } from '../../ops/logger.ts'
import type { Hold } from './files.ts'

/** What was acknowledged since the last look is what a deleted folder costs. */
const LOOK_MS = 1_000

export interface WatchOptions {
  readonly folder: string
  readonly hold: Hold
  readonly clock: Clock
  readonly logger: Logger | undefined
  /** Called once: nothing may be acknowledged any more. */
  readonly onEvicted: (error: PipelineError) => void
}

export class Watch {
  readonly #options: WatchOptions
  #evicted: PipelineError | null = null
  #stopped = false
  #blind = false
  #cancel: () => void = () => undefined

  constructor(options: WatchOptions) {
    this.#options = options
  }

  /** Looks each second from now on. `inPlace`: the files that are written to are those of that name in the folder. */
  start(inPlace: () => Promise<boolean>): void {
    this.#cancel = this.#options.clock.after(LOOK_MS, async () => {
      await this.#look(inPlace)
      if (!this.#stopped) this.start(inPlace)
    })
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  /** Before a name in the folder is given or taken: it may be another process's by now. Throws LOCKED; and the system's error where it can't look. */
  async check(): Promise<void> {
    if (!this.#evicted && !(await this.#options.hold.isOurs())) this.#evict('its lock is gone, or another process has it')
    if (this.#evicted) throw this.#evicted
  }

  async #look(inPlace: () => Promise<boolean>): Promise<void> {
    try {
      if (!(await this.#options.hold.isOurs())) this.#evict('its lock is gone, or another process has it')
      else if (!(await inPlace())) this.#evict('the file being written is gone from it')
      this.#blind = false
    } catch (error) {
      // Says nothing of the folder; the next look may.
      if (!this.#blind) this.#options.logger?.warn({ error: errorText(error) }, `can't see whether ${this.#options.folder} is still ours, looking again each second`)
      this.#blind = true
    }
  }

  #evict(how: string): void {
    if (this.#evicted || this.#stopped) return
    const { folder, logger, onEvicted } = this.#options
    const text = `the data folder ${folder} was deleted, moved or replaced while in use (${how}): nothing is kept any more; put it back, or start anew on what is there`
    this.#evicted = new PipelineError('LOCKED', text)
    this.stop()
    logger?.error({ folder }, text)
    onEvicted(this.#evicted)
  }
}
