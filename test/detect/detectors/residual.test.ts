/** Season and drift, and the residual both look at, against the reference prototype, and where they depart from it. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { KIND_BOOLEAN } from '../../../src/core/message.ts'
import type { Words } from '../../../src/detect/detector.ts'
import { drift } from '../../../src/detect/detectors/drift.ts'
import { season } from '../../../src/detect/detectors/season.ts'
import { type Feed, oneSeries } from '../rounds.ts'
import { seeded } from '../seeded.ts'
import { noise } from '../known/noise.ts'

/** Made by `known/make-residual.py` from the prototype, univariate.py of the detection notes: [reading, u of S, u of C]. */
const KNOWN = JSON.parse(readFileSync(new URL('../known/residual.json', import.meta.url), 'utf8')) as Record<
  string,
  { length: number; known: [number, number, number][] }
>

const SERIES: Record<string, (t: number, e: number, course: number) => number> = {
  daily: (t, e, course) => 20 + course + e + (t >= 2500 && t < 2530 ? 8 : 0) + (t % 701 === 700 ? -9 : 0),
  drift: (t, e) => 5 + e + Math.max(0, t - 1500) / 200,
  pressure: (t, e, course) => 101_325 + 10 * course + 4 * e + (t % 331 === 330 ? 60 : 0),
  irregular: (_, e, course) => 3 * course + e,
  flat: (t, e) => 7 + (t >= 600 ? e : 0),
  quantised: (_, e, course) => Math.trunc(10 + course + 2 * e),
  long: (t, e, course) => 1 + course / 10 + e + (t % 1000) / 250,
}

function* readings(kind: string, length: number): Generator<{ clock: number; since: number; value: number }> {
  const draw = noise(length)
  let at = 0
  let since = 300
  for (let t = 0; t < length; t++) {
    const e = draw.next().value
    const hour = Math.floor(at / 3600) % 24
    const weekend = Math.floor(at / 86_400) % 7 > 4
    const value = SERIES[kind]!(t, e, Math.abs(hour - 12) - (weekend ? 5 : 0))
    yield { clock: hour + (weekend ? 24 : 0), since: 1000 * since, value }
    since = kind === 'irregular' ? [60, 3600, 7, 300][t % 4]! : 900
    at += since
  }
}

/** Now and then a deviation lies on the edge between two bins, and a float32 row puts it into the other: whole numbers do, and any if there are enough. */
const EDGES: Readonly<Record<string, number>> = { quantised: 0.05, long: 5e-3 }

describe.each([
  ['season', season, 1, 11],
  ['drift', drift, 2, 300],
] as const)('%s', (_, detector, column, mute) => {
  it.each(Object.keys(KNOWN))('says what the prototype says of %s', (kind) => {
    const { length, known } = KNOWN[kind]!
    const expected = new Map(known.map((one) => [one[0], one[column]]))
    const tolerance = EDGES[kind] ?? 1e-4
    const feed = oneSeries(detector)
    let t = 0
    let worst = 0
    for (const { value, ...fields } of readings(kind, length)) {
      const surprise = feed(value, 1, fields)
      const want = expected.get(t++)
      // The first are few for a say.
      if (want !== undefined && t > mute) worst = Math.max(worst, Math.abs((surprise || 0) - want) / Math.max(1, want))
    }
    expect(worst).toBeLessThan(tolerance)
    expect(t).toBe(length)
  })

  it('has no opinion of what is no number, and learns nothing from it', () => {
    const feed = oneSeries(detector)
    for (let t = 0; t < 50; t++) feed(t % 5, 1)
    const before = [feed.row(), feed.basis()]
    expect(feed(1, 1, { kind: KIND_BOOLEAN })).toBeNaN()
    expect([feed.row(), feed.basis()]).toEqual(before)
  })

  it('is mute for its first readings', () => {
    const feed = oneSeries(detector)
    const first = Array.from({ length: 400 }, (_reading, t) => feed(t % 2, 1)).findIndex((u) => u === u)
    expect(first).toBe(mute)
  })
})

