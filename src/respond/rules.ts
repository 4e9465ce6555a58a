/** Rules: what respond takes from its process's file; a reload puts others in their place while it works. */
import type { ResponsePolicy, Settings } from '../core/settings.ts'
import type { Notifier } from './notifier.ts'

export interface Rules {
  readonly settings: Settings
  /** Tells whether the partitions obey others. */
  readonly settingsHash: string
  readonly policy: ResponsePolicy
  /** No two of one name. */
  readonly notifiers: readonly Notifier[]
}
