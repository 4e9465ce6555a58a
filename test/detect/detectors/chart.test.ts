/** The alarm chart against the reference prototype, and where it goes further: slots, late metrics, a tail that is taught late, acceptance. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { KIND_BOOLEAN, KIND_NUMBER } from '../../../src/core/message.ts'
import { CLASS_DEFAULTS } from '../../../src/core/settings.ts'
import { chart, DISTANCE } from '../../../src/detect/detectors/chart.ts'
import { chartSlot, QUANTILE, slotOf } from '../../../src/detect/detectors/chart-row.ts'
import { RoundColumns } from '../../../src/detect/rounds.ts'
import { Table } from '../../../src/detect/table.ts'
import { classOf, controlOf, settingsOf } from '../fleet.ts'
import { Bench } from '../partition.ts'
import { seeded } from '../seeded.ts'
import { noise } from '../known/noise.ts'

/** Made by `known/make-chart.py` from the prototype, chart.py of the detection notes: [message, score in quantiles of calibration]. */
const KNOWN = JSON.parse(readFileSync(new URL('../known/chart.json', import.meta.url), 'utf8')) as Record<string, [number, number][]>

const WARMUP = 400
const DEVICE = 1
const FIRST_SERIES = 3

/** One device, message by message; a value of null is not in the message. */
function oneDevice(metrics = 40) {
  const devices = new Table('device', 3, [chart], () => {})
  const series = new Table('series', FIRST_SERIES + metrics, [chartSlot], () => {})
  const rows = devices.view(chart.name)!
  const ground = { rows: series.view(chartSlot.name)!, columns: new Float64Array(0) }
  const round = new RoundColumns()
  const scratch = new Float64Array(chart.scratch)
  const out = new Float32Array(1)
  const fill = (values: readonly (number | null)[], kind = KIND_NUMBER) => {
    round.clear()
    const m = round.addMessage(DEVICE)
    round.warmup[m] = WARMUP
    values.forEach((value, j) => value !== null && round.addReading(m, FIRST_SERIES + j, kind, value, -Infinity, Infinity))
  }
  const o = DEVICE * rows.stride32 + rows.at32
  const feed = (values: readonly (number | null)[], weight = 1, kind = KIND_NUMBER): number => {
    fill(values, kind)
    chart.score(round, rows, scratch, out, ground)
    const surprise = out[0]!
    chart.learn(round, rows, scratch, Float32Array.of(weight), ground)
    return surprise
  }
  return Object.assign(feed, {
    /** Distance of the last message, in quantiles of calibration. */
    score: () => scratch[DISTANCE]! / rows.float32[o + QUANTILE]!,
    accept: () => chart.accept!(rows, DEVICE),
    forget: (metric: number) => chart.forget!(rows, DEVICE, ground.rows, FIRST_SERIES + metric),
    warmth: () => chart.warmth!(rows, DEVICE, CLASS_DEFAULTS),
    leaders(values: readonly (number | null)[]) {
      fill(values)
      return chart.leaders!(round, rows, 0, ground).map(({ reading, observed, low, high }) => ({ metric: round.series[reading]! - FIRST_SERIES, observed, low, high }))
    },
  })
}

function* device(kind: string): Generator<(number | null)[]> {
  const draw = noise(7)
  for (let t = 0; t < 1100; t++) {
    const [a, b, c, d, e] = Array.from({ length: 5 }, () => draw.next().value) as [number, number, number, number, number]
    const bad = t >= 700 && t < 900
    const step = bad && kind === 'step'
    const values = [
      100 + 2 * a + b + (step ? 4 : 0),
      5 + 0.1 * (a + c) + 0.0004 * t,
      101325 + 10 * (b - d),
      0.02 * e + (step ? 0.5 * 0.02 : 0),
      30 + c * c + (bad && kind === 'relation' ? -3 : 1) * 0.5 * a,
    ]
    yield values.map((value, j) => (kind === 'missing' && t > 0 && (t * 7 + 3 * j) % 5 === 0 ? null : value))
  }
}

/** Three metrics that share a cause: usual days. */
function usual(random: ReturnType<typeof seeded>): [number, number, number] {
  const common = random.normal()
  return [20 + common + 0.3 * random.normal(), 5 + 0.5 * common + 0.2 * random.normal(), 300 - 10 * common + 4 * random.normal()]
}

function taught(messages = 900) {
  const feed = oneDevice()
  const random = seeded(3)
  for (let t = 0; t < messages; t++) feed(usual(random))
  return { feed, random }
}

