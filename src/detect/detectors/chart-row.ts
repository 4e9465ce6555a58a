/** The alarm chart's row of a device: which number stands where, and which series has which slot. */
import type { Basis, RowPart, Rows } from '../detector.ts'
import { GATE_WIDTH } from '../gate.ts'
import { factor, packedRow, packedWidth } from './packed.ts'
import { TAIL_WIDTH } from './tail.ts'

/** Metrics of a device the chart looks at, the first it meets. Its row grows with the square, its work a message too. */
export const SLOTS = 16
/** Scores a deviation waits for before it may teach the tail: as many as the incident rule looks back. */
export const HELD = 40
/** Of the device's row and of the slots its series have: neither is worth anything without the other. */
export const CHART_VERSION = 1
/** Slot of a series that has given its own back to others. */
export const NEVER = -2
/** Messages a chart warms up with, where its class does not ask for more; of all, so many are held back for calibration: a fifth, at most 101. */
const WARMUP_LEAST = 400
const CALIBRATION_SHARE = 5
/** The 0.99 quantile of so many lies between the two largest. */
const CALIBRATION_MOST = 101
/** Messages left out of the fit while averages and levels settle: at most so many, or a quarter. */
const SETTLING = 60
/** Shrinkage of the correlation towards none. */
const RIDGE = 0.05

// float64: the value a slot's numbers are relative to. [slot]
export const ANCHOR = 0
// float32, present. [slot]
/** Average of the last 15. */
export const AVERAGE = 0
/** Messages since the metric was last in one. */
export const AGE = AVERAGE + SLOTS
/** Deviations that may still teach, −1 where one must not; [HELD]. */
export const RING = AGE + SLOTS
export const HEAD = RING + HELD
export const GATE = HEAD + 1
// float32, baseline. [slot]
/** Slow level. */
export const BASE = GATE + GATE_WIDTH
/** Mean, spread and root mean square of what the average lies from the level; while the slot warms up mean, variance and mean square. */
export const MEAN = BASE + SLOTS
export const SPREAD = MEAN + SLOTS
export const REACH = SPREAD + SLOTS
/** Messages that taught the slot. */
export const TAUGHT = REACH + SLOTS
/** Distinct values so far, up to 3, and the second of them; the first is the anchor. */
export const KINDS = TAUGHT + SLOTS
export const SECOND = KINDS + SLOTS
export const STATE = SECOND + SLOTS
// float32, baseline
export const COVARIANCE = STATE + SLOTS
export const FACTOR = COVARIANCE + packedWidth(SLOTS)
export const TAIL = FACTOR + packedWidth(SLOTS)
/** Messages that taught the chart, counted up to the end of its fit; and whether it was fitted. */
export const ROWS = TAIL + TAIL_WIDTH
export const FITTED = ROWS + 1
/** One past the highest slot in use, slots in use, and slots that are in the chart. */
export const END = FITTED + 1
export const TAKEN = END + 1
export const INSIDE = TAKEN + 1
/** Messages since the factor was worked out. */
export const SINCE = INSIDE + 1
/** Distances seen in calibration, the two largest, and their 0.99 quantile. */
export const CALIBRATED = SINCE + 1
export const LARGEST = CALIBRATED + 1
export const SECOND_LARGEST = LARGEST + 1
export const QUANTILE = SECOND_LARGEST + 1
/** Of the tail. */
export const LEARNT = QUANTILE + 1
export const WEIGHT = LEARNT + 1

// What STATE says of a slot.
export const FREE = 0
/** Warms up with the chart. */
export const JOINT = 1
/** Came later, or had nothing to say when the chart was fitted: warms up by itself. */
export const LONE = 2
export const IN = 3

const aSlot = (name: string) => ({ name, type: 'float32' as const, width: SLOTS })
const one = (name: string) => ({ name, type: 'float32' as const, width: 1 })

