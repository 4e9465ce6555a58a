/**
 * Detector: rate; a device that floods, or says much less than it did without falling silent.
 *
 * Pace is counted in the time that is told (event time where it is believed), so a replay's speed and a queue sent with its own times change nothing. A
 * mean gap is learnt by blocks of 32 messages, a block clipped at 3 times the mean (memory 16 blocks), so that bursts by nature and outages move it little;
 * beside it how even the gaps are. Even is a mean |gap / mean − 1| below 0.4.
 *
 * Two leaky buckets are the deviation: one fills with messages beyond 1.5 times the pace (3 times, where it is uneven), one with the time that is missing
 * below it. They are the one-sided CUSUM of E. S. Page, Continuous inspection schemes, Biometrika 41 (1954), counted in messages; each leaks faster while
 * its side is as usual. Up to 10 messages (20, where uneven) are nothing; beyond, their peaks have a tail (peaks.ts). One in a million opens an incident.
 *
 * After a long gap as many messages as 1.5 times the pace would have brought in it are a backlog, and fill nothing; messages at the usual pace use that
 * credit up fast. For what is missing a gap counts as three at most: an outage is silence's matter; and only as much as we could hear (covered time).
 * For a minute after its source came back a device may send as fast as it can: an outage of ours is nobody's fault. Only what reports periodically and
 * evenly can fall behind. Blind for devices that send more than some hundred messages at once: their pace is lost in the clipping, and the credit covers them.
 */
import type { Detector, Round, Rows } from '../detector.ts'
import { ownGate } from '../gate.ts'
import { PEAKS_WIDTH, peaksEdge, peaksLearn, peaksLearnt, peaksScore } from './peaks.ts'

// float64
const LAST = 0
// float32
const FAST = 0
const SLOW = 1
/** Messages and ms since the bucket that is fuller was empty: how fast the device is in the excursion. */
const RUN = 2
const RUN_MS = 3
const BLOCK = 4
const BLOCK_MS = 5
const PEAK = 6
/** ms of covered time that no gap has used yet: it comes in steps of a tick. */
const HEARD = 7
const BLOCKS = 8
const MEAN = 9
const UNEVENNESS = 10
const PEAKS = 11

// scratch
const WIDTH = 4
const GAP = 0
const FAST_NEXT = 1
const SLOW_NEXT = 2
const HEARD_NEXT = 3

const BAR = 6
const FLOOR = 10
/** Where messages come in bursts, two of them in a row are nothing yet. */
const FLOOR_UNEVEN = 20
const MUTE_UNTIL = 100
const SLACK = 1.5
/** Of a device that keeps no pace the mean gap says less. */
const SLACK_UNEVEN = 3
/** What is left of a bucket after a message at a usual gap. */
const LEAK = 0.9
/** A bucket holds at most so many times what is expected: enough for the largest surprise, and soon empty. */
const HOLDS = 10
const CREDIT = 10_000
const BACKLOG = 100
/** Of one long gap after another only so much adds up: a connection comes and goes, but bursts by nature must not pile up credit. */
const SHARE = 0.9
const SHARE_UNEVEN = 0.5
/** Gaps from so many means on are long, and count as so many. */
const GAP_MOST = 3
/** As they are told in a sentence they count as so many. */
const RUN_GAP_MOST = 30
const EVEN = 0.4
const UNEVENNESS_MOST = 2
const UNEVENNESS_FROM = 64
const UNEVENNESS_MEMORY = 500
const BLOCK_MESSAGES = 32
const BLOCK_MEMORY = 16
const BLOCK_CLIP = 3
const BLOCK_CLIP_FROM = 8
const RESTART = 3
const RUN_MOST = 200
/** Covered time that is kept for the next gap: as far apart as ticks may be. */
const HEARD_MOST_MS = 3000
/** A mean gap is never shorter, ms. */
const SHORTEST = 0.01
/** Times the pace, or its inverse, from which on an incident may be major and critical. */
const MAJOR_FROM = 3
const CRITICAL_FROM = 10
const MINUTE_MS = 60_000

