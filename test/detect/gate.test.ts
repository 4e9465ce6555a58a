/** The gate against a straight port of the reference's rule, and what an operator sees of it. */
import { describe, expect, it } from 'vitest'
import { moveGates, seriesGate } from '../../src/detect/gate.ts'
import { level } from '../../src/detect/detectors/level.ts'
import { Table } from '../../src/detect/table.ts'
import { oneSeries } from './rounds.ts'
import { type Seeded, seeded } from './seeded.ts'

const GUARDS_FROM = 1_500

/** `step` of gate.py, mode 2 with n 3, m 5, oth 3.6, quiet 15, K 500, refill 1/20, acc 3, gmin 1500, nothing gated by a single reading (variant G). */
function reference(): (u: number) => { weight: number; accepted: boolean } {
  const ring: number[] = Array.from({ length: 64 }, () => 0)
  let seen = 0
  let open = false
  let quiet = 0
  let spent = 0
  let accepted = false
  return (u) => {
    ring[seen % 64] = u > 3.6 && seen >= GUARDS_FROM ? 1 : 0
    let hits = 0
    for (let j = 0; j < 5; j++) hits += ring[(seen - j + 64) % 64]!
    if (!open) {
      if (hits >= 3) [open, quiet] = [true, 0]
    } else if (u > 3.6) quiet = 0
    else if (++quiet >= 15) [open, accepted] = [false, false]
    let weight = open ? 0 : 1
    // The row keeps float32 numbers.
    if (open && !accepted) spent = Math.fround(spent + 1)
    else if (!open) spent = Math.fround(Math.max(0, spent - 1 / 20))
    // As gate.md says it; gate.py would also give in with the gate open, in the calm after an acceptance that spent a little more than 500.
    const givesIn = open && !accepted && spent >= 500
    if (givesIn) accepted = true
    if (accepted && !givesIn) weight = 1
    seen++
    return { weight, accepted: givesIn }
  }
}

/** One gate in a row that is not the table's first. */
function oneGate() {
  const rows = new Table('series', 3, [seriesGate], () => {}).view('series-gate')!
  const weight = new Float32Array(1)
  return (u: number) => {
    let accepted = false
    moveGates(1, Int32Array.of(1), Float32Array.of(u), rows, weight, () => (accepted = true))
    return { weight: weight[0]!, accepted }
  }
}

function grown(gate = oneGate()) {
  for (let i = 0; i < GUARDS_FROM; i++) gate(0)
  return gate
}

const ODD = 4

/** Calm and odd stretches of any length. */
function* moods(random: Seeded, readings: number): Generator<number> {
  while (readings > 0) {
    const share = random.pick([0.001, 0.01, 0.3, 0.6, 0.95, 1])
    for (let i = random.whole(1, random.pick([4, 20, 700])); i > 0 && readings > 0; i--, readings--) yield random.fraction() < share ? 3.6 + random.fraction() : 3.5 * random.fraction()
  }
}

