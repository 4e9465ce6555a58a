/**
 * The gate: from surprises that were confirmed to how much each reading may teach. One row a series, by its own surprise; one a device, by its fused one.
 *
 * It closes when 3 of the last 5 surprises exceed 3.6, but only once 1,500 readings were seen; freezes all baseline while closed; opens after 15 calm
 * readings in a row; and gives in when its allowance of 500 frozen readings is spent (1/20 comes back with each reading while open): then what the row
 * saw lately becomes its baseline, and it learns at full weight until it is calm. Rule, constants and what they cost: gate.md, variant G.
 *
 * A detector with a cause of its own has a gate of its own, by the bar of its incidents and from its first opinion on. Its allowance is 500 readings too,
 * and an hour at least: a flood would spend the readings in no time.
 */
import type { RowPart, Rows } from './detector.ts'

// float32
/** Readings with an opinion. */
export const GATE_SEEN = 0
/** Bit i: the surprise i readings ago exceeded the bar. */
const RECENT = 1
const CALM = 2
const SPENT = 3
const STATE = 4
/** Numbers of a gate. */
export const GATE_WIDTH = 5

const OPEN = 0
const CLOSED = 1
const ACCEPTED = 2

const BAR = 3.6
const WINDOW_BITS = 0b11111
const CONFIRMED = 3
const CALM_TO_OPEN = 15
const ALLOWANCE = 500
const REFILL = 1 / 20
const GUARDS_FROM = 1500

function gatePart(name: string, scope: 'series' | 'device'): RowPart {
  return {
    name,
    version: 1,
    scope,
    fields: {
      present: [
        { name: 'seen', type: 'float32', width: 1 },
        { name: 'recent', type: 'float32', width: 1 },
        { name: 'calm', type: 'float32', width: 1 },
        { name: 'spent', type: 'float32', width: 1 },
        { name: 'state', type: 'float32', width: 1 },
      ],
      baseline: [],
    },
  }
}

export const seriesGate = gatePart('series-gate', 'series')
export const deviceGate = gatePart('device-gate', 'device')

/** The gate of one detector of devices. */
export function ownGate(detector: string): RowPart {
  return gatePart(`${detector}-gate`, 'device')
}

export interface GateRule {
  /** A surprise beyond it is odd. */
  readonly bar: number
  /** Readings with an opinion before it may close. */
  readonly guardsFrom: number
  /** Share of a reading that each one spends of the allowance. */
  readonly spends: Float32Array | null
}

const USUAL: GateRule = { bar: BAR, guardsFrom: GUARDS_FROM, spends: null }

const ALLOWANCE_MS = 3_600_000

/** What a reading `elapsed` ms after the one before spends of an allowance that lasts an hour at least. */
export function spentBy(elapsed: number): number {
  return Math.min(1, (ALLOWANCE * elapsed) / ALLOWANCE_MS)
}

/** Called with a row whose gate gives in with this reading, which is the last one frozen. */
export type Accept = (row: number) => void

/**
 * Moves the gates of `count` rows by `surprise` (NaN: no opinion, the gate stays and the weight is what its state says) and fills `weight` with 0 or 1.
 * No row occurs twice.
 */
export function moveGates(
  count: number,
  row: Int32Array,
  surprise: Float32Array,
  rows: Rows,
  weight: Float32Array,
  accept: Accept,
  rule: GateRule = USUAL,
): void {
  const s = rows.float32
  for (let i = 0; i < count; i++) {
    const o = row[i]! * rows.stride32 + rows.at32
    const u = surprise[i]!
    const givesIn = u === u && moveGate(s, o, u, rule.guardsFrom, rule.bar, rule.spends ? rule.spends[i]! : 1)
    if (givesIn) accept(row[i]!)
    weight[i] = givesIn || isClosed(s, o) ? 0 : 1
  }
}

/** Moves the gate at `o` by surprise `u`; it may close once `guardsFrom` readings were seen. True when it gives in with this reading. */
export function moveGate(s: Float32Array, o: number, u: number, guardsFrom: number, bar = BAR, spends = 1): boolean {
  const seen = s[o + GATE_SEEN]! + 1
  s[o + GATE_SEEN] = seen
  const odd = u > bar ? 1 : 0
  const recent = ((s[o + RECENT]! << 1) & WINDOW_BITS) | (seen > guardsFrom ? odd : 0)
  s[o + RECENT] = recent
  if (s[o + STATE] === OPEN) {
    if (bitsOf(recent) >= CONFIRMED) {
      s[o + STATE] = CLOSED
      s[o + CALM] = 0
    }
  } else {
    s[o + CALM] = odd ? 0 : s[o + CALM]! + 1
    if (s[o + CALM]! >= CALM_TO_OPEN) s[o + STATE] = OPEN
  }
  if (s[o + STATE] === OPEN) s[o + SPENT] = Math.max(0, s[o + SPENT]! - REFILL * spends)
  if (s[o + STATE] !== CLOSED) return false
  s[o + SPENT] = s[o + SPENT]! + spends
  if (s[o + SPENT]! < ALLOWANCE) return false
  giveIn(s, o)
  return true
}

export function isClosed(s: Float32Array, o: number): boolean {
  return s[o + STATE] === CLOSED
}

/** From now on the gate at `o` lets everything teach, until it is calm. */
export function giveIn(s: Float32Array, o: number): void {
  s[o + STATE] = ACCEPTED
  s[o + RECENT] = 0
}

function bitsOf(bits: number): number {
  let count = 0
  for (let b = bits; b > 0; b &= b - 1) count++
  return count
}