export const rate: Detector = {
  name: 'rate',
  version: 1,
  scope: 'device',
  cause: 'rate',
  scratch: WIDTH,
  fields: {
    present: [
      { name: 'last', type: 'float64', width: 1 },
      { name: 'fast', type: 'float32', width: 1 },
      { name: 'slow', type: 'float32', width: 1 },
      { name: 'run', type: 'float32', width: 1 },
      { name: 'run-ms', type: 'float32', width: 1 },
      { name: 'block', type: 'float32', width: 1 },
      { name: 'block-ms', type: 'float32', width: 1 },
      { name: 'peak', type: 'float32', width: 1 },
      { name: 'heard', type: 'float32', width: 1 },
    ],
    baseline: [
      { name: 'blocks', type: 'float32', width: 1 },
      { name: 'mean', type: 'float32', width: 1 },
      { name: 'unevenness', type: 'float32', width: 1 },
      { name: 'peaks', type: 'float32', width: PEAKS_WIDTH },
    ],
  },

  score(round, rows, scratch, out) {
    for (let m = 0; m < round.messages; m++) out[m] = scoreMessage(round, rows, scratch, m)
  },

  learn(round, rows, scratch, weight) {
    for (let m = 0; m < round.messages; m++) learnMessage(round, rows, scratch, m, weight[m]!)
  },

  /** The pace of the excursion is the pace; the mean learns on as if it had seen few blocks. */
  accept(rows, row) {
    const s = rows.float32
    const o = row * rows.stride32 + rows.at32
    if (s[o + RUN]! > 0) s[o + MEAN] = Math.max(SHORTEST, s[o + RUN_MS]! / s[o + RUN]!)
    s[o + BLOCKS] = Math.min(s[o + BLOCKS]!, RESTART)
    for (const field of [FAST, SLOW, RUN, RUN_MS, BLOCK, BLOCK_MS, PEAK]) s[o + field] = 0
  },

  explain(round, rows, at) {
    const { mean, gap, isEven } = paceOf(round, rows, at)
    const low = round.periodic[at] && isEven ? MINUTE_MS / (SLACK * mean) : null
    return { observed: MINUTE_MS / gap, low, high: ((isEven ? SLACK : SLACK_UNEVEN) * MINUTE_MS) / mean }
  },

  warmth(rows, row) {
    return Math.min(1, peaksLearnt(rows.float32, row * rows.stride32 + rows.at32 + PEAKS) / MUTE_UNTIL)
  },

  judging: {
    bar: BAR,
    missing: false,
    gate: ownGate('rate'),
    /** A device that only says less is not cut off for it. */
    severity(round, rows, at, excess) {
      const { mean, gap } = paceOf(round, rows, at)
      const times = Math.max(mean / gap, gap / mean)
      const most = times < MAJOR_FROM ? 1 : times < CRITICAL_FROM || gap > mean ? 2 : 3
      return Math.min(most, Math.floor(excess))
    },
  },
}

function scoreMessage(round: Round, rows: Rows, scratch: Float64Array, m: number): number {
  const row = round.device[m]!
  const s = rows.float32
  const o = row * rows.stride32 + rows.at32
  const last = rows.float64[row * rows.stride64 + rows.at64 + LAST]!
  const at = m * WIDTH
  const gap = last > 0 ? round.told[m]! - last : -1
  const mean = s[o + MEAN]!
  scratch[at + GAP] = gap
  scratch[at + FAST_NEXT] = s[o + FAST]!
  scratch[at + SLOW_NEXT] = s[o + SLOW]!
  const heard = s[o + HEARD]! + round.heard[m]!
  scratch[at + HEARD_NEXT] = Math.min(Math.max(0, heard - Math.max(0, gap)), HEARD_MOST_MS)
  if (mean === 0) return NaN
  const isEven = s[o + UNEVENNESS]! < EVEN
  const floor = isEven ? FLOOR : FLOOR_UNEVEN
  const most = HOLDS * peaksEdge(s, o + PEAKS, floor)
  // A clock was set back: nobody knows how long it was.
  if (gap >= 0) {
    const fast = fastAfter(s[o + FAST]!, gap / mean, isEven, most)
    // What devices could not send while our side was away comes as fast as they can.
    scratch[at + FAST_NEXT] = round.catchingUp[m] ? Math.min(fast, Math.max(0, s[o + FAST]!)) : fast
    scratch[at + SLOW_NEXT] = round.periodic[m] && isEven ? slowAfter(s[o + SLOW]!, Math.min(gap, heard) / mean, most) : 0
  }
  if (peaksLearnt(s, o + PEAKS) < MUTE_UNTIL) return NaN
  return peaksScore(s, o + PEAKS, Math.max(scratch[at + FAST_NEXT]!, scratch[at + SLOW_NEXT]!), floor)
}

/** The bucket of too many, below 0 a credit, after a gap of `gaps` means. */
function fastAfter(fast: number, gaps: number, isEven: boolean, most: number): number {
  const step = 1 - (isEven ? SLACK : SLACK_UNEVEN) * gaps
  if (fast > 0) return step < 0 && fast + step > 0 ? LEAK * (fast + step) : Math.max(-CREDIT, Math.min(fast + step, most))
  if (step >= 0) return Math.min(fast + 1, step)
  const credit = Math.min(0, 1 - SLACK * gaps)
  return Math.max(-CREDIT, Math.min(credit, gaps < GAP_MOST ? LEAK * fast : fast + 1 - (isEven ? SHARE : SHARE_UNEVEN) * gaps))
}

