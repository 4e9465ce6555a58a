/** What respond stands at, as people see it: whether it enforces, how much room its governor has, and what is silenced. Additions only. */
import type { Cause, Incident } from './incident.ts'

/** Which incidents a silence is about: those that fit all that is said here, and something is. */
export interface SilenceMatch {
  readonly device?: string
  readonly class?: string
  readonly cause?: Cause
  /** Each label with exactly this value. */
  readonly labels?: Readonly<Record<string, string>>
}

/** Times are ms since epoch. */
export interface Silence {
  /** Of the request that made it. */
  readonly id: string
  readonly match: SilenceMatch
  readonly reason: string
  readonly by: string
  readonly at: number
  readonly until: number
}

export interface EnforcementView {
  readonly state: 'on' | 'off'
  /** Whose word it is: the config's `off` wins over a request's on. */
  readonly says: 'config' | 'request'
  readonly reason: string
  /** Who asked; '' when the config says it. */
  readonly by: string
  /** Since when, ms since epoch; null when it was never switched. */
  readonly since: number | null
}

export interface QuarantinesView {
  /** Devices quarantined, or being released and not yet heard of. */
  readonly active: number
  readonly atOnce: number
  /** Begun in the last minute. */
  readonly lastMinute: number
  readonly perMinute: number
  /** Incidents whose quarantine is held back, to be tried again. */
  readonly waiting: number
}

/** How far a partition is with the configuration last written. */
export interface PartitionConfig {
  readonly partition: number
  /** `unknown`: its record waits for a detect that says which topic this is; `pending`: to be written; `written`: detect has not come to it. */
  readonly state: 'unknown' | 'pending' | 'written' | 'switched'
  /** Of what detect said last that it obeys: its version, and the offset of its record in `readings`; null where that is not known. */
  readonly version: number | null
  readonly position: number | null
}

export interface ConfigView {
  /** Last written to every partition. */
  readonly version: number
  readonly hash: string
  readonly partitions: readonly PartitionConfig[]
}

export interface Standing {
  /** Null before it is known which one is in force. */
  readonly config: ConfigView | null
  readonly enforcement: EnforcementView
  readonly quarantines: QuarantinesView
  /** In force, the oldest first. */
  readonly silences: readonly Silence[]
  /** Whether the device is quarantined, or being released and not yet heard of. */
  isQuarantined(device: string): boolean
  /** Ids of the silences that mute an open incident now. */
  silencedBy(incident: Incident): readonly string[]
}
