/**
 * Detector: the alarm chart of a device; how far its metrics, taken together, lie from how they move with one another.
 *
 * Each metric's average of 15 is held against a slow level that follows drift but no step; the deviations, in their own spread and compressed, are whitened
 * by their correlation, and the length of what comes out is judged by a tail of its own. Assumes messages at a steady pace that bring most of the metrics;
 * weak where each metric has its own message, where a normal operating mode was not met in warm-up, and blind to what a single metric never does within
 * its spread. Recipe, constants and figures: multivariate.md of the detection notes, section 1; streaming form: chart.py.
 */
import { KIND_NUMBER } from '../../core/message.ts'
import type { Detector, Explanation, Leader, Round, Rows } from '../detector.ts'
import { acceptLevels, hasNothingToSay, learnFitted, learnWarming, teachTail, warmthOf } from './chart-learn.ts'
import * as at from './chart-row.ts'
import { warmupOf } from './chart-row.ts'
import { solveLower, solveUpper } from './packed.ts'
import { tailEdge, tailScore } from './tail.ts'

const { SLOTS } = at

/** Messages an average is made of. */
const AVERAGE_OF = 15
/** Deviations up to some ten spreads count as they are, larger ones by their logarithm: one metric must not drown the others. */
const COMPRESS_AT = 20
/** Farthest a value may lie from the first one, so that no square of it leaves float32. */
const FARTHEST = 1e17
/** Smallest spread a deviation is divided by. */
const SPREAD_MIN = 1e-30

// Scratch of a message.
const AVERAGES = 0
const PHI = SLOTS
const WHITE = 2 * SLOTS
/** Of the message from how its metrics move; NaN where nothing is known of that yet. */
export const DISTANCE = 3 * SLOTS
const SURPRISE = DISTANCE + 1
const SCRATCH = SURPRISE + 1

/** Metrics an explanation names at most, and the share of the distance they are to make up. */
const LEADERS = 3
const LEADING_SHARE = 0.8
/** Half width of an expected band, in spreads; less where the distance of all metrics was never so large. */
const BAND = 3

const work = new Float64Array(SCRATCH)

export const chart: Detector = {
  name: 'chart',
  version: at.CHART_VERSION,
  scope: 'device',
  cause: 'telemetry',
  basis: at.chartSlot,
  scratch: SCRATCH,
  fields: at.CHART_FIELDS,

  score(round, rows, scratch, out, ground) {
    for (let m = 0; m < round.messages; m++) {
      if (round.missing) out[m] = NaN
      else out[m] = scoreMessage(round, rows, ground.rows, m, scratch, m * SCRATCH)
    }
  },

  learn(round, rows, scratch, weight, ground) {
    for (let m = 0; m < round.messages; m++) learnMessage(round, rows, ground.rows, m, scratch, m * SCRATCH, weight[m]!)
  },

  accept(rows, row) {
    acceptLevels(rows.float32, row * rows.stride32 + rows.at32)
  },

  forget(rows, row, slots, series) {
    const slot = at.slotOf(slots, series)
    if (slot >= 0) at.freeSlot(rows.float32, row * rows.stride32 + rows.at32, slot)
  },

  warmth(rows, row, settings) {
    return warmthOf(rows.float32, row * rows.stride32 + rows.at32, warmupOf(settings.warmup))
  },

  explain(round, rows, m, ground) {
    const first = leadersOf(round, rows, ground.rows, m)[0]
    return first ? { observed: first.observed, low: first.low, high: first.high } : { observed: 0, low: null, high: null }
  },

  leaders(round, rows, m, ground) {
    return leadersOf(round, rows, ground.rows, m)
  },
}

/** Fills the message's scratch and gives its surprise; NaN before the chart was calibrated. Leaves the row as it is. */
function scoreMessage(round: Round, rows: Rows, slots: Rows, m: number, scratch: Float64Array, c: number): number {
  const s = rows.float32
  const o = round.device[m]! * rows.stride32 + rows.at32
  const end = s[o + at.END]!
  for (let j = 0; j < end; j++) scratch[c + AVERAGES + j] = s[o + at.AVERAGE + j]!
  takeReadings(round, rows, slots, m, scratch, c)
  const distance = s[o + at.INSIDE]! > 0 ? distanceOf(s, o, end, scratch, c) : NaN
  scratch[c + DISTANCE] = distance
  const n = s[o + at.LEARNT]!
  const speaks = s[o + at.QUANTILE]! > 0 && distance === distance
  const surprise = speaks ? tailScore(s, o + at.TAIL, distance, n, s[o + at.WEIGHT]!) : NaN
  scratch[c + SURPRISE] = surprise
  return surprise
}

