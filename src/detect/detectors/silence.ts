/**
 * Detector: silence; a device that has said nothing for longer than it ever does, in time that we were listening.
 *
 * Gaps between messages are counted in covered ms (DESIGN.md section 4), learnt by a tail of their own in seconds, mute until 20 were seen, and never
 * shorter than 10 s. Where the class promises a heartbeat, that counts and nothing is learnt. Wrong for devices that report only when something changes:
 * their class says so (`reports: on-change`).
 */
import { SEVERITIES } from '../../core/incident.ts'
import type { ClassSettings } from '../../core/settings.ts'
import type { Detector, Round, Rows } from '../detector.ts'
import { grownWeight, rescaledWeight, TAIL_WIDTH, tailEdge, tailLearn, tailScore } from './tail.ts'

// float32
const LEARNT = 0
const WEIGHT = 1
const TAIL = 2

/** A device whose gap is so surprising is silent: one in a million of its gaps. */
const BAR = 6
const MAJOR = SEVERITIES.indexOf('major')
const MUTE_UNTIL = 20
const SHORTEST_MS = 10_000
/** At twice the promised heartbeat the surprise is 6: one in a million. */
const HEARTBEAT_AT_PROMISE = 3
const HEARTBEAT_PARETO = 10

export const silence: Detector = {
  name: 'silence',
  version: 1,
  scope: 'device',
  cause: 'silence',
  scratch: 0,
  fields: {
    present: [],
    baseline: [
      { name: 'learnt', type: 'float32', width: 1 },
      { name: 'weight', type: 'float32', width: 1 },
      { name: 'tail', type: 'float32', width: TAIL_WIDTH },
    ],
  },

  score(round, rows, _scratch, out) {
    for (let m = 0; m < round.messages; m++) out[m] = scoreGap(round, rows, m)
  },

  learn(round, rows, _scratch, weight) {
    if (round.missing) return
    const s = rows.float32
    for (let m = 0; m < round.messages; m++) {
      const g = weight[m]!
      if (g === 0 || round.gap[m]! < 0 || round.heartbeat[m] !== 0) continue
      const o = round.device[m]! * rows.stride32 + rows.at32
      const n = s[o + LEARNT]!
      const w = n > 0 ? s[o + WEIGHT]! : 1
      tailLearn(s, o + TAIL, seconds(round.gap[m]!), n, w, g)
      s[o + LEARNT] = n + g
      s[o + WEIGHT] = rescaledWeight(s, o + TAIL, grownWeight(w, g))
    }
  },

  explain(round, rows, at) {
    const promised = round.heartbeat[at]!
    const longest = promised > 0 ? promised / 1000 : tailEdge(rows.float32, round.device[at]! * rows.stride32 + rows.at32 + TAIL)
    return { observed: seconds(round.gap[at]!), low: 0, high: longest }
  },

  judging: { bar: BAR, missing: true, severity: () => MAJOR },

  warmth(rows, row, settings) {
    return heartbeatOf(settings) !== 0 ? 1 : Math.min(1, rows.float32[row * rows.stride32 + rows.at32 + LEARNT]! / MUTE_UNTIL)
  },
}

/** As `Round.heartbeat`: ms promised, 0 when learnt, −1 when silence says nothing. */
export function heartbeatOf(settings: ClassSettings): number {
  if (!settings.silence || (settings.reports === 'on-change' && settings.heartbeatMs === null)) return -1
  return settings.heartbeatMs ?? 0
}

function scoreGap(round: Round, rows: Rows, m: number): number {
  const gap = round.gap[m]!
  const promised = round.heartbeat[m]!
  // A message ends any silence, whatever is known of the gap before it.
  if (!round.missing) return 0
  if (gap < 0 || promised < 0) return NaN
  if (gap < SHORTEST_MS) return 0
  if (promised > 0) return gap > promised ? HEARTBEAT_AT_PROMISE + HEARTBEAT_PARETO * Math.log10(gap / promised) : 0
  const o = round.device[m]! * rows.stride32 + rows.at32
  const n = rows.float32[o + LEARNT]!
  return n < MUTE_UNTIL ? NaN : tailScore(rows.float32, o + TAIL, seconds(gap), n, rows.float32[o + WEIGHT]!)
}

/** Covered time moves in steps of a tick: a gap within one still counts as one. */
function seconds(ms: number): number {
  return Math.max(1, ms / 1000)
}