describe('chart', () => {
  it.each(Object.keys(KNOWN))('says what the prototype says of a device with %s', (kind) => {
    const feed = oneDevice()
    const expected = new Map(KNOWN[kind])
    let t = 0
    let compared = 0
    for (const values of device(kind)) {
      feed(values)
      const want = expected.get(t++)
      if (want === undefined) continue
      expect(Math.abs(feed.score() - want) / want).toBeLessThan(1e-4)
      compared++
    }
    expect(compared).toBe(100)
  })

  it('has no opinion of the messages it warms up with, and says how far it is', () => {
    const feed = oneDevice()
    const random = seeded(1)
    for (let t = 0; t < WARMUP; t++) {
      if (t === 100 || t === 360) expect(feed.warmth()).toBeCloseTo(t / WARMUP, 5)
      expect(feed(usual(random))).toBeNaN()
    }
    expect(feed(usual(random))).toBeGreaterThanOrEqual(0)
    expect(feed.warmth()).toBe(1)
  })

  it('leaves out constants, switches and what is no number', () => {
    const [plain, crowded] = [oneDevice(), oneDevice()]
    const random = seeded(2)
    for (let t = 0; t < 800; t++) {
      const values = usual(random)
      const surprise = plain(values)
      const besides = crowded([7.5, ...values, t % 2])
      if (t >= WARMUP) expect(besides).toBeCloseTo(surprise, 5)
      plain([])
      crowded([1, 0, 1, 0, 1], 1, KIND_BOOLEAN)
    }
    expect(plain.score()).toBeGreaterThan(0)
  })

  it('finds metrics that no longer move together, each within its own range', () => {
    const { feed, random } = taught()
    const worst = (swap: boolean) => {
      let most = 0
      for (let t = 0; t < 60; t++) {
        const [a, b, c] = usual(random)
        most = Math.max(most, feed(swap ? [a + 1, b - 0.5, c + 10] : [a, b, c]))
      }
      return most
    }
    expect(worst(false)).toBeLessThan(4)
    expect(worst(true)).toBeGreaterThan(6)
  })

  it('names the metric that went off, with its average and the band that was expected', () => {
    const { feed, random } = taught()
    for (let t = 0; t < 40; t++) feed(usual(random).map((value, j) => value + (j === 1 ? 3 : 0)))
    const [first] = feed.leaders(usual(random).map((value, j) => value + (j === 1 ? 3 : 0)))
    expect(first!.metric).toBe(1)
    expect(first!.observed).toBeGreaterThan(7)
    expect(first!.low!).toBeGreaterThan(4)
    expect(first!.high!).toBeLessThan(6)
  })

  it('expects of the one that leads what goes with the others, however common it is by itself', () => {
    const feed = oneDevice()
    const random = seeded(8)
    const together = (t: number, by: number) => {
      const a = 20 + 3 * Math.sin(t / 25)
      return [a, 2 * a + by + 0.2 * random.normal(), random.normal()]
    }
    for (let t = 0; t < 3_000; t++) feed(together(t, 0))
    for (let t = 0; t < 15; t++) feed(together(0, 7))
    const [first, ...others] = feed.leaders(together(0, 7))
    expect(others).toEqual([])
    expect(first!.metric).toBe(1)
    // By itself it goes from 34 to 46, and three of its spreads are more.
    expect(first!.observed).toBeLessThan(47)
    expect(first!.observed).toBeGreaterThan(first!.high!)
    expect((first!.low! + first!.high!) / 2).toBeCloseTo(40, 0)
  })

  it('is surprised by a fault that rises slowly, and by the same fault again', () => {
    const { feed, random } = taught()
    const fault = () => {
      let most = 0
      for (let t = 0; t < 150; t++) most = Math.max(most, feed(usual(random).map((value, j) => value + (j === 0 ? Math.min(t / 60, 1) * 4 : 0))))
      for (let t = 0; t < 150; t++) feed(usual(random))
      return most
    }
    const first = fault()
    expect(first).toBeGreaterThan(6)
    expect(fault()).toBeGreaterThan(first - 1)
  })

  it('follows a drift, and does not follow a step', () => {
    const { feed, random } = taught()
    const shifted = (by: number) => usual(random).map((value, j) => value + (j === 0 ? by : 0))
    for (let t = 0; t < 6000; t++) expect(feed(shifted(t / 1500)) > 5).toBe(false)
    for (let t = 0; t < 400; t++) feed(shifted(8))
    expect(feed(shifted(8))).toBeGreaterThan(6)
    const first = feed.leaders(shifted(8))[0]!
    expect(first.metric).toBe(0)
    expect((first.low! + first.high!) / 2).toBeCloseTo(24, 0)
  })

  it('takes a level for normal after 500 messages under suspicion, or when it is told to', () => {
    const after = (messages: number, told: boolean) => {
      const { feed, random } = taught()
      const shifted = () => usual(random).map((value, j) => value + (j === 0 ? 6 : 0))
      for (let t = 0; t < messages; t++) feed(shifted())
      if (told) feed.accept()
      return feed(shifted())
    }
    expect(after(450, false)).toBeGreaterThan(6)
    expect(after(450, true)).toBeLessThan(3)
    expect(after(560, false)).toBeLessThan(3)
  })

  it('takes in a metric that comes later, once it has warmed up', () => {
    const { feed, random } = taught()
    const late = (by: number) => [...usual(random), 50 + random.normal() + by]
    const odd = () => feed.leaders(late(4_000)).map(({ metric }) => metric)
    for (let t = 0; t < 300; t++) feed(late(0))
    expect(odd()).not.toContain(3)
    for (let t = 0; t < 60; t++) feed(late(0))
    expect(odd()).toEqual([3])
    for (let t = 0; t < 20; t++) feed(late(40))
    expect(feed(late(40))).toBeGreaterThan(6)
  })

  it('begins anew when nothing had anything to say', () => {
    const feed = oneDevice()
    const random = seeded(5)
    for (let t = 0; t < 700; t++) feed([20, 5, 300])
    expect(feed.warmth()).toBe(1)
    for (let t = 0; t < 900; t++) feed(usual(random))
    expect(feed(usual(random))).toBeGreaterThanOrEqual(0)
  })

  it('looks at sixteen metrics, and gives the place of one that has nothing to say to the next', () => {
    const feed = oneDevice()
    const random = seeded(6)
    const values = (by: number) => Array.from({ length: 18 }, (_, j) => (j === 2 ? 1 : j + random.normal() + (j >= 16 ? by : 0)))
    for (let t = 0; t < 900; t++) feed(values(0))
    for (let t = 0; t < 30; t++) feed(values(30))
    expect(feed(values(30))).toBeGreaterThan(6)
    expect(feed.leaders(values(30)).map(({ metric }) => metric)).toEqual([16])
  })

  it('forgets a metric that is gone, and the others go on', () => {
    const { feed, random } = taught()
    for (let t = 0; t < 20; t++) feed(usual(random).map((value, j) => value + (j === 0 ? 30 : 0)))
    expect(feed(usual(random))).toBeGreaterThan(6)
    feed.forget(0)
    expect(feed([null, 5, 300])).toBeLessThan(4)
    for (let t = 0; t < 40; t++) feed([null, 8, 300])
    expect(feed([null, 8, 300])).toBeGreaterThan(6)
  })
})

