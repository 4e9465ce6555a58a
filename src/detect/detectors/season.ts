/**
 * Detector: the season of a series; how far a reading lies from what is usual at this hour of such a day.
 *
 * |residual| to the clock profile of `residual.ts`, judged by its own tail. Assumes a daily course, weekends apart; of a series without one it says what the
 * level says. Wrong in the first days, while most hours are new to it, and on holidays. Recipe: univariate.md, part S.
 */
import type { Detector } from '../detector.ts'
import { RESIDUAL, RESIDUAL_COLUMNS, residual } from './residual.ts'
import { grownWeight, rescaledWeight, TAIL_WIDTH, tailEdge, tailLearn, tailScore } from './tail.ts'

// float32
const LEARNT = 0
const WEIGHT = 1
const TAIL = 2

const SILENT_UNTIL = 10

export const season: Detector = {
  name: 'season',
  version: 1,
  scope: 'series',
  cause: 'telemetry',
  basis: residual,
  scratch: 0,
  fields: {
    present: [],
    baseline: [
      { name: 'learnt', type: 'float32', width: 1 },
      { name: 'weight', type: 'float32', width: 1 },
      { name: 'tail', type: 'float32', width: TAIL_WIDTH },
    ],
  },

  score({ readings, series }, { float32: s, stride32, at32 }, _scratch, out, { columns }) {
    for (let i = 0; i < readings; i++) {
      const r = columns[i * RESIDUAL_COLUMNS + RESIDUAL]!
      const o = series[i]! * stride32 + at32
      const n = s[o + LEARNT]!
      out[i] = r !== r || n <= SILENT_UNTIL ? NaN : tailScore(s, o + TAIL, Math.abs(r), n, s[o + WEIGHT]!)
    }
  },

  learn({ readings, series }, { float32: s, stride32, at32 }, _scratch, weight, { columns }) {
    for (let i = 0; i < readings; i++) {
      const r = columns[i * RESIDUAL_COLUMNS + RESIDUAL]!
      const g = weight[i]!
      if (r !== r || g === 0) continue
      const o = series[i]! * stride32 + at32
      const n = s[o + LEARNT]!
      const w = n > 0 ? s[o + WEIGHT]! : 1
      tailLearn(s, o + TAIL, Math.abs(r), n, w, g)
      s[o + LEARNT] = n + g
      s[o + WEIGHT] = rescaledWeight(s, o + TAIL, grownWeight(w, g))
    }
  },

  explain(round, rows, at, { columns }) {
    const observed = round.value[at]!
    const usual = observed - columns[at * RESIDUAL_COLUMNS + RESIDUAL]!
    const half = tailEdge(rows.float32, round.series[at]! * rows.stride32 + rows.at32 + TAIL)
    const [low, high] = [usual - half, usual + half]
    return { observed, low, high, tell: ({ about, between }) => `is ${about(observed)}, expected ${between(low, high)} at this hour` }
  },
}
