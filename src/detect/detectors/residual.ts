/**
 * Basis: the residual of a series to its clock; what is left of a reading when what is usual at this hour of such a day is taken away.
 *
 * A profile of 48 bins (24 hours of weekdays, 24 of weekends, in the device's zone), each with a counter of its first 15 visits, packed by six into
 * a number; a bin never visited stands at the mean of the last 1,000 readings. Beside it the residual's own slow mean and variance. Learns clipped:
 * the profile at 5 of the residual's deviations, mean and variance at 3, that of the readings at 100. A visit weighs by its time (a bin forgets with
 * 75 minutes spent in it), so the cadence doesn't matter below 5 minutes. Assumes that days are alike, weekends among themselves. Recipe:
 * univariate.md, parts S and C.
 * Numbers are kept relative to the series' first value, and bounded, as the level's are.
 */
import { KIND_NUMBER } from '../../core/message.ts'
import type { Basis, Round, Rows } from '../detector.ts'
import { CLOCK_BINS } from '../zones.ts'

/** Columns. */
export const RESIDUAL = 0
/** (residual − its mean) / its deviation, within ±LARGEST_Z. */
export const STANDARDISED = 1
export const RESIDUAL_COLUMNS = 2

// float64
const ANCHOR = 0
// float32
const SEEN = 0
const RECENT = 1
const LEARNT = 2
/** As LEARNT, but set back when the gate gives in: the pace at which it learns. */
const PACE = 3
/** Mean of the readings, for bins never visited. */
const OVERALL = 4
const MEAN = 5
const VARIANCE = 6
const PROFILE = 7
const BINS_A_COUNTER = 6
const VISITS = PROFILE + CLOCK_BINS
const COUNTERS = CLOCK_BINS / BINS_A_COUNTER

const MEMORY = 5000
const OVERALL_MEMORY = 1000
const RECENT_MEMORY = 75
const RESTART = 100
const CLIP_FROM = 30
const CLIP = 3
/** An outlier of a bin that is known moves the mean of all readings by no more. */
const OVERALL_CLIP = 100
const PROFILE_CLIP = 5
export const LARGEST_Z = 5
/** Visits after which a bin learns by time alone; what four bits hold. */
const YOUNG = 15
const VISIT_MS = 4_500_000
const FARTHEST = 1e18
/** Of a reading: what float32 makes of its profile by rounding is no residual. */
const ROUNDING = 2 ** -22

export const residual: Basis = {
  name: 'residual',
  version: 1,
  scope: 'series',
  columns: RESIDUAL_COLUMNS,
  fields: {
    present: [
      { name: 'anchor', type: 'float64', width: 1 },
      { name: 'seen', type: 'float32', width: 1 },
      { name: 'recent', type: 'float32', width: 1 },
    ],
    baseline: [
      { name: 'learnt', type: 'float32', width: 1 },
      { name: 'pace', type: 'float32', width: 1 },
      { name: 'overall', type: 'float32', width: 1 },
      { name: 'mean', type: 'float32', width: 1 },
      { name: 'variance', type: 'float32', width: 1 },
      { name: 'profile', type: 'float32', width: CLOCK_BINS },
      { name: 'visits', type: 'float32', width: COUNTERS },
    ],
  },

  compute(round, rows, columns) {
    const { messages, clock, start, count } = round
    for (let m = 0; m < messages; m++) computeMessage(round, clock[m]!, start[m]!, start[m]! + count[m]!, rows, columns)
  },

  learn(round, rows, columns, weight) {
    const { messages, clock, start, count } = round
    for (let m = 0; m < messages; m++) learnMessage(round, clock[m]!, start[m]!, start[m]! + count[m]!, rows, columns, weight)
  },

  /** Acceptance by shift: the whole profile moves by what the last residuals say, and learns on as if it had seen few. */
  accept(rows, row) {
    const s = rows.float32
    const o = row * rows.stride32 + rows.at32
    const shift = s[o + RECENT]!
    for (let bin = 0; bin < CLOCK_BINS; bin++) s[o + PROFILE + bin] = bounded(s[o + PROFILE + bin]! + shift)
    s[o + OVERALL] = bounded(s[o + OVERALL]! + shift)
    s[o + RECENT] = 0
    s[o + PACE] = Math.min(s[o + PACE]!, RESTART)
  },
}

