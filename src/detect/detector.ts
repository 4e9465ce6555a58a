/** Port: a detector, and the columns it works on. It holds no state: the row does (DESIGN.md section 3). */
import type { Cause } from '../core/incident.ts'

export type Scope = 'series' | 'device' | 'class' | 'incident'

/** `width` numbers of one type under one name. */
export interface Field {
  readonly name: string
  readonly type: 'float64' | 'float32'
  readonly width: number
}

/**
 * A place in the row. *Present* fields always move; *baseline* fields move by the gate's weight.
 * Field numbers count each type apart, present before baseline, in the order given: the detector names them as constants.
 * Another meaning of any field needs another version: rows of other versions warm up anew.
 */
export interface RowPart {
  readonly name: string
  readonly version: number
  readonly scope: Scope
  readonly fields: { readonly present: readonly Field[]; readonly baseline: readonly Field[] }
}

/** One part's view of a table of rows: number f of row r stands at `r * stride + at + f` of its type's array. */
export interface Rows {
  readonly float64: Float64Array
  readonly float32: Float32Array
  readonly stride64: number
  readonly stride32: number
  readonly at64: number
  readonly at32: number
}

/** Most messages in a round; no device occurs twice. */
export const ROUND_MESSAGES = 512
/** Most readings in a round. */
export const ROUND_READINGS = 65_536

/** The columns of one round; [messages] and [readings], valid up to the counts. A round of kind missing has no readings. */
export interface Round {
  readonly missing: boolean
  readonly messages: number
  readonly readings: number
  /** Device row. [messages] */
  readonly device: Int32Array
  /** Class row. [messages] */
  readonly klass: Int32Array
  /** Event time in use, ms since epoch; in a round of kind missing the partition time. [messages] */
  readonly when: Float64Array
  /** Covered ms since the device's last message; −1 where there was none. [messages] */
  readonly gap: Float64Array
  /** Longest gap the class promises, ms; 0: none is promised; −1: silence has no meaning for it. [messages] */
  readonly heartbeat: Float64Array
  /** First reading and how many. [messages] */
  readonly start: Int32Array
  readonly count: Int32Array
  /** Series row. [readings] */
  readonly series: Int32Array
  /** The number; only where `kind` is a number's. [readings] */
  readonly value: Float64Array
  readonly kind: Uint8Array
  /** Limits in force, ±Infinity where there is none. [readings] */
  readonly above: Float64Array
  readonly below: Float64Array
}

/** What a detector says for people, asked only when an incident opens or changes. */
export interface Explanation {
  readonly observed: number
  readonly low: number | null
  readonly high: number | null
}

export interface Detector extends RowPart {
  /** Incidents it may open. */
  readonly cause: Cause
  /** float64 numbers it keeps from score to learn, a reading (series) or a message (device). */
  readonly scratch: number
  /** One value a reading (series) or message (device) into `out`; NaN: no opinion. Leaves rows as they are. */
  score(round: Round, rows: Rows, scratch: Float64Array, out: Float32Array): void
  /** For every row of the round; baseline moves by `weight` in [0, 1], 0 = under suspicion. [readings] or [messages] */
  learn(round: Round, rows: Rows, scratch: Float64Array, weight: Float32Array): void
  /** The gate gives in: what this row saw lately is its new normal. */
  accept?(rows: Rows, row: number): void
  /** `at` is the reading's (series) or message's (device) place in the round. */
  explain(round: Round, rows: Rows, at: number): Explanation
}
