/**
 * Detector: clock; a device whose event times run away from the times they arrive at, jump, or stand still.
 *
 * Skew is event time claimed less arrival. Its mean is learnt (memory 500 messages), so a constant offset is normal; it follows by at most 0.3 s a minute,
 * so a clock that is off by more each minute gets away from it. The deviation is how far the skew lies from it, in s; up to 10 s are nothing: hosts set
 * their own clocks by as much. Beyond, its peaks have a tail (peaks.ts), and one in a million opens an incident.
 *
 * Ahead is certain: nothing is measured after it arrived. Behind may be a slow network or a queue, so it counts once it has lasted two minutes by
 * arrival. Either is a wrong clock, no danger: never critical. Blind for drift below 0.3 s a minute, and where no event time is claimed. Wrong where *our*
 * clock is set by 20 s and more: then all devices have it at once.
 */
import type { Detector, Round, Rows } from '../detector.ts'
import { ownGate } from '../gate.ts'
import { PEAKS_WIDTH, peaksEdge, peaksLearn, peaksLearnt, peaksScore } from './peaks.ts'

// float64
const LAST_SKEW = 0
const LAST_ARRIVAL = 1
/** Arrival of the first message of those in a row that were behind; 0: the last was not. */
const BEHIND_SINCE = 2
const MEAN = 3
// float32
const PEAK = 0
const PEAKS = 1

// scratch
const WIDTH = 2
const DEVIATION = 0
const SINCE_NEXT = 1

const BAR = 6
const FLOOR_S = 10
const MUTE_UNTIL = 100
const MEMORY = 500
const FOLLOWS = 0.3 / 60
const BEHIND_FOR_MS = 120_000
/** A deviation counts at most as this, s: thirty years. */
const FARTHEST_S = 1e9
/** An incident is minor from a minute ahead on, or five behind; major from five ahead. */
const MINUTE_S = 60
const FAR_S = 300

export const clock: Detector = {
  name: 'clock',
  version: 1,
  scope: 'device',
  cause: 'clock',
  scratch: WIDTH,
  fields: {
    present: [
      { name: 'last-skew', type: 'float64', width: 1 },
      { name: 'last-arrival', type: 'float64', width: 1 },
      { name: 'behind-since', type: 'float64', width: 1 },
      { name: 'peak', type: 'float32', width: 1 },
    ],
    baseline: [
      { name: 'mean', type: 'float64', width: 1 },
      { name: 'peaks', type: 'float32', width: PEAKS_WIDTH },
    ],
  },

  score(round, rows, scratch, out) {
    for (let m = 0; m < round.messages; m++) out[m] = scoreMessage(round, rows, scratch, m)
  },

  learn(round, rows, scratch, weight) {
    for (let m = 0; m < round.messages; m++) learnMessage(round, rows, scratch, m, weight[m]!)
  },

  /** The last skew is the usual one. */
  accept(rows, row) {
    const o64 = row * rows.stride64 + rows.at64
    rows.float64[o64 + MEAN] = rows.float64[o64 + LAST_SKEW]!
    rows.float64[o64 + BEHIND_SINCE] = 0
    rows.float32[row * rows.stride32 + rows.at32 + PEAK] = 0
  },

  explain(round, rows, at) {
    const row = round.device[at]!
    const mean = rows.float64[row * rows.stride64 + rows.at64 + MEAN]! / 1000
    const edge = peaksEdge(rows.float32, row * rows.stride32 + rows.at32 + PEAKS, FLOOR_S)
    return { observed: round.skew[at]! / 1000, low: mean - edge, high: mean + edge }
  },

  /** It has no say where no time is claimed, or any is taken. */
  warmth(rows, row, { backfill }) {
    if (backfill || rows.float64[row * rows.stride64 + rows.at64 + LAST_ARRIVAL] === 0) return 1
    return Math.min(1, peaksLearnt(rows.float32, row * rows.stride32 + rows.at32 + PEAKS) / MUTE_UNTIL)
  },

  judging: {
    bar: BAR,
    missing: false,
    gate: ownGate('clock'),
    severity(round, rows, at) {
      const row = round.device[at]!
      const ahead = (round.skew[at]! - rows.float64[row * rows.stride64 + rows.at64 + MEAN]!) / 1000
      return ahead < 0 ? (ahead < -FAR_S ? 1 : 0) : ahead < MINUTE_S ? 0 : ahead < FAR_S ? 1 : 2
    },
  },
}

function scoreMessage(round: Round, rows: Rows, scratch: Float64Array, m: number): number {
  const skew = round.skew[m]!
  if (skew !== skew) return NaN
  const row = round.device[m]!
  const o64 = row * rows.stride64 + rows.at64
  const o = row * rows.stride32 + rows.at32 + PEAKS
  // Nothing is far from the first of all.
  const ahead = rows.float64[o64 + LAST_ARRIVAL]! > 0 ? (skew - rows.float64[o64 + MEAN]!) / 1000 : 0
  let since = 0
  let e = ahead
  if (ahead < -FLOOR_S) {
    since = rows.float64[o64 + BEHIND_SINCE]!
    if (since === 0) since = round.arrival[m]!
    e = round.arrival[m]! - since >= BEHIND_FOR_MS ? -ahead : 0
  }
  e = e <= FLOOR_S ? 0 : Math.min(e, FARTHEST_S)
  scratch[m * WIDTH + DEVIATION] = e
  scratch[m * WIDTH + SINCE_NEXT] = since
  return peaksLearnt(rows.float32, o) < MUTE_UNTIL ? NaN : peaksScore(rows.float32, o, e, FLOOR_S)
}

function learnMessage(round: Round, rows: Rows, scratch: Float64Array, m: number, g: number): void {
  const skew = round.skew[m]!
  if (skew !== skew) return
  const row = round.device[m]!
  const s64 = rows.float64
  const o64 = row * rows.stride64 + rows.at64
  const o = row * rows.stride32 + rows.at32
  const n = peaksLearnt(rows.float32, o + PEAKS)
  if (g > 0) {
    let step = (g * (skew - s64[o64 + MEAN]!)) / Math.min(n + 1, MEMORY)
    if (n >= MUTE_UNTIL) {
      const most = FOLLOWS * Math.max(0, round.arrival[m]! - s64[o64 + LAST_ARRIVAL]!)
      step = Math.min(Math.max(step, -most), most)
    }
    s64[o64 + MEAN] = s64[o64 + MEAN]! + step
  }
  s64[o64 + LAST_SKEW] = skew
  s64[o64 + LAST_ARRIVAL] = round.arrival[m]!
  s64[o64 + BEHIND_SINCE] = scratch[m * WIDTH + SINCE_NEXT]!
  peaksLearn(rows.float32, o + PEAKS, o + PEAK, scratch[m * WIDTH + DEVIATION]!, FLOOR_S, g)
}
