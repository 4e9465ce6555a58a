/**
 * Detector: stuck; a number that no longer changes though it used to.
 *
 * Counts the run of equal values that the newest reading ends or prolongs. A tail of its own learns the length of each run when it has ended, so a sensor
 * with few values is known to stand still for long. Mute until 20 runs have ended, and of runs below 10 readings; what never changed is never stuck.
 * A run that the gate froze over is not learnt. Wrong for what stands still for as long as it likes: set points, counters of rare events.
 */
import { KIND_NUMBER } from '../../core/message.ts'
import type { Detector, Round, Rows } from '../detector.ts'
import { grownWeight, rescaledWeight, TAIL_WIDTH, tailEdge, tailLearn, tailRaise, tailScore } from './tail.ts'

// float64
const LAST = 0
// float32
/** Readings of the run that goes on; 0 before the first. */
const RUN = 0
/** Runs. */
const LEARNT = 1
const WEIGHT = 2
const TAIL = 3

const MUTE_UNTIL = 20
const SHORTEST = 10
/** float32 counts exactly to here. */
const LONG = 0xffffff

export const stuck: Detector = {
  name: 'stuck',
  version: 1,
  scope: 'series',
  cause: 'telemetry',
  scratch: 0,
  fields: {
    present: [
      { name: 'last', type: 'float64', width: 1 },
      { name: 'run', type: 'float32', width: 1 },
    ],
    baseline: [
      { name: 'learnt', type: 'float32', width: 1 },
      { name: 'weight', type: 'float32', width: 1 },
      { name: 'tail', type: 'float32', width: TAIL_WIDTH },
    ],
  },

  score(round, rows, _scratch, out) {
    const { readings, kind, series } = round
    const s = rows.float32
    for (let i = 0; i < readings; i++) {
      const o = series[i]! * rows.stride32 + rows.at32
      const n = s[o + LEARNT]!
      if (kind[i] !== KIND_NUMBER || n < MUTE_UNTIL) out[i] = NaN
      else {
        const run = runWith(round, rows, i)
        out[i] = run < SHORTEST ? 0 : tailScore(s, o + TAIL, run, n, s[o + WEIGHT]!)
      }
    }
  },

  learn(round, rows, _scratch, weight) {
    const { readings, kind, series, value } = round
    const s = rows.float32
    for (let i = 0; i < readings; i++) {
      if (kind[i] !== KIND_NUMBER) continue
      const o = series[i]! * rows.stride32 + rows.at32
      const run = runWith(round, rows, i)
      if (run === 1 && s[o + RUN]! > 0 && weight[i]! > 0) learnRun(s, o, weight[i]!)
      rows.float64[series[i]! * rows.stride64 + rows.at64 + LAST] = value[i]!
      s[o + RUN] = run
    }
  },

  /** It may stand still as long as it does now. */
  accept({ float32: s, stride32, at32 }, row) {
    const o = row * stride32 + at32
    tailRaise(s, o + TAIL, s[o + RUN]!)
  },

  explain(round, rows, at) {
    const value = round.value[at]!
    const observed = runWith(round, rows, at)
    const high = tailEdge(rows.float32, round.series[at]! * rows.stride32 + rows.at32 + TAIL)
    return {
      observed,
      low: null,
      high,
      tell: ({ exactly }) => `has been exactly ${exactly(value)} for ${observed} readings, expected at most ${Math.max(1, Math.round(high))}`,
    }
  },
}

/** Length of the run that reading `i` belongs to, itself among them. */
function runWith({ series, value }: Round, rows: Rows, i: number): number {
  const row = series[i]!
  const run = rows.float32[row * rows.stride32 + rows.at32 + RUN]!
  return run > 0 && rows.float64[row * rows.stride64 + rows.at64 + LAST] === value[i] ? Math.min(LONG, run + 1) : 1
}

function learnRun(s: Float32Array, o: number, g: number): void {
  const n = s[o + LEARNT]!
  const w = n > 0 ? s[o + WEIGHT]! : 1
  tailLearn(s, o + TAIL, s[o + RUN]!, n, w, g)
  s[o + LEARNT] = n + g
  s[o + WEIGHT] = rescaledWeight(s, o + TAIL, grownWeight(w, g))
}
