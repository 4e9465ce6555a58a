/**
 * Detector: the level of a series; how many of its own deviations a reading lies from its slow mean.
 *
 * z = |x − mean| / sd of winsorised exponential moments (memory 5,000 readings, learning clipped at 3 sd), judged by its own tail.
 * Assumes readings at a steady pace; blind to a daily cycle (it widens sd) and to slow drift (it follows). Recipe: univariate.md, part Z.
 * Numbers are kept relative to the series' first value, so that float32 holds a small spread on a large mean; what lies 1e18 or more from it counts as
 * 1e18, so that no square of it leaves float32.
 */
import { KIND_NUMBER } from '../../core/message.ts'
import type { Detector, Explanation, Round, Rows } from '../detector.ts'
import { grownWeight, rescaledWeight, TAIL_WIDTH, tailEdge, tailLearn, tailScore } from './tail.ts'

// float64
const ANCHOR = 0
// float32
const SEEN = 0
const RECENT = 1
const LEARNT = 2
const WEIGHT = 3
const MEAN = 4
const VARIANCE = 5
/** As LEARNT, but set back when the gate gives in: the pace at which the level learns, while the tail knows what it knew. */
const PACE = 6
const TAIL = 7

const MEMORY = 5000
const RECENT_MEMORY = 75
const RESTART = 100
const CLIP = 3
const CLIP_FROM = 30
const SILENT_UNTIL = 10
const LARGEST_Z = 1e6
const FARTHEST = 1e18

export const level: Detector = {
  name: 'level',
  version: 1,
  scope: 'series',
  cause: 'telemetry',
  scratch: 1,
  fields: {
    present: [
      { name: 'anchor', type: 'float64', width: 1 },
      { name: 'seen', type: 'float32', width: 1 },
      { name: 'recent', type: 'float32', width: 1 },
    ],
    baseline: [
      { name: 'learnt', type: 'float32', width: 1 },
      { name: 'weight', type: 'float32', width: 1 },
      { name: 'mean', type: 'float32', width: 1 },
      { name: 'variance', type: 'float32', width: 1 },
      { name: 'pace', type: 'float32', width: 1 },
      { name: 'tail', type: 'float32', width: TAIL_WIDTH },
    ],
  },

  score(round, rows, scratch, out) {
    scoreLevel(round.readings, round.series, round.kind, round.value, rows, scratch, out)
  },

  learn(round, rows, scratch, weight) {
    learnLevel(round.readings, round.series, round.kind, round.value, rows, scratch, weight)
  },

  /** Acceptance by shift: the mean moves to what the last readings say, and learns on as if it had seen few. */
  accept(rows, row) {
    const s = rows.float32
    const o = row * rows.stride32 + rows.at32
    s[o + MEAN] = s[o + RECENT]!
    s[o + PACE] = Math.min(s[o + PACE]!, RESTART)
  },

  explain: explainLevel,
}

function scoreLevel(
  readings: number,
  series: Int32Array,
  kind: Uint8Array,
  value: Float64Array,
  rows: Rows,
  scratch: Float64Array,
  out: Float32Array,
): void {
  const s = rows.float32
  const s64 = rows.float64
  const { stride32, stride64, at32, at64 } = rows
  for (let i = 0; i < readings; i++) {
    const row = series[i]!
    const o = row * stride32 + at32
    const n = s[o + LEARNT]!
    if (kind[i] !== KIND_NUMBER || n <= SILENT_UNTIL) {
      scratch[i] = 0
      out[i] = NaN
      continue
    }
    const anchor = s64[row * stride64 + at64 + ANCHOR]!
    const mean = s[o + MEAN]!
    const sd = Math.sqrt(s[o + VARIANCE]!)
    const z = Math.min(Math.abs(fromAnchor(value[i]!, anchor) - mean) / (sd + 1e-9 * (Math.abs(mean + anchor) + 1e-12)), LARGEST_Z)
    scratch[i] = z
    out[i] = tailScore(s, o + TAIL, z, n, s[o + WEIGHT]!)
  }
}

function learnLevel(
  readings: number,
  series: Int32Array,
  kind: Uint8Array,
  value: Float64Array,
  rows: Rows,
  scratch: Float64Array,
  weight: Float32Array,
): void {
  const s = rows.float32
  const { stride32, stride64, at32, at64 } = rows
  for (let i = 0; i < readings; i++) {
    if (kind[i] !== KIND_NUMBER) continue
    const row = series[i]!
    const o = row * stride32 + at32
    const seen = s[o + SEEN]!
    const a = row * stride64 + at64 + ANCHOR
    if (seen === 0) rows.float64[a] = value[i]!
    const x = fromAnchor(value[i]!, rows.float64[a]!)
    s[o + RECENT] = s[o + RECENT]! + (x - s[o + RECENT]!) / Math.min(seen + 1, RECENT_MEMORY)
    s[o + SEEN] = seen + 1
    if (weight[i]! > 0) learnReading(s, o, x, scratch[i]!, weight[i]!)
  }
}

function fromAnchor(value: number, anchor: number): number {
  return Math.min(Math.max(value - anchor, -FARTHEST), FARTHEST)
}

function learnReading(s: Float32Array, o: number, x: number, z: number, g: number): void {
  const n = s[o + LEARNT]!
  const w = n > 0 ? s[o + WEIGHT]! : 1
  if (n === 0) s[o + MEAN] = x
  const k = s[o + PACE]! + 1
  const al = g / Math.min(k, MEMORY)
  const variance = s[o + VARIANCE]!
  let d = x - s[o + MEAN]!
  if (k > CLIP_FROM && variance > 0) {
    const clip = CLIP * Math.sqrt(variance)
    d = Math.min(Math.max(d, -clip), clip)
  }
  s[o + MEAN] = s[o + MEAN]! + al * d
  s[o + VARIANCE] = (1 - al) * (variance + al * d * d)
  tailLearn(s, o + TAIL, z, n, w, g)
  s[o + LEARNT] = n + g
  s[o + PACE] = s[o + PACE]! + g
  s[o + WEIGHT] = rescaledWeight(s, o + TAIL, grownWeight(w, g))
}

function explainLevel(round: Round, rows: Rows, at: number): Explanation {
  const row = round.series[at]!
  const s = rows.float32
  const o = row * rows.stride32 + rows.at32
  const centre = s[o + MEAN]! + rows.float64[row * rows.stride64 + rows.at64 + ANCHOR]!
  const half = tailEdge(s, o + TAIL) * Math.sqrt(s[o + VARIANCE]!)
  return { observed: round.value[at]!, low: centre - half, high: centre + half }
}
