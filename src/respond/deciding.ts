/** What every decision of respond stands on: its state, the policy, the bounds, and the ways out of it, all taken after the commit. */
import type { ResponsePolicy, Settings } from '../core/settings.ts'
import type { LogFields } from '../ops/logger.ts'
import type { QuietLog } from '../ops/quiet-log.ts'
import type { Random } from '../ops/random.ts'
import type { LineFields } from './ledger.ts'
import type { Meters } from './meters.ts'
import type { OutboxEntry, ResponderState } from './state.ts'

export interface ResponderLimits {
  /** Devices quarantined at once; a quarantine beyond it is refused, whoever asks. */
  readonly leases: number
  /** Incidents held open; those beyond it are acted on but can't be superseded, nor wait for the governor. */
  readonly incidents: number
  /** Commands and control records without an outcome; at so many, incidents are not read until some have one. */
  readonly outbox: number
  /** Notifications without an outcome; those beyond it are dropped, so that a dead webhook never keeps a device from being quarantined. */
  readonly notifications: number
  /** Devices' answers waiting to be taken down; those beyond it are dropped, and the command repeated. */
  readonly acks: number
  /** Silences in force; a request for one more is refused. */
  readonly silences: number
}

export const DEFAULT_LIMITS: ResponderLimits = { leases: 10_000, incidents: 10_000, outbox: 1_000, notifications: 10_000, acks: 1_000, silences: 500 }

/** All of it is discarded when the commit fails. */
export interface Deciding {
  readonly state: ResponderState
  readonly settings: Settings
  readonly settingsHash: string
  readonly policy: ResponsePolicy
  /** `gatherMs`: 0 where each revision is told by itself. */
  readonly notifiers: readonly { readonly name: string; readonly gatherMs: number }[]
  readonly partitions: number
  readonly limits: ResponderLimits
  readonly random: Random
  readonly meters: Meters
  /** Wall clock, ms since epoch. */
  readonly now: () => number
  /** The device's partition of `readings`. */
  readonly partitionFor: (device: string) => number
  /** False from the moment somebody said off. */
  readonly isEnforcing: () => boolean
  /** The incidents that stood in the log at the takeover are decided on: what is held open is not known to be over. */
  readonly isAbreast: () => boolean
  /** One alarm a key (`lease/DEVICE`, `outbox/ID`, `silence/ID`, `waiting`, …; `term.ts` knows them all); null takes it back. */
  readonly alarm: (key: string, at: number | null) => void
  readonly afterCommit: (run: () => void) => void
  /** A line of the log, once what it says is durable. */
  readonly tell: (level: 'info' | 'warn' | 'error', fields: LogFields, message: string) => void
  /** The same for what notifiers fail at. */
  readonly quiet: QuietLog
  /** Begins an attempt at the effect. */
  readonly start: (entry: OutboxEntry) => void
}

/** A decision's line in the ledger. */
export function decided(on: Deciding, fields: Omit<LineFields, 'at' | 'kind'>): void {
  on.state.record({ ...fields, at: on.now(), kind: 'decision' })
}