/** Days at one reading in ten minutes, of one hour each: `of` a bin. */
function live(feed: Feed, readingsEach: number, hours: number, of: (hour: number) => number, weight = 1): number {
  let most = 0
  for (let hour = 0; hour < hours; hour++)
    for (let i = 0; i < readingsEach; i++) most = Math.max(most, feed(of(hour % 24), weight, { clock: hour % 24, since: 600_000 }) || 0)
  return most
}

function noisy(seed: number): () => number {
  const from = seeded(seed)
  return () => from.normal()
}

const WORDS: Words = { about: (value) => `${value.toFixed(1)} °C`, exactly: (value) => `${value} °C`, between: (low, high) => `${low.toFixed(1)} to ${high.toFixed(1)}` }

const told = (feed: Feed, value: number): string => feed.explain(value).tell!(WORDS)

describe('the season', () => {
  const course = (hour: number) => (hour < 12 ? 15 : 25)

  it('finds at night what is usual by day', () => {
    const feed = oneSeries(season)
    const random = noisy(1)
    live(feed, 6, 24 * 20, (hour) => course(hour) + 0.3 * random())
    expect(feed(25, 0, { clock: 3 })).toBeGreaterThan(2.5)
    expect(feed(25, 0, { clock: 15 })).toBeLessThan(2)
  })

  it('holds the first visit of an hour against no outlier of the hour before', () => {
    const feed = oneSeries(season)
    const random = noisy(3)
    for (let i = 0; i < 600; i++) feed(60 + random(), 1, { clock: 9 })
    for (let i = 0; i < 5; i++) feed(90_000, 1, { clock: 9 })
    for (let i = 0; i < 60; i++) feed(60 + random(), 1, { clock: 9 })
    expect(feed(60, 1, { clock: 10 })).toBeLessThan(2)
  })

  it('knows weekends by themselves', () => {
    const feed = oneSeries(season)
    const random = noisy(2)
    for (let day = 0; day < 28; day++)
      for (let i = 0; i < 60; i++) feed((day % 7 > 4 ? 5 : 20) + 0.3 * random(), 1, { clock: 9 + (day % 7 > 4 ? 24 : 0), since: 60_000 })
    const { low, high } = feed.explain(20, { clock: 9 })
    const weekend = feed.explain(5, { clock: 33 })
    expect((low! + high!) / 2).toBeCloseTo(20, 0)
    expect((weekend.low! + weekend.high!) / 2).toBeCloseTo(5, 0)
  })

  it('says what it expected at this hour', () => {
    const feed = oneSeries(season)
    for (let t = 0; t < 200; t++) feed(15 + (t % 3), 1)
    expect(told(feed, 30)).toMatch(/^is 30\.0 °C, expected 1\d\.\d to 1\d\.\d at this hour$/)
  })

  it('moves the whole profile by what was left over lately when the gate gives in', () => {
    const feed = oneSeries(season)
    const random = noisy(3)
    live(feed, 6, 24 * 20, (hour) => course(hour) + 0.3 * random())
    // All of it in one hour: the others move with it.
    for (let t = 0; t < 500; t++) feed(course(3) + 40 + 0.3 * random(), 0, { clock: 3, since: 600_000 })
    feed.accept()
    for (const hour of [3, 15]) {
      const { low, high } = feed.explain(0, { clock: hour })
      expect((low! + high!) / 2).toBeCloseTo(course(hour) + 40, 0)
    }
  })

  it('moves hours it never met as well, and by the same residuals but once', () => {
    const feed = oneSeries(season)
    const random = noisy(7)
    for (let t = 0; t < 1_000; t++) feed(20 + random(), 1, { clock: 3 })
    for (let t = 0; t < 500; t++) feed(60 + random(), 0, { clock: 3 })
    const centre = () => {
      const { low, high } = feed.explain(0, { clock: 40 })
      return (low! + high!) / 2
    }
    expect(centre()).toBeCloseTo(20, 0)
    feed.accept()
    expect(centre()).toBeCloseTo(60, 0)
    feed.accept()
    expect(centre()).toBeCloseTo(60, 0)
  })

  it('learns on as if it had met a hundred readings when the gate gave in', () => {
    const centre = (accepted: boolean) => {
      const feed = oneSeries(season)
      for (let t = 0; t < 3_000; t++) feed(50 + (t % 7), 1)
      if (accepted) feed.accept()
      for (let t = 0; t < 100; t++) feed(55 + (t % 7), 1)
      const { low, high } = feed.explain(0, { clock: 40 })
      return (low! + high!) / 2
    }
    expect(centre(false)).toBeLessThan(53.6)
    expect(centre(true)).toBeGreaterThan(55)
  })

  it('learns an hour by the time spent in it, not by its readings', () => {
    const centre = (since: number) => {
      const feed = oneSeries(season)
      for (let t = 0; t < 1_000; t++) feed(9 + 2 * (t % 2), 1, { since: 600_000 })
      for (let t = 0; t < 60_000 / since; t++) feed(11, 1, { since })
      const { low, high } = feed.explain(10)
      return (low! + high!) / 2
    }
    expect(centre(1_000)).toBeCloseTo(centre(10_000), 3)
  })

  it('takes the rounding of float32 for nothing', () => {
    const feed = oneSeries(season)
    for (let t = 0; t < 500; t++) feed(t === 0 ? 20 : 25.3, 1, { clock: Math.min(t, 1) })
    // One deviation in the tail, the step: 5.3 is no float32, and what it is rounded by is none.
    const bins = Array.from({ length: feed.row().length }, (_, at) => at).filter((at) => feed.fieldAt(at) === 'tail').slice(0, 12)
    expect(bins.filter((at) => feed.row()[at]! > 0)).toHaveLength(1)
  })
})

