/** The configuration of a running Picket: as it was read, and its file read again when a person or SIGHUP asks. */
import type { ConfigDoor, Reloaded, RunningConfig } from '../api/config-door.ts'
import type { WrittenConfig } from '../config/config.ts'
import { type Difference, differencesOf, effectText, entriesOf, type HeldEntry, shownEntries } from '../config/difference.ts'
import { errorText, PipelineError } from '../core/errors.ts'
import type { Logger } from '../ops/logger.ts'
import type { RunningPicket } from './run.ts'

/** Where the configuration comes from. */
export interface ConfigFile {
  /** As it was read at the start. */
  readonly written: WrittenConfig
  /** Reads it again. Throws BAD_CONFIG. */
  readonly read: () => WrittenConfig
}

export interface ReloadingOptions extends ConfigFile {
  readonly logger: Logger
  /** null until it has started. */
  readonly picket: () => RunningPicket | null
}

export class Reloading implements ConfigDoor {
  readonly #options: ReloadingOptions
  #entries: readonly HeldEntry[]
  #hash: string
  #isUnderWay = false

  constructor(options: ReloadingOptions) {
    this.#options = options
    this.#entries = entriesOf(options.written)
    this.#hash = options.written.config.settingsHash
  }

  running(): RunningConfig {
    return { hash: this.#hash, keys: shownEntries(this.#entries) }
  }

  async reload(by: string): Promise<Reloaded | null> {
    if (this.#isUnderWay) throw new PipelineError('UNAVAILABLE', 'a reload is under way already')
    this.#isUnderWay = true
    try {
      return await this.#reload(by)
    } catch (error) {
      this.#options.logger.error({ by }, `the configuration is not reloaded, the old one stays in force: ${errorText(error)}`)
      throw error
    } finally {
      this.#isUnderWay = false
    }
  }

  /** SIGHUP. Never rejects: what comes of it is in the log. */
  async signal(): Promise<void> {
    const { logger, written } = this.#options
    const { roles } = written.config
    if (!roles.includes('respond'))
      return logger.info({ roles }, `SIGHUP: nothing is reloaded here, the roles are ${roles.join(', ')}: respond reloads, by picket reload or by SIGHUP to it`)
    // Told by `reload`.
    await this.reload('SIGHUP').catch(() => null)
  }

  async #reload(by: string): Promise<Reloaded | null> {
    const picket = this.#options.picket()
    if (!picket) throw new PipelineError('UNAVAILABLE', 'Picket is starting')
    const next = this.#options.read()
    const entries = entriesOf(next)
    const changed = differencesOf(this.#entries, entries)
    const before = picket.app.standing()?.config?.version ?? null
    const view = await picket.reload(next.config, by)
    this.#entries = inForce(this.#entries, entries, changed)
    this.#hash = next.config.settingsHash
    const reloaded = view && { ...view, isNew: view.version !== before, changed }
    this.#tell(by, reloaded, changed)
    return reloaded
  }

  #tell(by: string, reloaded: Reloaded | null, changed: readonly Difference[]): void {
    const { logger, picket } = this.#options
    if (reloaded) {
      const { version, hash, isNew } = reloaded
      logger.info({ by, version, hash }, `configuration reloaded: version ${version} ${isNew ? 'goes to every partition' : 'stays in force'}, ${changed.length} keys changed`)
    } else {
      const leader = picket()?.app.holder('respond') ?? null
      logger.info({ by, leader }, `another process leads respond${leader === null ? '' : `, ${leader}`}: this file counts once this process leads`)
    }
    for (const one of changed) {
      const { key, place, does, roles } = one
      logger[does === 'restart' || does === 'refused' || roles.length > 0 ? 'warn' : 'info']({ key, place, does, roles }, `${key}: ${changeText(one)}: ${effectText(one)}`)
    }
  }
}

/** `50 → 60`, a secret as what it is shown as. */
function changeText({ old, new: is }: Pick<Difference, 'old' | 'new'>): string {
  return `${old ?? 'not said'} → ${is ?? 'not said'}`
}

/** What needs a restart is as it was. */
function inForce(before: readonly HeldEntry[], after: readonly HeldEntry[], changed: readonly Difference[]): readonly HeldEntry[] {
  const waiting = new Set(changed.filter(({ does }) => does === 'restart' || does === 'refused').map(({ key }) => key))
  return [...after.filter(({ key }) => !waiting.has(key)), ...before.filter(({ key }) => waiting.has(key))]
}
