/**
 * The incident rule of a device: three scores over its fused surprises (the newest; the 4th largest of the last 8; the 20th largest of the last 40),
 * each compared with its own counted threshold; and the openings each level would have made, counted for the class's tables.
 * Rule and figures: gate.md, sections 3 and "Incident rule"; `ClassBudget.count` of univariate.py.
 */
import { type BudgetRows, countOpening, countReading, levels } from './budget.ts'
import type { RowPart, Rows } from './detector.ts'

export const SCORES = 3

// float32
const HEAD = 0
const RING = 1
const RING_SIZE = 40
const PEAK = RING + RING_SIZE
const AGE = PEAK + SCORES
/** The highest a score ever was: what a device reaches for the first time is not held against its class. */
const RECORD = AGE + SCORES

const SHORT = 8
const SHORT_RANK = 4
const LONG_RANK = 20
/** Thresholds begin at 2.5 and calm half below: a rank of less says nothing. */
const LEAST = 2
/** An opening at a level counts once in so many readings. */
const REFRACTORY = 75

export const rule: RowPart = {
  name: 'rule',
  version: 2,
  scope: 'device',
  fields: {
    present: [
      { name: 'head', type: 'float32', width: 1 },
      { name: 'ring', type: 'float32', width: RING_SIZE },
      { name: 'peak', type: 'float32', width: SCORES },
      { name: 'age', type: 'float32', width: SCORES },
      { name: 'record', type: 'float32', width: SCORES },
    ],
    baseline: [],
  },
}

/** What one message came to: its three scores. */
export type Scores = Float64Array

const sorted = new Float64Array(RING_SIZE)

/** Pushes a device's newest fused surprise and fills `scores`: 0 for a rank below 2, −1 where too few were seen for it. */
export function scoreMessage(rows: Rows, device: number, surprise: number, scores: Scores): void {
  const s = rows.float32
  const o = device * rows.stride32 + rows.at32
  const pushed = s[o + HEAD]!
  s[o + RING + (pushed % RING_SIZE)] = surprise
  // HEAD counts to 80 and falls back to 40, so that it tells place and fill at once.
  s[o + HEAD] = pushed + 1 === 2 * RING_SIZE ? RING_SIZE : pushed + 1
  const filled = Math.min(pushed + 1, RING_SIZE)
  scores[0] = s[o + RING + (pushed % RING_SIZE)]!
  scores[1] = filled < SHORT_RANK ? -1 : rankOf(s, o + RING, pushed, Math.min(filled, SHORT), SHORT_RANK)
  scores[2] = filled < LONG_RANK ? -1 : rankOf(s, o + RING, pushed, filled, LONG_RANK)
}

/** The `rank`-th largest of the newest `length` surprises of the ring at `o`; 0 where it is below `LEAST`, which counting tells without sorting. */
function rankOf(s: Float32Array, o: number, head: number, length: number, rank: number): number {
  let reached = 0
  for (let k = 0; k < length; k++) if (s[o + ((head - k + RING_SIZE) % RING_SIZE)]! >= LEAST) reached++
  if (reached < rank) return 0
  for (let k = 0; k < length; k++) {
    const u = s[o + ((head - k + RING_SIZE) % RING_SIZE)]!
    let at = Math.min(k, rank - 1)
    if (k >= rank && u <= sorted[rank - 1]!) continue
    while (at > 0 && sorted[at - 1]! < u) {
      sorted[at] = sorted[at - 1]!
      at--
    }
    sorted[at] = u
  }
  return sorted[rank - 1]!
}

/** An incident lasts: until it ends, no level counts anew. To be called before the message contributes. */
export function prolong(rows: Rows, device: number): void {
  const s = rows.float32
  const age = device * rows.stride32 + rows.at32 + AGE
  for (let k = 0; k < SCORES; k++) if (s[age + k]! <= REFRACTORY) s[age + k] = 0
}

/** Adds the message to its class's pending counts: whole numbers, so that order can't matter. `elapsed`: ms since the device's last message. */
export function contribute(rows: Rows, device: number, scores: Scores, budget: BudgetRows, klass: number, elapsed: number): void {
  const s = rows.float32
  const o = device * rows.stride32 + rows.at32
  for (let k = 0; k < SCORES; k++) {
    const age = s[o + AGE + k]! + 1
    s[o + AGE + k] = Math.min(age, REFRACTORY + 1)
    if (age > REFRACTORY) s[o + PEAK + k] = 0
    const peak = s[o + PEAK + k]!
    const score = scores[k]!
    if (levels(score) <= levels(peak)) continue
    const record = s[o + RECORD + k]!
    countOpening(budget, klass, k, peak, Math.min(score, record))
    s[o + RECORD + k] = Math.max(record, score)
    s[o + PEAK + k] = score
    s[o + AGE + k] = 0
  }
  countReading(budget, klass, elapsed)
}