describe('chart in a partition', () => {
  const settings = () => settingsOf({ detectors: ['chart'], classes: { default: classOf({ silence: false, warmup: WARMUP }) } })
  const send = (bench: Bench, random: ReturnType<typeof seeded>, by: readonly number[]) => {
    const [vibration, flow, current] = usual(random).map((value, j) => value + by[j]!) as [number, number, number]
    bench.now += 1000
    return bench.send('pump', { vibration, flow, current, mode: 'auto', on: true })
  }

  it('opens one incident whose sentence names what moves together', () => {
    const bench = new Bench(settings())
    const random = seeded(8)
    for (let t = 0; t < 900; t++) expect(send(bench, random, [0, 0, 0])).toEqual([])
    for (let t = 0; t < 60; t++) send(bench, random, [6, 3, 0])
    expect(bench.opened('telemetry')).toHaveLength(1)
    const { summary, votes } = bench.opened('telemetry')[0]!
    expect(summary).toMatch(/^(vibration|flow|current)(, (vibration|flow|current))* and (vibration|flow|current) move together as they never did: /)
    expect(votes.every(({ detector, metric }) => detector === 'chart' && metric !== '')).toBe(true)
  })

  it('says of a metric that went off alone what it averages', () => {
    const bench = new Bench(settings())
    const random = seeded(10)
    for (let t = 0; t < 900; t++) send(bench, random, [0, 0, 0])
    for (let t = 0; t < 60; t++) send(bench, random, [0, 30, 0])
    const { summary } = bench.opened('telemetry')[0]!
    expect(summary).toMatch(/^flow averages [\d.]+, expected [\d.]+ to [\d.]+, beside the other metrics$/)
  })

  it('frees the slot of a metric that is reset, and warms it up anew', () => {
    const bench = new Bench(settings())
    const random = seeded(9)
    for (let t = 0; t < 900; t++) send(bench, random, [0, 0, 0])
    const slot = () => {
      const { series } = bench.partition.state!.tables
      return slotOf(series.view(chartSlot.name)!, series.row('pump\u0000flow')!)
    }
    const before = slot()
    bench.take(controlOf('reset', { kind: 'reset', device: 'pump', metric: 'flow' }))
    send(bench, random, [0, 40, 0])
    expect(slot()).toBe(before)
    for (let t = 0; t < 60; t++) send(bench, random, [0, 40, 0])
    expect(bench.opened('telemetry')).toEqual([])
  })
})