describe('the gate', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('closes, opens and gives in where the reference does (seed %i)', (seed) => {
    const gate = oneGate()
    const expected = reference()
    let closed = 0
    let gaveIn = 0
    for (const u of moods(seeded(seed), 12_000)) {
      const is = gate(Math.fround(u))
      expect(is).toEqual(expected(Math.fround(u)))
      if (is.weight === 0) closed++
      if (is.accepted) gaveIn++
    }
    expect(closed).toBeGreaterThan(100)
    expect(gaveIn).toBeGreaterThan(0)
  })

  it('closes with the third odd reading of five', () => {
    const gate = grown()
    expect([ODD, 0, ODD, 0, ODD].map((u) => gate(u).weight)).toEqual([1, 1, 1, 1, 0])
  })

  it('stays open while odd readings come two in five', () => {
    const gate = grown()
    for (let i = 0; i < 100; i++) expect(gate(i % 5 < 2 ? ODD : 0).weight).toBe(1)
  })

  it('stays open for a lone odd reading, however odd', () => {
    const gate = grown()
    expect([100, 0, 0, 0, 0, 100, 0].map((u) => gate(u).weight)).toEqual([1, 1, 1, 1, 1, 1, 1])
  })

  it('guards nothing before 1,500 readings were seen', () => {
    const gate = oneGate()
    for (let i = 0; i < GUARDS_FROM; i++) expect(gate(ODD).weight).toBe(1)
    expect([gate(ODD).weight, gate(ODD).weight, gate(ODD).weight]).toEqual([1, 1, 0])
  })

  it('opens with the fifteenth calm reading in a row', () => {
    const gate = grown()
    for (let i = 0; i < 3; i++) gate(ODD)
    for (let i = 0; i < 14; i++) expect(gate(0).weight).toBe(0)
    expect(gate(ODD).weight).toBe(0)
    for (let i = 0; i < 14; i++) expect(gate(0).weight).toBe(0)
    expect(gate(0).weight).toBe(1)
  })

  it('gives in after 500 frozen readings, once, and learns from then on', () => {
    const gate = grown()
    const answers = Array.from({ length: 600 }, () => gate(ODD))
    expect(answers.findIndex(({ accepted }) => accepted)).toBe(501)
    expect(answers.filter(({ accepted }) => accepted)).toHaveLength(1)
    expect(answers.map(({ weight }) => weight)).toEqual([1, 1, ...Array.from({ length: 500 }, () => 0), ...Array.from({ length: 98 }, () => 1)])
  })

  it('earns its allowance back by one reading in twenty', () => {
    const gate = grown()
    for (let i = 0; i < 302; i++) gate(ODD)
    for (let i = 0; i < 15 + 2_000; i++) gate(0)
    // 300 and 14 calm ones were spent, 100.05 came back: 285 of 500 are left.
    const answers = Array.from({ length: 400 }, () => gate(ODD))
    expect(answers.findIndex(({ accepted }) => accepted)).toBe(2 + 286)
  })

  it('stays as it is when there is no opinion', () => {
    const gate = grown()
    for (let i = 0; i < 3; i++) gate(ODD)
    for (let i = 0; i < 600; i++) expect(gate(NaN)).toEqual({ weight: 0, accepted: false })
  })

  it('keeps each row’s gate apart', () => {
    const rows = new Table('series', 3, [seriesGate], () => {}).view('series-gate')!
    const weight = new Float32Array(2)
    const both = (first: number, second: number) => moveGates(2, Int32Array.of(2, 0), Float32Array.of(first, second), rows, weight, () => {})
    for (let i = 0; i < GUARDS_FROM; i++) both(0, 0)
    for (let i = 0; i < 3; i++) both(ODD, 0)
    expect([...weight]).toEqual([0, 1])
  })
})

describe('a level behind the gate', () => {
  /** The largest surprise of ten readings of a fault, 2,000 readings into a calm life, and of the same fault a day later. */
  function faults(guarded: boolean): number[] {
    const random = seeded(7)
    const feed = oneSeries(level)
    const gate = oneGate()
    const weight = (surprise: number) => (guarded ? gate(surprise).weight : 1)
    const live = (readings: number, shift: number) => Math.max(...Array.from({ length: readings }, () => feed(20 + random.normal() + shift, weight)))
    live(2_000, 0)
    // Far enough that three doublings of the slow maximum don't reach it.
    const first = live(60, 30)
    live(1_440, 0)
    return [first, live(60, 30)]
  }

  it('finds the same fault again', () => {
    const [first, second] = faults(true)
    expect(first).toBeGreaterThan(4)
    expect(second).toBeGreaterThan(4)
  })

  it('would not find it again without the gate', () => {
    const [first, second] = faults(false)
    expect(first).toBeGreaterThan(4)
    expect(second).toBeLessThan(3.6)
  })
})
