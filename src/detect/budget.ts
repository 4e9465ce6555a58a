/**
 * Class rows: the tables of openings that turn the alarms a user allows into thresholds on the three scores.
 *
 * For each level g of a grid the row counts the openings a threshold of g would have made over the class, beside the openings asked for in the same
 * device time; both forgotten alike (half-life 100,000 readings a device). The threshold is the largest level whose count, plus one opening spread as the
 * surprise claims, reaches what is asked plus one. Messages only add to pending whole numbers; each 32nd of its class folds them in. Source: univariate.py, `ClassBudget`.
 */
import type { RowPart, Rows } from './detector.ts'
import { SCORES } from './rule.ts'

export const GRID = 325
export const GRID_LOW = 2.5
export const GRID_STEP = 0.02

/** How often the surprise itself claims that a level is reached. [level] */
const CLAIMED = Float64Array.from({ length: GRID }, (_, i) => 10 ** -(GRID_LOW + GRID_STEP * i))

// float64: pending first (present), then baseline
const PENDING_READINGS = 0
const PENDING_MS = 1
const READINGS = 2
const ASKED = 3
const COUNTS = 4
// float32
const THRESHOLD = 0
const PENDING = SCORES

const HALF_LIFE = 100_000
/** Until a class's own pace is known: one message a minute, believed as 100 readings. */
const PRIOR_PACE_MS = 60_000
const PRIOR_READINGS = 100
/** Longer gaps between two messages do not count as watched time. */
const ELAPSED_MAX_MS = 3_600_000

export const budget: RowPart = {
  name: 'budget',
  version: 1,
  scope: 'class',
  fields: {
    present: [
      { name: 'pending-readings', type: 'float64', width: 1 },
      { name: 'pending-ms', type: 'float64', width: 1 },
      { name: 'threshold', type: 'float32', width: SCORES },
      { name: 'pending', type: 'float32', width: SCORES * GRID },
    ],
    baseline: [
      { name: 'readings', type: 'float64', width: 1 },
      { name: 'asked', type: 'float64', width: 1 },
      { name: 'counts', type: 'float64', width: SCORES * GRID },
    ],
  },
}

/** The class table's view of this part. */
export type BudgetRows = Rows

/** What a class asks: openings a device and ms, over all three scores. */
export interface Asked {
  readonly alarms: number
  readonly perMs: number
}

/** Number of grid levels at or below `score`: 0 … GRID. */
export function levels(score: number): number {
  if (!(score >= GRID_LOW)) return 0
  return Math.min(GRID, Math.floor((score - GRID_LOW) / GRID_STEP + 1e-9) + 1)
}

/** One opening at every level above `peak` and up to `reached`, if there is any, as a difference: +1 where it ends, −1 where it begins. */
export function countOpening(rows: BudgetRows, klass: number, score: number, peak: number, reached: number): void {
  const s = rows.float32
  const from = levels(peak)
  const to = levels(reached)
  if (to <= from) return
  const o = klass * rows.stride32 + rows.at32 + PENDING + score * GRID
  s[o + to - 1] = s[o + to - 1]! + 1
  if (from > 0) s[o + from - 1] = s[o + from - 1]! - 1
}

export function countReading(rows: BudgetRows, klass: number, elapsed: number): void {
  const s = rows.float64
  const o = klass * rows.stride64 + rows.at64
  s[o + PENDING_READINGS] = s[o + PENDING_READINGS]! + 1
  s[o + PENDING_MS] = s[o + PENDING_MS]! + Math.round(Math.min(Math.max(elapsed, 0), ELAPSED_MAX_MS))
}

export function threshold(rows: BudgetRows, klass: number, score: number): number {
  return rows.float32[klass * rows.stride32 + rows.at32 + THRESHOLD + score]!
}

/** After so many messages of a class its thresholds are set anew: a place in the log, so that no other pace of the same messages comes to others. */
const FOLD_EVERY = 32

export function isFoldDue(rows: BudgetRows, klass: number): boolean {
  return rows.float64[klass * rows.stride64 + rows.at64 + PENDING_READINGS]! >= FOLD_EVERY
}

/** Folds the pending counts of a class of `devices` devices in, and sets its thresholds anew. */
export function fold(rows: BudgetRows, klass: number, devices: number, asked: Asked): void {
  const s = rows.float64
  const o = klass * rows.stride64 + rows.at64
  const readings = s[o + PENDING_READINGS]!
  const kept = 0.5 ** (readings / Math.max(devices, 1) / HALF_LIFE)
  const rate = asked.alarms / asked.perMs / SCORES
  s[o + READINGS] = s[o + READINGS]! * kept + readings
  s[o + ASKED] = s[o + ASKED]! * kept + s[o + PENDING_MS]! * rate
  s[o + PENDING_READINGS] = 0
  s[o + PENDING_MS] = 0
  const chance = (s[o + ASKED]! + rate * PRIOR_PACE_MS * PRIOR_READINGS) / (s[o + READINGS]! + PRIOR_READINGS)
  for (let score = 0; score < SCORES; score++) foldScore(rows, klass, score, kept, chance, s[o + ASKED]! + 1)
}

function foldScore(rows: BudgetRows, klass: number, score: number, kept: number, chance: number, want: number): void {
  const counts = klass * rows.stride64 + rows.at64 + COUNTS + score * GRID
  const pending = klass * rows.stride32 + rows.at32 + PENDING + score * GRID
  let opened = 0
  let best = 0
  for (let i = GRID - 1; i >= 0; i--) {
    opened += rows.float32[pending + i]!
    rows.float32[pending + i] = 0
    const count = rows.float64[counts + i]! * kept + opened
    rows.float64[counts + i] = count
    if (best === 0 && count + CLAIMED[i]! / chance >= want) best = i
  }
  rows.float32[klass * rows.stride32 + rows.at32 + THRESHOLD + score] = GRID_LOW + GRID_STEP * best
}