/** Moves the averages in scratch by what the message brings: a metric that missed some messages takes their steps at once. */
function takeReadings(round: Round, rows: Rows, slots: Rows, m: number, scratch: Float64Array, c: number): void {
  const s = rows.float32
  const o = round.device[m]! * rows.stride32 + rows.at32
  const anchors = round.device[m]! * rows.stride64 + rows.at64 + at.ANCHOR
  const last = round.start[m]! + round.count[m]!
  for (let i = round.start[m]!; i < last; i++) {
    if (round.kind[i] !== KIND_NUMBER) continue
    const j = at.slotOf(slots, round.series[i]!)
    if (j < 0) continue
    const step = 1 / Math.min(s[o + at.TAUGHT + j]! + 1, AVERAGE_OF)
    const age = s[o + at.AGE + j]!
    const x = fromAnchor(round.value[i]!, rows.float64[anchors + j]!)
    const y = s[o + at.AVERAGE + j]!
    scratch[c + AVERAGES + j] = y + (age > 0 ? 1 - (1 - step) ** (age + 1) : step) * (x - y)
  }
}

function fromAnchor(value: number, anchor: number): number {
  return Math.min(Math.max(value - anchor, -FARTHEST), FARTHEST)
}

/** Mahalanobis distance of the compressed deviations, by the factor in the row. */
function distanceOf(s: Float32Array, o: number, end: number, scratch: Float64Array, c: number): number {
  for (let j = 0; j < end; j++) {
    scratch[c + PHI + j] = 0
    if (s[o + at.STATE + j] !== at.IN) continue
    const r = scratch[c + AVERAGES + j]! - s[o + at.BASE + j]!
    const z = (r - s[o + at.MEAN + j]!) / Math.max(s[o + at.SPREAD + j]!, SPREAD_MIN)
    scratch[c + PHI + j] = COMPRESS_AT * Math.asinh(z / COMPRESS_AT)
  }
  return Math.sqrt(solveLower(s, o + at.FACTOR, end, scratch, c + PHI, c + WHITE))
}

function learnMessage(round: Round, rows: Rows, slots: Rows, m: number, scratch: Float64Array, c: number, g: number): void {
  const s = rows.float32
  const o = round.device[m]! * rows.stride32 + rows.at32
  const end = s[o + at.END]!
  for (let j = 0; j < end; j++) {
    s[o + at.AVERAGE + j] = scratch[c + AVERAGES + j]!
    s[o + at.AGE + j] = s[o + at.AGE + j]! + 1
  }
  const warmup = warmupOf(round.warmup[m]!)
  noteReadings(round, rows, slots, m, g > 0)
  if (g > 0 && s[o + at.FITTED] === 0) learnWarming(s, o, warmup)
  else if (g > 0) learnFitted(s, o, warmup, g, scratch, c + PHI, scratch[c + DISTANCE]!)
  if (teachTail(s, o, warmup, g, scratch[c + DISTANCE]!, scratch[c + SURPRISE]!)) acceptLevels(s, o)
}

/** Notes what the message brought; a metric met for the first time takes a slot, where the message `teaches`. */
function noteReadings(round: Round, rows: Rows, slots: Rows, m: number, teaches: boolean): void {
  const s = rows.float32
  const o = round.device[m]! * rows.stride32 + rows.at32
  const o64 = round.device[m]! * rows.stride64 + rows.at64
  const last = round.start[m]! + round.count[m]!
  for (let i = round.start[m]!; i < last; i++) {
    if (round.kind[i] !== KIND_NUMBER) continue
    const series = round.series[i]!
    const j = at.slotOf(slots, series)
    if (j >= 0) s[o + at.AGE + j] = 0
    if (!teaches || j === at.NEVER) continue
    if (j >= 0 && s[o + at.TAKEN] === SLOTS && hasNothingToSay(s, o, j)) {
      // Others may be waiting for its place.
      at.freeSlot(s, o, j)
      at.setSlot(slots, series, at.NEVER)
    } else if (j >= 0) noteKind(s, o, j, fromAnchor(round.value[i]!, rows.float64[o64 + at.ANCHOR + j]!))
    else at.setSlot(slots, series, at.takeSlot(rows, o, o64, round.value[i]!, warmupOf(round.warmup[m]!)))
  }
}

