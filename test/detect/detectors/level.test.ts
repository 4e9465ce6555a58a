/** The level detector and its tail against the reference prototype, and where it departs from it. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { KIND_BOOLEAN } from '../../../src/core/message.ts'
import { level } from '../../../src/detect/detectors/level.ts'
import { oneSeries } from '../rounds.ts'
import { noise } from '../known/noise.ts'

/** Made by `known/make-level.py` from the prototype, univariate.py of the detection notes: [reading, u of Z]. */
const KNOWN = JSON.parse(readFileSync(new URL('../known/level.json', import.meta.url), 'utf8')) as Record<string, { length: number; known: [number, number][] }>

const SERIES: Record<string, (t: number, e: number) => number> = {
  spikes: (t, e) => 20 + 3 * e + (t % 197 === 196 ? 25 : 0),
  pressure: (t, e) => 101_325 + 10 * e + (t % 331 === 330 ? 40 : 0),
  shift: (t, e) => 5 + e + (t >= 600 ? 8 : 0),
  stuck: (t, e) => 7 + (t >= 300 ? e : 0),
  heavy: (_, e) => 100 * e * e * e,
  quantised: (_, e) => Math.trunc(10 + 2 * e),
  long: (t, e) => 1 + e + (t % 1000) / 250,
}

function* values(kind: string, length: number): Generator<number> {
  const draw = noise(length)
  for (let t = 0; t < length; t++) yield SERIES[kind]!(t, draw.next().value)
}

/** Now and then a deviation lies on the edge between two bins, and a float32 row puts it into the other: whole numbers do, and any if there are enough. */
const EDGES = new Set(['quantised', 'long'])
/** One count of some hundred. */
const ONE_COUNT = 5e-3

describe('level', () => {
  it.each(Object.keys(KNOWN))('says what the prototype says of %s', (kind) => {
    const { length, known } = KNOWN[kind]!
    const expected = new Map(known)
    const tolerance = EDGES.has(kind) ? ONE_COUNT : 1e-4
    const feed = oneSeries(level)
    let t = 0
    for (const x of values(kind, length)) {
      const surprise = feed(x, 1)
      const want = expected.get(t)
      const u = surprise === surprise ? surprise : 0
      if (want !== undefined && Math.abs(u - want) > tolerance * Math.max(1, want)) expect({ t, u }).toEqual({ t, u: want })
      t++
    }
    expect(t).toBe(length)
  })

  it('has no opinion of its first eleven readings', () => {
    const feed = oneSeries(level)
    const opinions = Array.from({ length: 13 }, (_, t) => feed(t % 2, 1)).map((u) => u === u)
    expect(opinions).toEqual([...Array.from({ length: 11 }, () => false), true, true])
  })

  it('has no opinion of what is no number, and learns nothing from it', () => {
    const feed = oneSeries(level)
    for (let t = 0; t < 50; t++) feed(t % 5, 1)
    const before = feed.row()
    expect(feed(1, 1, { kind: KIND_BOOLEAN })).toBeNaN()
    expect(feed.row()).toEqual(before)
  })

  it('learns no baseline from a reading of weight 0', () => {
    const feed = oneSeries(level)
    for (let t = 0; t < 50; t++) feed(t % 5, 1)
    const before = feed.row()
    feed(100, 0)
    const changed = feed.row().flatMap((value, at) => (value === before[at] ? [] : [at]))
    expect(changed.map((at) => feed.fieldAt(at))).toEqual(['seen', 'recent'])
  })

  it('moves its mean to what it saw last when the gate gives in, and its tail forgets nothing', () => {
    const feed = oneSeries(level)
    for (const x of values('spikes', 1_000)) feed(x, 1)
    for (let t = 0; t < 500; t++) feed(70 + (t % 3), 0)
    feed.accept()
    expect(feed.explain(71).low!).toBeLessThan(71)
    expect(feed.explain(71).high!).toBeGreaterThan(71)
    expect(feed(71, 1)).toBeLessThan(1)
    // As rare as anything among the thousand it learnt, not among the hundred its level goes on with.
    expect(feed(feed.explain(0).high! - 1e-3, 0)).toBeGreaterThan(Math.log10(300))
  })

  it('learns on as if it had seen a hundred readings when the gate gave in', () => {
    const centre = (accepted: boolean) => {
      const feed = oneSeries(level)
      for (let t = 0; t < 3_000; t++) feed(50 + (t % 7), 1)
      if (accepted) feed.accept()
      for (let t = 0; t < 50; t++) feed(55 + (t % 7), 1)
      const { low, high } = feed.explain(0)
      return (low! + high!) / 2
    }
    expect(centre(false)).toBeLessThan(53.3)
    expect(centre(true)).toBeGreaterThan(54)
  })

  it('keeps finite numbers whatever finite numbers come', () => {
    const feed = oneSeries(level)
    for (let t = 0; t < 40; t++) for (const x of [t, 1e308, -1e308, 1e39, -Number.MAX_VALUE, 5e-324]) feed(x, 1)
    expect(feed.row().every(Number.isFinite)).toBe(true)
    expect(feed(0, 1)).toBeGreaterThanOrEqual(0)
  })
})
