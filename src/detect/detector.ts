/** Port: a detector, and the columns it works on. It holds no state: the row does (DESIGN.md section 3). */
import type { Cause } from '../core/incident.ts'
import type { ClassSettings } from '../core/settings.ts'

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

/** What is new about a reading. */
export const NEW_METRIC = 1
export const NEW_KIND = 2

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
  /** The hour of its event time in the device's zone, also where that went back: 0 to 23; 24 more at weekends. Only in rounds of messages. [messages] */
  readonly clock: Uint8Array
  /** The event time claimed where it is believed, else arrival; ms since epoch. Unlike `when` it may go back. Only in rounds of messages. [messages] */
  readonly told: Float64Array
  /** When the message was received, ms since epoch. [messages] */
  readonly arrival: Float64Array
  /** ms by which the event time claimed lies ahead of arrival; NaN where none is claimed, or any is taken. Only in rounds of messages. [messages] */
  readonly skew: Float64Array
  /** 52-bit hash of the message's field names and kinds; 0 where fields were left out of it. Only in rounds of messages. [messages] */
  readonly shape: Float64Array
  /** 1 where the device may be expected to keep its pace: of a class that reports periodically, and not quarantined. Only in rounds of messages. [messages] */
  readonly periodic: Uint8Array
  /** Covered ms since the device's last message; −1 where there was none. [messages] */
  readonly gap: Float64Array
  /** ms since its last message in which the device could be heard, in the time that is told: covered ms, or all of it where any event time is taken (Infinity). Only in rounds of messages. [messages] */
  readonly heard: Float64Array
  /** 1 where its source came back a short while ago, so that devices send what they could not send. Only in rounds of messages. [messages] */
  readonly catchingUp: Uint8Array
  /** Longest gap the class promises, ms; 0: none is promised; −1: silence has no meaning for it. [messages] */
  readonly heartbeat: Float64Array
  /** Readings a series of the device warms up with. Only in rounds of messages. [messages] */
  readonly warmup: Float64Array
  /** First reading and how many. [messages] */
  readonly start: Int32Array
  readonly count: Int32Array
  /** Series row. [readings] */
  readonly series: Int32Array
  /** The number; only where `kind` is a number's. [readings] */
  readonly value: Float64Array
  readonly kind: Uint8Array
  /** `NEW_METRIC` where this is the first reading of its series, `NEW_KIND` where the last one was of another kind (missing ones apart). [readings] */
  readonly fresh: Uint8Array
  /** ms since the series' last reading, by event time; 0 at its first. [readings] */
  readonly since: Float64Array
  /** Limits in force, ±Infinity where there is none. [readings] */
  readonly above: Float64Array
  readonly below: Float64Array
}

/** Puts values into words. */
export interface Words {
  /** Short enough to read, four significant digits, with the metric's unit where it has one. */
  about(value: number): string
  /** With the unit and all its digits. */
  exactly(value: number): string
  /** "LOW to HIGH", without the unit. */
  between(low: number, high: number): string
}

/** What a detector says for people, asked only when an incident opens or changes. */
export interface Explanation {
  readonly observed: number
  readonly low: number | null
  readonly high: number | null
  /** The sentence after the metric's name, where "is OBSERVED, expected LOW to HIGH" says it badly. */
  readonly tell?: (words: Words) => string
}

/** One of the readings that weigh most in what a device's detector says. */
export interface Leader extends Explanation {
  /** Its place in the round. */
  readonly reading: number
}

/**
 * What several detectors look at, worked out once a round before they score, and learnt once after they have learnt: a row part of its own, of series.
 * It is in the row as soon as a detector names it.
 */
export interface Basis extends RowPart {
  /** float64 numbers it works out for a reading. */
  readonly columns: number
  /** Fills `columns`: number c of reading i at `i * this.columns + c`. Leaves rows as they are. */
  compute(round: Round, rows: Rows, columns: Float64Array): void
  /** As a detector's. `columns` as computed. */
  learn(round: Round, rows: Rows, columns: Float64Array, weight: Float32Array): void
  accept?(rows: Rows, row: number): void
}

/** A detector's basis in place: its view of the rows, and its numbers of this round. Empty arrays where the detector names none. */
export interface Ground {
  readonly rows: Rows
  readonly columns: Float64Array
}

/**
 * How a detector of devices opens incidents of a cause of its own. An incident closes by calm, and no opinion is calm.
 * Its gate moves by its own surprise against `bar` and guards from the first opinion on; while that or the device's is closed, its baseline is frozen.
 */
export interface Judging {
  /** Surprise from which on an incident opens. */
  readonly bar: number
  /** Scores rounds of kind missing too. There it may open an incident, never close one. */
  readonly missing: boolean
  /** Left out: the device's gate is the only one. */
  readonly gate?: RowPart
  /** Index into SEVERITIES, for a surprise `excess` ≥ 0 powers of ten beyond the bar. Asked before the round is learnt. */
  severity(round: Round, rows: Rows, at: number, excess: number): number
}

export interface Detector extends RowPart {
  /** Incidents it may open. */
  readonly cause: Cause
  /** Of device scope, and of a cause other than telemetry. */
  readonly judging?: Judging
  /** What it looks at, shared with others: handed to it as `ground`. */
  readonly basis?: Basis
  /** float64 numbers it keeps from score to learn, a reading (series) or a message (device). */
  readonly scratch: number
  /** One value a reading (series) or message (device) into `out`; NaN: no opinion. Leaves rows as they are. */
  score(round: Round, rows: Rows, scratch: Float64Array, out: Float32Array, ground: Ground): void
  /** For every row of the round; baseline moves by `weight` in [0, 1], 0 = under suspicion. [readings] or [messages] */
  learn(round: Round, rows: Rows, scratch: Float64Array, weight: Float32Array, ground: Ground): void
  /** The gate gives in: what this row saw lately is its new normal. Called after the round was learnt. */
  accept?(rows: Rows, row: number): void
  /** `at` is the reading's (series) or message's (device) place in the round. */
  explain(round: Round, rows: Rows, at: number, ground: Ground): Explanation
  /** Device scope: the readings that weigh most in what it says of message `at`, heaviest first; where there are any they speak for it. */
  leaders?(round: Round, rows: Rows, at: number, ground: Ground): readonly Leader[]
  /** Device scope: one of the device's series is forgotten; its row is still there. `series`: rows of its basis. */
  forget?(rows: Rows, device: number, basis: Rows, series: number): void
  /** How much of its own warm-up the row has behind it: 1 is all, and more is more; 1 too where it will never have a say. Left out: it has none, or none that must end. */
  warmth?(rows: Rows, row: number, settings: ClassSettings): number
}