/** Counts distinct values, up to three. */
function noteKind(s: Float32Array, o: number, j: number, x: number): void {
  const kinds = s[o + at.KINDS + j]!
  if (kinds >= 3 || x === 0) return
  if (kinds === 2 && s[o + at.SECOND + j] === Math.fround(x)) return
  if (kinds === 1) s[o + at.SECOND + j] = x
  s[o + at.KINDS + j] = kinds + 1
}

/** One slot's share of the distance's square, beside its reading. */
interface Share {
  readonly reading: number
  readonly slot: number
  readonly share: number
}

/** The readings that make up most of the distance, heaviest first. */
function leadersOf(round: Round, rows: Rows, slots: Rows, m: number): Leader[] {
  scoreMessage(round, rows, slots, m, work, 0)
  const s = rows.float32
  const o = round.device[m]! * rows.stride32 + rows.at32
  solveUpper(s, o + at.FACTOR, s[o + at.END]!, work, WHITE)
  const shares: Share[] = []
  for (let reading = round.start[m]!; reading < round.start[m]! + round.count[m]!; reading++) {
    const slot = round.kind[reading] === KIND_NUMBER ? at.slotOf(slots, round.series[reading]!) : -1
    if (slot >= 0 && s[o + at.STATE + slot] === at.IN) shares.push({ reading, slot, share: work[PHI + slot]! * work[WHITE + slot]! })
  }
  shares.sort((a, b) => b.share - a.share || a.reading - b.reading)
  let left = LEADING_SHARE * work[DISTANCE]! ** 2
  const leading = shares.slice(0, LEADERS).filter(({ share }) => {
    const leads = left > 0
    left -= share
    return leads
  })
  const device = round.device[m]!
  if (leading.length === 1) return [{ reading: leading[0]!.reading, ...bandOf(rows, device, leading[0]!.slot, besideOthers(s, o, leading[0]!.slot)) }]
  return leading.map(({ reading, slot }) => ({ reading, ...bandOf(rows, device, slot, { usual: 0, spread: 1 }) }))
}

/** Of a compressed deviation: the one to be expected, and in which spread. */
interface Common {
  readonly usual: number
  readonly spread: number
}

/** Where the others are what they are in `work`, by the inverse of their correlation: its diagonal element is what the solution for a unit has for length. */
function besideOthers(s: Float32Array, o: number, slot: number): Common {
  const [phi, solved] = [work[PHI + slot]!, work[WHITE + slot]!]
  work.fill(0, PHI, PHI + SLOTS)
  work[PHI + slot] = 1
  const precision = solveLower(s, o + at.FACTOR, s[o + at.END]!, work, PHI, PHI)
  return { usual: phi - solved / precision, spread: 1 / Math.sqrt(precision) }
}

/** Of the average: what it is, and where it lies in the common run of things. */
function bandOf(rows: Rows, device: number, slot: number, { usual, spread }: Common): Explanation {
  const s = rows.float32
  const o = device * rows.stride32 + rows.at32
  const anchor = rows.float64[device * rows.stride64 + rows.at64 + at.ANCHOR + slot]!
  const centre = anchor + s[o + at.BASE + slot]! + s[o + at.MEAN + slot]!
  const half = Math.min(BAND, tailEdge(s, o + at.TAIL)) * spread
  const valueAt = (phi: number) => centre + COMPRESS_AT * Math.sinh(phi / COMPRESS_AT) * s[o + at.SPREAD + slot]!
  const said = { observed: anchor + work[AVERAGES + slot]!, low: valueAt(usual - half), high: valueAt(usual + half) }
  if (s[o + at.INSIDE]! > 1) return said
  return { ...said, tell: ({ about, between }) => `averages ${about(said.observed)}, expected ${between(said.low, said.high)}` }
}