export const CHART_FIELDS: RowPart['fields'] = {
  present: [aSlot('average'), aSlot('age'), { name: 'held', type: 'float32', width: HELD }, one('head'), { name: 'gate', type: 'float32', width: GATE_WIDTH }],
  baseline: [
    { name: 'anchor', type: 'float64', width: SLOTS },
    ...['level', 'mean', 'spread', 'reach', 'taught', 'kinds', 'second', 'state'].map(aSlot),
    { name: 'covariance', type: 'float32', width: packedWidth(SLOTS) },
    { name: 'factor', type: 'float32', width: packedWidth(SLOTS) },
    { name: 'tail', type: 'float32', width: TAIL_WIDTH },
    ...['rows', 'fitted', 'end', 'taken', 'inside', 'since', 'calibrated', 'largest', 'second-largest', 'quantile', 'learnt', 'weight'].map(one),
  ],
}

/** Of a series: its slot in its device's chart, counted from 1; 0: none yet; −1: never more. */
export const chartSlot: Basis = {
  name: 'chart-slot',
  version: CHART_VERSION,
  scope: 'series',
  fields: { present: [], baseline: [one('slot')] },
  columns: 0,
  compute() {},
  learn() {},
}

/** Messages from the first to the first surprise, given the readings its class warms up with. */
export function warmupOf(warmup: number): number {
  return Math.max(WARMUP_LEAST, warmup)
}

export function calibrationOf(warmup: number): number {
  return Math.min(CALIBRATION_MOST, Math.floor(warmup / CALIBRATION_SHARE))
}

export function fitOf(warmup: number): number {
  return warmup - calibrationOf(warmup)
}

export function settlingOf(warmup: number): number {
  return Math.min(SETTLING, Math.floor(fitOf(warmup) / 4))
}

/** The slot of a series, from 0; negative where it has none. */
export function slotOf(slots: Rows, series: number): number {
  return slots.float32[series * slots.stride32 + slots.at32]! - 1
}

export function setSlot(slots: Rows, series: number, slot: number): void {
  slots.float32[series * slots.stride32 + slots.at32] = slot + 1
}

/**
 * The lowest free slot, taken for a metric whose first value is `value`; −1 where all are taken.
 * `o`: where the device's float32 numbers begin, `o64`: its float64 ones; `warmup` as `warmupOf` says.
 */
export function takeSlot(rows: Rows, o: number, o64: number, value: number, warmup: number): number {
  const s = rows.float32
  if (s[o + TAKEN]! >= SLOTS) return -1
  let j = 0
  while (s[o + STATE + j] !== FREE) j++
  rows.float64[o64 + ANCHOR + j] = value
  for (const field of [AVERAGE, AGE, BASE, MEAN, SPREAD, REACH, TAUGHT, SECOND]) s[o + field + j] = 0
  s[o + KINDS + j] = 1
  s[o + STATE + j] = s[o + FITTED] === 0 && s[o + ROWS]! <= settlingOf(warmup) / 2 ? JOINT : LONE
  s[o + TAKEN] = s[o + TAKEN]! + 1
  s[o + END] = Math.max(s[o + END]!, j + 1)
  standAlone(s, o, j)
  if (s[o + FITTED]! > 0) refactor(s, o)
  return j
}

export function freeSlot(s: Float32Array, o: number, j: number): void {
  if (s[o + STATE + j] === IN) s[o + INSIDE] = s[o + INSIDE]! - 1
  s[o + STATE + j] = FREE
  s[o + TAKEN] = s[o + TAKEN]! - 1
  standAlone(s, o, j)
  while (s[o + END]! > 0 && s[o + STATE + s[o + END]! - 1] === FREE) s[o + END] = s[o + END]! - 1
  refactor(s, o)
}

/** No correlation with any other metric. */
function standAlone(s: Float32Array, o: number, j: number): void {
  for (let i = 0; i < SLOTS; i++) s[o + COVARIANCE + packedRow(Math.max(i, j)) + Math.min(i, j)] = i === j ? 1 : 0
}

export function refactor(s: Float32Array, o: number): void {
  factor(s, o + COVARIANCE, o + FACTOR, s[o + END]!, RIDGE)
  s[o + SINCE] = 0
}
