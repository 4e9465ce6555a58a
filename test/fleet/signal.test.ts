/** Signals of the demonstration's devices: the same for the same seed, and related as in the machine, the body, the network. */
import { describe, expect, it } from 'vitest'
import { Prng } from '../../src/fleet/prng.ts'
import { Gateway } from '../../src/fleet/signal/gateway.ts'
import { gauss, Lag, Wander } from '../../src/fleet/signal/noise.ts'
import { Pump } from '../../src/fleet/signal/pump.ts'
import type { Readings, Signal } from '../../src/fleet/signal/signal.ts'
import { Wearable } from '../../src/fleet/signal/wearable.ts'

const MINUTE = 600
const series = (signal: Signal, count: number, wornS = (_step: number) => 0) => Array.from({ length: count }, (_, step) => signal.next(wornS(step)))
const column = (readings: readonly Readings[], metric: string) => readings.map((one) => Number(one[metric]))
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

function sd(values: readonly number[]): number {
  const centre = mean(values)
  return Math.sqrt(mean(values.map((value) => (value - centre) ** 2)))
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const [ma, mb] = [mean(a), mean(b)]
  return mean(a.map((value, i) => (value - ma) * (b[i]! - mb))) / (sd(a) * sd(b))
}

describe('noise', () => {
  it('is standard normal', () => {
    const prng = new Prng(1)
    const values = Array.from({ length: 20_000 }, () => gauss(prng))
    expect(Math.abs(mean(values))).toBeLessThan(0.03)
    expect(Math.abs(sd(values) - 1)).toBeLessThan(0.03)
    expect(values.every(Number.isFinite)).toBe(true)
  })

  it('wanders with the spread it was given, and remembers where it was', () => {
    const wander = new Wander(new Prng(2), { sd: 3, memoryS: 2, stepS: 0.1 })
    const values = Array.from({ length: 50_000 }, () => wander.next())
    expect(Math.abs(sd(values) - 3)).toBeLessThan(0.3)
    expect(correlation(values.slice(0, -20), values.slice(20))).toBeCloseTo(Math.exp(-1), 1)
  })

  it('follows with a delay: two thirds of the way after its time constant', () => {
    const lag = new Lag(0, { delayS: 2, stepS: 0.1 })
    const after = Array.from({ length: 20 }, () => lag.next(1)).at(-1)!
    expect(after).toBeCloseTo(1 - Math.exp(-1), 5)
  })
})

describe.each([
  ['a pump', (seed: number) => new Pump(new Prng(seed), 0.1)],
  ['a wearable', (seed: number) => new Wearable(new Prng(seed), 0.2)],
  ['a gateway', (seed: number) => new Gateway(new Prng(seed), 0.2)],
] as const)('%s', (_name, make) => {
  it('says the same again for the same seed, and something else for another', () => {
    expect(series(make(7), 200)).toEqual(series(make(7), 200))
    expect(series(make(7), 200)).not.toEqual(series(make(8), 200))
  })

  it('has no number that is not finite, whatever the seed', () => {
    for (let seed = 0; seed < 50; seed++)
      for (const reading of series(make(seed), 100)) for (const value of Object.values(reading)) if (typeof value === 'number') expect(Number.isFinite(value)).toBe(true)
  })
})

describe('a pump', () => {
  it('draws more current for more flow, at less pressure, and shakes more', () => {
    const readings = series(new Pump(new Prng(3), 0.1), MINUTE)
    const flow = column(readings, 'flow')
    expect(correlation(flow, column(readings, 'current'))).toBeGreaterThan(0.9)
    expect(correlation(flow, column(readings, 'pressure'))).toBeLessThan(-0.9)
    expect(correlation(flow, column(readings, 'vibration'))).toBeGreaterThan(0.5)
  })

  it('stays well below the limit of ISO 20816 while its bearing is sound', () => {
    for (let seed = 0; seed < 20; seed++) expect(Math.max(...column(series(new Pump(new Prng(seed), 0.1), MINUTE), 'vibration'))).toBeLessThan(4.5)
  })

  it('shakes and heats more and more once its bearing wears, and pumps as before', () => {
    const sound = series(new Pump(new Prng(3), 0.1), 300)
    const worn = series(new Pump(new Prng(3), 0.1), 300, (step) => step / 10)
    const more = (metric: string, from: number, to: number) => mean(column(worn, metric).slice(from, to)) - mean(column(sound, metric).slice(from, to))
    expect(more('vibration', 50, 100)).toBeGreaterThan(0.1)
    expect(more('vibration', 200, 300)).toBeGreaterThan(5 * more('vibration', 50, 100))
    expect(more('temperature', 200, 300)).toBeGreaterThan(1)
    expect(more('flow', 200, 300)).toBe(0)
  })

  it('wears no further than to a bearing that is seized', () => {
    const seized = series(new Pump(new Prng(3), 0.1), 300, () => 1_000)
    expect(Math.max(...column(seized, 'vibration'))).toBeLessThan(30)
  })
})

describe('a wearable', () => {
  it('shows a heart that follows activity, within what a person has', () => {
    const readings = series(new Wearable(new Prng(4), 0.2), 2_000)
    const activity = column(readings, 'activity')
    expect(correlation(activity.slice(0, -15), column(readings, 'heart_rate').slice(15))).toBeGreaterThan(0.4)
    for (const value of column(readings, 'heart_rate')) expect(value).toBeGreaterThan(50)
    for (const value of column(readings, 'spo2')) expect(value).toBeLessThanOrEqual(100)
    for (const value of column(readings, 'spo2')) expect(value).toBeGreaterThan(90)
  })
})

describe('a gateway', () => {
  it('is busier with more traffic, and now and then on its mobile link', () => {
    const readings = series(new Gateway(new Prng(5), 0.2), 2_000)
    expect(correlation(column(readings, 'traffic'), column(readings, 'cpu'))).toBeGreaterThan(0.8)
    const mobile = readings.filter(({ link }) => link === 'mobile').length
    expect(mobile).toBeGreaterThan(50)
    expect(mobile).toBeLessThan(700)
  })

  it('loses its tunnel for the first moment of a failover, and no longer', () => {
    const readings = series(new Gateway(new Prng(5), 0.2), 2_000)
    readings.forEach(({ tunnel, link }, i) => {
      const begins = link === 'mobile' && readings[i - 1]?.['link'] !== 'mobile'
      if (i > 0 && begins) expect(tunnel).toBe(false)
      if (link === 'wired') expect(tunnel).toBe(true)
    })
  })
})
