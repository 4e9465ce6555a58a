/**
 * Detector: drift; readings that lie to one side of what is usual for longer than by chance, be each of them by itself nothing odd.
 *
 * A two-sided CUSUM of the standardised residual of `residual.ts`, each reading within ±5 deviations and 1.5 of them allowed, judged by its own tail.
 * Mute for its first 300 readings. Follows a drift slower than its memory of 5,000 readings, and so doesn't see it; of a single far reading it says less than level and season do.
 * Recipe: univariate.md, part C. The counts since either side was last at rest are ours, for people.
 */
import type { Detector, Explanation, Ground, Round, Rows } from '../detector.ts'
import { LARGEST_Z, RESIDUAL, RESIDUAL_COLUMNS, residual, residualMoments, STANDARDISED } from './residual.ts'
import { grownWeight, rescaledWeight, TAIL_WIDTH, tailLearn, tailScore } from './tail.ts'

// float32
const UP = 0
const DOWN = 1
/** Readings since that side was last 0. */
const UP_FOR = 2
const DOWN_FOR = 3
const LEARNT = 4
const WEIGHT = 5
const TAIL = 6

const RESTS_UNTIL = 30
/** Its deviations are rare, so that its tail is no judge before; of normal readings one series in three would raise an alarm by 300 that chance does not owe it. */
const SILENT_UNTIL = 300
const ALLOWED = 1.5
const LARGEST = 100
/** float32 counts exactly to here. */
const LONG = 0xffffff

export const drift: Detector = {
  name: 'drift',
  version: 1,
  scope: 'series',
  cause: 'telemetry',
  basis: residual,
  scratch: 1,
  fields: {
    present: [
      { name: 'up', type: 'float32', width: 1 },
      { name: 'down', type: 'float32', width: 1 },
      { name: 'up-for', type: 'float32', width: 1 },
      { name: 'down-for', type: 'float32', width: 1 },
    ],
    baseline: [
      { name: 'learnt', type: 'float32', width: 1 },
      { name: 'weight', type: 'float32', width: 1 },
      { name: 'tail', type: 'float32', width: TAIL_WIDTH },
    ],
  },

  score({ readings, series }, { float32: s, stride32, at32 }, scratch, out, { columns }) {
    for (let i = 0; i < readings; i++) {
      const c = i * RESIDUAL_COLUMNS
      const o = series[i]! * stride32 + at32
      const n = s[o + LEARNT]!
      if (columns[c + RESIDUAL] !== columns[c + RESIDUAL] || n <= RESTS_UNTIL) {
        scratch[i] = 0
        out[i] = NaN
        continue
      }
      const z = columns[c + STANDARDISED]!
      const e = Math.max(0, s[o + UP]! + z - ALLOWED, s[o + DOWN]! - z - ALLOWED)
      scratch[i] = e
      out[i] = n < SILENT_UNTIL ? NaN : tailScore(s, o + TAIL, e, n, s[o + WEIGHT]!)
    }
  },

  learn({ readings, series }, { float32: s, stride32, at32 }, scratch, weight, { columns }) {
    for (let i = 0; i < readings; i++) {
      const c = i * RESIDUAL_COLUMNS
      if (columns[c + RESIDUAL] !== columns[c + RESIDUAL]) continue
      const o = series[i]! * stride32 + at32
      if (s[o + LEARNT]! > RESTS_UNTIL) sum(s, o, columns[c + STANDARDISED]!)
      const g = weight[i]!
      if (g === 0) continue
      const n = s[o + LEARNT]!
      const w = n > 0 ? s[o + WEIGHT]! : 1
      tailLearn(s, o + TAIL, scratch[i]!, n, w, g)
      s[o + LEARNT] = n + g
      s[o + WEIGHT] = rescaledWeight(s, o + TAIL, grownWeight(w, g))
    }
  },

  /** The residual starts anew around what it saw lately: so do the sums. */
  accept({ float32: s, stride32, at32 }, row) {
    const o = row * stride32 + at32
    s.fill(0, o + UP, o + DOWN_FOR + 1)
  },

  explain: explainDrift,

  warmth: (rows, row) => rows.float32[row * rows.stride32 + rows.at32 + LEARNT]! / SILENT_UNTIL,
}

function sum(s: Float32Array, o: number, z: number): void {
  const up = Math.min(LARGEST, Math.max(0, s[o + UP]! + z - ALLOWED))
  const down = Math.min(LARGEST, Math.max(0, s[o + DOWN]! - z - ALLOWED))
  s[o + UP] = up
  s[o + DOWN] = down
  s[o + UP_FOR] = up > 0 ? Math.min(LONG, s[o + UP_FOR]! + 1) : 0
  s[o + DOWN_FOR] = down > 0 ? Math.min(LONG, s[o + DOWN_FOR]! + 1) : 0
}

/**
 * How far it drifted is what the sum makes of it, the mean of the deviations since it was last at rest; or, where the sum is at its bound, what the last
 * residuals say.
 */
function explainDrift(round: Round, rows: Rows, at: number, ground: Ground): Explanation {
  const s = rows.float32
  const row = round.series[at]!
  const o = row * rows.stride32 + rows.at32
  const z = ground.columns[at * RESIDUAL_COLUMNS + STANDARDISED]!
  const { recent, mean, sd } = residualMoments(ground.rows, row)
  const centre = round.value[at]! - ground.columns[at * RESIDUAL_COLUMNS + RESIDUAL]! + mean
  const up = s[o + UP]! + z
  const down = s[o + DOWN]! - z
  const rises = up >= down
  const side = rises ? 1 : -1
  const readings = 1 + (rises ? s[o + UP_FOR]! : s[o + DOWN_FOR]!)
  const summed = sd * (ALLOWED + Math.max(0, (rises ? up : down) - ALLOWED) / readings)
  const by = Math.max(summed, side * (recent - mean))
  const [low, high] = [centre - ALLOWED * sd, centre + ALLOWED * sd]
  // So far off that the sum holds only a part of it: that is no drift, and it speaks for itself.
  if (side * z >= LARGEST_Z) {
    const observed = round.value[at]!
    return { observed, low, high, tell: ({ about, between }) => `is ${about(observed)}, expected ${between(low, high)} at this hour` }
  }
  return {
    observed: centre + side * by,
    low,
    high,
    tell: ({ about, between }) =>
      `has drifted ${rises ? 'up' : 'down'} by ${about(by)} within ${readings} reading${readings > 1 ? 's' : ''}, expected ${between(low, high)} at this hour`,
  }
}
