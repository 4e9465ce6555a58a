/** Port: the configuration a process runs with, and the way to another. The service stands behind it. */
import type { Difference, Entry } from '../config/difference.ts'
import type { ConfigView } from '../core/standing.ts'

export interface RunningConfig {
  /** Of the settings in this process's file, as it was read last. */
  readonly hash: string
  /** What this process runs with; holds no secret. */
  readonly keys: readonly Entry[]
}

export interface Reloaded extends ConfigView {
  /** This reload made the version. */
  readonly isNew: boolean
  /** Of the file against what this process runs with. */
  readonly changed: readonly Difference[]
}

export interface ConfigDoor {
  running(): RunningConfig
  /**
   * Reads the file again and puts in force what can be; `by` stands in the ledger. Null: another process leads respond, and the rest counts from this one's next
   * leadership on. Throws BAD_CONFIG with all that is wrong with the file, UNAVAILABLE, and what ended the leadership; the old stays in force then.
   */
  reload(by: string): Promise<Reloaded | null>
}