/** The bucket of too few. */
function slowAfter(slow: number, gaps: number, most: number): number {
  const next = Math.max(0, slow + Math.min(gaps, GAP_MOST) / SLACK - 1)
  return gaps < SLACK ? LEAK * next : Math.min(next, most)
}

function learnMessage(round: Round, rows: Rows, scratch: Float64Array, m: number, g: number): void {
  const row = round.device[m]!
  const s = rows.float32
  const o = row * rows.stride32 + rows.at32
  const gap = scratch[m * WIDTH + GAP]!
  rows.float64[row * rows.stride64 + rows.at64 + LAST] = round.told[m]!
  s[o + HEARD] = scratch[m * WIDTH + HEARD_NEXT]!
  if (gap < 0) return
  const fast = scratch[m * WIDTH + FAST_NEXT]!
  const slow = scratch[m * WIDTH + SLOW_NEXT]!
  const e = Math.max(fast, slow, 0)
  // A run is of one side: it begins anew where the other bucket is the fuller one now.
  const wasFast = s[o + FAST]! > s[o + SLOW]!
  const sameSide = wasFast === fast > slow
  s[o + FAST] = fast
  s[o + SLOW] = slow
  learnRun(s, o, e > 0, sameSide, Math.min(gap, RUN_GAP_MOST * s[o + MEAN]!))
  peaksLearn(s, o + PEAKS, o + PEAK, e, s[o + UNEVENNESS]! < EVEN ? FLOOR : FLOOR_UNEVEN, s[o + MEAN]! > 0 ? g : 0)
  if (g === 0) {
    s[o + BLOCK] = 0
    s[o + BLOCK_MS] = 0
    return
  }
  if (round.catchingUp[m]) return
  const mean = s[o + MEAN]!
  if (fast > -BACKLOG) learnPace(s, o, gap, g)
  // A queue is no pace, and the gap before it counts little; gaps that stay so long become the pace all the same.
  else if (gap >= mean / SLACK) learnPace(s, o, Math.min(gap, GAP_MOST * mean), g)
}

function learnRun(s: Float32Array, o: number, isOut: boolean, sameSide: boolean, gap: number): void {
  if (!isOut || !sameSide) {
    s[o + RUN] = 0
    s[o + RUN_MS] = 0
  }
  if (!isOut) return
  if (s[o + RUN]! >= RUN_MOST) {
    s[o + RUN] = s[o + RUN]! / 2
    s[o + RUN_MS] = s[o + RUN_MS]! / 2
  }
  s[o + RUN] = s[o + RUN]! + 1
  s[o + RUN_MS] = s[o + RUN_MS]! + gap
}

function learnPace(s: Float32Array, o: number, gap: number, g: number): void {
  const mean = s[o + MEAN]!
  if (mean > 0) {
    const n = peaksLearnt(s, o + PEAKS)
    const al = g / (n < UNEVENNESS_FROM ? n + 1 : UNEVENNESS_MEMORY)
    s[o + UNEVENNESS] = s[o + UNEVENNESS]! + al * (Math.min(Math.abs(gap / mean - 1), UNEVENNESS_MOST) - s[o + UNEVENNESS]!)
  }
  s[o + BLOCK] = s[o + BLOCK]! + 1
  s[o + BLOCK_MS] = s[o + BLOCK_MS]! + gap
  if (s[o + BLOCK]! < BLOCK_MESSAGES) return
  const blocks = s[o + BLOCKS]!
  let of = s[o + BLOCK_MS]! / BLOCK_MESSAGES
  if (blocks >= BLOCK_CLIP_FROM) of = Math.min(Math.max(of, mean / BLOCK_CLIP), mean * BLOCK_CLIP)
  s[o + MEAN] = Math.max(SHORTEST, mean + (g * (of - mean)) / Math.min(blocks + 1, BLOCK_MEMORY))
  s[o + BLOCKS] = blocks + g
  s[o + BLOCK] = 0
  s[o + BLOCK_MS] = 0
}

/** The mean gap, and that of the excursion with this message, ms. */
function paceOf(round: Round, rows: Rows, m: number): { mean: number; gap: number; isEven: boolean } {
  const row = round.device[m]!
  const s = rows.float32
  const o = row * rows.stride32 + rows.at32
  const mean = Math.max(SHORTEST, s[o + MEAN]!)
  const now = Math.max(0, round.told[m]! - rows.float64[row * rows.stride64 + rows.at64 + LAST]!)
  return { mean, gap: Math.max(SHORTEST, (s[o + RUN_MS]! + now) / (s[o + RUN]! + 1)), isEven: s[o + UNEVENNESS]! < EVEN }
}
