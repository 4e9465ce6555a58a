/** An incident as everybody outside sees it: in the log's `incidents` topic, the API, webhooks. Additions only. */

export const SEVERITIES = ['warning', 'minor', 'major', 'critical'] as const
export type Severity = (typeof SEVERITIES)[number]

/** What kind of thing is odd (DESIGN.md section 7). `loss` is ours: records that retention took before they were read. */
export const CAUSES = ['telemetry', 'limit', 'silence', 'rate', 'shape', 'clock', 'identity', 'cardinality', 'capacity', 'loss', 'common'] as const
export type Cause = (typeof CAUSES)[number]

/** What one detector says of one metric. */
export interface Vote {
  readonly detector: string
  /** '' where the detector judges the device as a whole. */
  readonly metric: string
  /** −log10 of how often something this odd happens. */
  readonly surprise: number
  readonly observed: number
  /** The band the detector expected, in what `observed` is in: the metric's unit, or what its detector counts (`stuck`: readings). Null on a side that has no end. */
  readonly expected: readonly [number | null, number | null]
}

/** Which settings were in force. */
export interface ConfigVersion {
  readonly version: number
  /** SHA-256 of their canonical JSON, hex. */
  readonly hash: string
}

/** One whole revision. Times are ms since epoch; revisions count by one from 1, without gaps. */
export interface Incident {
  readonly id: string
  readonly revision: number
  readonly device: string
  readonly class: string
  readonly labels: Readonly<Record<string, string>>
  readonly cause: Cause
  readonly severity: Severity
  readonly state: 'open' | 'closed'
  /** Event time of the reading that opened it. */
  readonly openedAt: number
  readonly updatedAt: number
  readonly closedAt: number | null
  /** Why it closed: calm, superseded, expired, cleared, or null while open. */
  readonly closedBy: string | null
  /** The largest surprise so far. */
  readonly surprise: number
  /** One sentence for people. */
  readonly summary: string
  readonly votes: readonly Vote[]
  /** In force where this revision was made; left out in revisions of before it was noted. */
  readonly config?: ConfigVersion
}