/** Residuals of readings `from` to `to`, all of one message and so of one bin; NaN for what is no number. */
function computeMessage(round: Round, bin: number, from: number, to: number, rows: Rows, columns: Float64Array): void {
  const { series, kind, value } = round
  const s = rows.float32
  const { stride32, stride64, at32, at64 } = rows
  const counter = VISITS + ((bin / BINS_A_COUNTER) | 0)
  const nibble = 4 * (bin % BINS_A_COUNTER)
  for (let i = from; i < to; i++) {
    const row = series[i]!
    const o = row * stride32 + at32
    const c = i * RESIDUAL_COLUMNS
    if (kind[i] !== KIND_NUMBER || s[o + LEARNT] === 0) {
      columns[c + RESIDUAL] = kind[i] === KIND_NUMBER ? 0 : NaN
      columns[c + STANDARDISED] = 0
      continue
    }
    const x = bounded(value[i]! - rows.float64[row * stride64 + at64 + ANCHOR]!)
    const visited = ((s[o + counter]! >> nibble) & YOUNG) > 0
    const left = x - (visited ? s[o + PROFILE + bin]! : s[o + OVERALL]!)
    const r = Math.abs(left) > ROUNDING * Math.abs(x) ? left : 0
    const mean = s[o + MEAN]!
    const z = (r - mean) / (Math.sqrt(s[o + VARIANCE]!) + 1e-9 * (Math.abs(mean) + 1e-12))
    columns[c + RESIDUAL] = r
    columns[c + STANDARDISED] = clipped(z, LARGEST_Z)
  }
}

function learnMessage(round: Round, bin: number, from: number, to: number, rows: Rows, columns: Float64Array, weight: Float32Array): void {
  const { series, kind, value, since } = round
  const s = rows.float32
  const { stride32, stride64, at32, at64 } = rows
  for (let i = from; i < to; i++) {
    if (kind[i] !== KIND_NUMBER) continue
    const row = series[i]!
    const o = row * stride32 + at32
    const a = row * stride64 + at64 + ANCHOR
    const seen = s[o + SEEN]!
    const r = columns[i * RESIDUAL_COLUMNS + RESIDUAL]!
    if (seen === 0) rows.float64[a] = value[i]!
    s[o + RECENT] = s[o + RECENT]! + (r - s[o + RECENT]!) / Math.min(seen + 1, RECENT_MEMORY)
    s[o + SEEN] = seen + 1
    if (weight[i]! > 0) learnReading(s, o, bin, bounded(value[i]! - rows.float64[a]!), r, since[i]!, weight[i]!)
  }
}

function learnReading(s: Float32Array, o: number, bin: number, x: number, r: number, since: number, g: number): void {
  const pace = s[o + PACE]!
  const variance = s[o + VARIANCE]!
  const sd = pace > CLIP_FROM && variance > 0 ? Math.sqrt(variance) : Infinity
  learnVisit(s, o, bin, x, clipped(r, PROFILE_CLIP * sd), since, g)
  if (s[o + LEARNT] === 0) s[o + OVERALL] = x
  // The first visit of the next hour must not be held against a mean that one reading of 90,000 among sixties has moved.
  const usual = x - r + clipped(r, OVERALL_CLIP * sd)
  s[o + OVERALL] = s[o + OVERALL]! + (g * (usual - s[o + OVERALL]!)) / Math.min(pace + 1, OVERALL_MEMORY)
  const al = g / Math.min(pace + 1, MEMORY)
  const d = clipped(r - s[o + MEAN]!, CLIP * sd)
  s[o + MEAN] = s[o + MEAN]! + al * d
  s[o + VARIANCE] = (1 - al) * (variance + al * d * d)
  s[o + LEARNT] = s[o + LEARNT]! + g
  s[o + PACE] = pace + g
}

/** The bin moves by the residual `d`, or to `x` at its first visit; a visit counts whole, whatever its weight. */
function learnVisit(s: Float32Array, o: number, bin: number, x: number, d: number, since: number, g: number): void {
  const counter = o + VISITS + ((bin / BINS_A_COUNTER) | 0)
  const nibble = 4 * (bin % BINS_A_COUNTER)
  const packed = s[counter]! | 0
  const visits = (packed >> nibble) & YOUNG
  const q = o + PROFILE + bin
  const byTime = Math.min(1 / YOUNG, since / VISIT_MS)
  if (visits === 0) s[q] = x
  else s[q] = s[q]! + g * d * (visits < YOUNG ? Math.max(1 / (visits + 1), byTime) : byTime)
  if (visits < YOUNG) s[counter] = packed + (1 << nibble)
}

function bounded(x: number): number {
  return Math.min(Math.max(x, -FARTHEST), FARTHEST)
}

function clipped(x: number, at: number): number {
  return Math.min(Math.max(x, -at), at)
}

/** What the residual's mean and deviation are, for those who explain. */
export function residualMoments({ float32: s, stride32, at32 }: Rows, row: number): { readonly recent: number; readonly mean: number; readonly sd: number } {
  const o = row * stride32 + at32
  return { recent: s[o + RECENT]!, mean: s[o + MEAN]!, sd: Math.sqrt(s[o + VARIANCE]!) }
}
