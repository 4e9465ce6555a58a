/** The stuck detector: runs of equal values against the runs the series had before. */
import { describe, expect, it } from 'vitest'
import { KIND_BOOLEAN, KIND_MISSING } from '../../../src/core/message.ts'
import type { Words } from '../../../src/detect/detector.ts'
import { stuck } from '../../../src/detect/detectors/stuck.ts'
import { classOf, metricOf, settingsOf } from '../fleet.ts'
import { Bench } from '../partition.ts'
import { type Feed, oneSeries } from '../rounds.ts'
import { seeded } from '../seeded.ts'

const WORDS: Words = { about: (value) => `${value}`, exactly: (value) => `${value} °C`, between: (low, high) => `${low} to ${high}` }

/** `runs` runs of `length` readings, no two neighbours of equal value. */
function runs(feed: Feed, count: number, length: number, weight = 1): void {
  for (let run = 0; run < count; run++) for (let i = 0; i < length; i++) feed(run % 2, weight)
}

/** The surprise of a run's last reading. */
function standing(feed: Feed, readings: number, weight = 1): number {
  let last = NaN
  for (let i = 0; i < readings; i++) last = feed(21.5, weight)
  return last
}

describe('a value that no longer changes', () => {
  it('is as odd as its run is longer than those before', () => {
    const feed = oneSeries(stuck)
    runs(feed, 100, 8)
    expect(standing(feed, 12)).toBeGreaterThan(2)
    expect(standing(feed, 12)).toBeGreaterThan(4)
  })

  it('is nothing below ten readings, be it never so restless', () => {
    const feed = oneSeries(stuck)
    runs(feed, 200, 1)
    expect(standing(feed, 9)).toBe(0)
    expect(standing(feed, 1)).toBeGreaterThan(6)
  })

  it('is usual in a sensor of few values', () => {
    const feed = oneSeries(stuck)
    runs(feed, 60, 40)
    expect(standing(feed, 39)).toBeLessThan(1.5)
    expect(standing(feed, 6)).toBeGreaterThan(2)
  })

  it('is nothing before twenty runs have ended', () => {
    const feed = oneSeries(stuck)
    runs(feed, 20, 2)
    expect(standing(feed, 1)).toBeNaN()
    expect(feed(3, 1)).toBe(0)
  })

  it('is nothing if it never changed', () => {
    const feed = oneSeries(stuck)
    expect(standing(feed, 5_000)).toBeNaN()
  })

  it('goes on standing when a value is missing in between', () => {
    const feed = oneSeries(stuck)
    runs(feed, 100, 2)
    const with0 = standing(feed, 20)
    feed(0, 1, { kind: KIND_MISSING })
    expect(feed(21.5, 1)).toBeGreaterThan(with0)
  })

  it('of a yes or no is none of its business', () => {
    const feed = oneSeries(stuck)
    runs(feed, 100, 2)
    expect(feed(1, 1, { kind: KIND_BOOLEAN })).toBeNaN()
  })

  it('learns no run that ends under suspicion', () => {
    const feed = oneSeries(stuck)
    runs(feed, 100, 2)
    const before = feed.row().filter((_, at) => feed.fieldAt(at) !== 'run' && feed.fieldAt(at) !== 'last')
    standing(feed, 300)
    feed(1, 0)
    feed(2, 0)
    const after = feed.row().filter((_, at) => feed.fieldAt(at) !== 'run' && feed.fieldAt(at) !== 'last')
    // The run that went before 21.5 had ended well.
    expect(after[0]).toBe(before[0]! + 1)
    expect(standing(feed, 20)).toBeGreaterThan(6)
  })

  it('may stand as long as it does once the gate gives in', () => {
    const feed = oneSeries(stuck)
    runs(feed, 100, 2)
    expect(standing(feed, 500, 0)).toBeGreaterThan(20)
    feed.accept()
    expect(feed(21.5, 1)).toBeLessThan(3)
  })

  it('is told by value, length and what was expected', () => {
    const feed = oneSeries(stuck)
    runs(feed, 100, 12)
    standing(feed, 83)
    const { observed, low, high, tell } = feed.explain(21.5)
    expect({ observed, low }).toEqual({ observed: 84, low: null })
    expect(high).toBeCloseTo(12, 0)
    expect(tell!(WORDS)).toBe('has been exactly 21.5 °C for 84 readings, expected at most 12')
  })
})

describe('a sensor that sticks behind the gate', () => {
  /** Readings until the freeze, 2,000 of them; then `frozen` equal ones, and life again. */
  function live(bench: Bench, readings: number, value: (t: number) => number): void {
    for (let t = 0; t < readings; t++) {
      bench.now += 1_000
      bench.send('d', { temperature: value(t) })
    }
  }
  const makeBench = () =>
    new Bench(settingsOf({ detectors: ['level', 'season', 'drift', 'stuck'], classes: { default: classOf({ budget: { alarms: 1, perMs: 3_600_000 }, silence: false, metrics: { temperature: metricOf({ unit: '°C' }) } }) } }))

  it('is one incident with its sentence, and is found again the next time', () => {
    const bench = makeBench()
    const random = seeded(1)
    const noise = () => 20 + Math.round(100 * random.normal()) / 100
    live(bench, 2_000, noise)
    const openings = () => bench.opened('telemetry').filter(({ summary }) => summary.includes('has been exactly')).length
    live(bench, 120, () => 20.5)
    expect(openings()).toBe(1)
    expect(bench.open('d', 'telemetry')!.summary).toMatch(/^temperature has been exactly 20\.5 °C for \d+ readings, expected at most \d$/)
    live(bench, 400, noise)
    expect(bench.open('d', 'telemetry')).toBeUndefined()
    live(bench, 120, () => 20.5)
    expect(openings()).toBe(2)
  })
})