describe('drift', () => {
  it('finds what no single reading shows', () => {
    const feed = oneSeries(drift)
    const random = noisy(4)
    for (let t = 0; t < 2_000; t++) feed(20 + random(), 1)
    let most = 0
    for (let t = 0; t < 40; t++) most = Math.max(most, feed(22.5 + 0.5 * random(), 0))
    expect(most).toBeGreaterThan(5)
  })

  it('forgets what it summed when the gate gives in', () => {
    const feed = oneSeries(drift)
    const random = noisy(5)
    for (let t = 0; t < 2_000; t++) feed(20 + random(), 1)
    for (let t = 0; t < 500; t++) feed(26 + random(), 0)
    expect(feed(26, 0)).toBeGreaterThan(5)
    feed.accept()
    expect(feed(26, 0)).toBeLessThan(2)
  })

  it.each([
    ['up', 1],
    ['down', -1],
  ])('says how far %s, and within how many readings', (way, side) => {
    const feed = oneSeries(drift)
    const random = noisy(6)
    for (let t = 0; t < 2_000; t++) feed(20 + random(), 1)
    // Rest, so that the count begins here.
    for (let t = 0; t < 5; t++) feed(20, 0)
    for (let t = 0; t < 29; t++) feed(20 + 3 * side, 0)
    const { observed, low, high } = feed.explain(20 + 3 * side)
    expect(observed).toBeCloseTo(20 + 3 * side, 0)
    expect(side > 0 ? observed > high! : observed < low!).toBe(true)
    expect(told(feed, 20 + 3 * side)).toMatch(new RegExp(`^has drifted ${way} by (2\\.9|3\\.0|3\\.1) °C within 30 readings, expected 18\\.\\d to 21\\.\\d at this hour$`))
  })
  it('says how far by what was left over lately, where the sum is at its bound', () => {
    const feed = oneSeries(drift)
    const random = noisy(8)
    for (let t = 0; t < 2_000; t++) feed(20 + random(), 1)
    for (let t = 0; t < 300; t++) feed(24 + random(), 0)
    expect(feed.explain(24).observed).toBeCloseTo(24, 0)
  })
  it.each([1, -1])('calls no drift what is farther off at once than its sum can hold (%i)', (side) => {
    const feed = oneSeries(drift)
    const random = noisy(6)
    for (let t = 0; t < 2_000; t++) feed(20 + random(), 1)
    feed(20 + 30 * side, 0)
    expect(feed.explain(20 + 30 * side).observed).toBe(20 + 30 * side)
    expect(told(feed, 20 + 30 * side)).toMatch(new RegExp(`^is ${20 + 30 * side}\\.0 °C, expected 18\\.\\d to 21\\.\\d at this hour$`))
  })
})
