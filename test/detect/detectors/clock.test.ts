/** A device's clock: running away, jumping, standing still; and what a wrong clock is not. */
import { describe, expect, it } from 'vitest'
import type { ClassSettings } from '../../../src/core/settings.ts'
import { clock } from '../../../src/detect/detectors/clock.ts'
import { classOf, settingsOf, START } from '../fleet.ts'
import { Bench } from '../partition.ts'
import { seeded } from '../seeded.ts'

const MINUTE = 60_000
const HOUR = 3_600_000

/** One device that sends each `period` ms, its event time so far ahead of arrival as `skew` says at `at` ms since the start. */
class Timed {
  readonly bench: Bench
  readonly period: number

  constructor(period = 1_000, fields: Partial<ClassSettings> = {}) {
    this.period = period
    this.bench = new Bench(settingsOf({ classes: { default: classOf(fields) }, detectors: ['clock'] }))
  }

  live(messages: number, skew: (i: number) => number | null, period = this.period): this {
    for (let i = 0; i < messages; i++) {
      this.bench.now += period
      const ahead = skew(i)
      this.bench.send('d', { a: 1 }, ahead === null ? {} : { time: START + this.bench.now + ahead })
    }
    return this
  }

  get opened() {
    return this.bench.opened('clock')
  }

  get last() {
    return this.bench.made.at(-1)?.incident
  }

  mean(): number {
    const { device } = this.bench.partition.state!.tables
    const rows = device.view(clock.name)!
    return rows.float64[device.row('d')! * rows.stride64 + rows.at64 + 3]!
  }
}

const right = () => -50

describe('a clock that runs away', () => {
  it.each([[1_000, 1], [100, 1], [60_000, 1], [1_000, -1], [1_000, 60]])('(a message every %i ms, %i s ahead more each minute) is found', (period, seconds) => {
    const device = new Timed(period).live(500, right)
    const perMessage = (1_000 * seconds * period) / MINUTE
    // A drift of a second a minute is 20 s off after half an hour.
    device.live(Math.ceil((45 * MINUTE) / period / Math.max(1, seconds)), (i) => -50 + i * perMessage)
    expect(device.opened).toHaveLength(1)
    expect(device.bench.open('d', 'clock')).toBeDefined()
  })

  it('by less than a third of a second a minute is followed', () => {
    expect(new Timed().live(500, right).live(20_000, (i) => -50 + i * 4).opened).toEqual([])
  })

  it('is told of in seconds, which side it is on, and what is usual', () => {
    const device = new Timed().live(500, right).live(40, () => 412_000)
    expect(device.last).toMatchObject({
      cause: 'clock',
      severity: 'major',
      summary: 'its clock is 412 s ahead of arrival, expected -10.05 to 9.95 s',
      votes: [{ detector: 'clock', metric: '', observed: 412, expected: [expect.closeTo(-10.05, 2), expect.closeTo(9.95, 2)] }],
    })
  })

  it.each([[40_000, 'warning'], [100_000, 'minor'], [400_000, 'major'], [8e12, 'major']])('%i ms ahead is %s', (ahead, severity) => {
    expect(new Timed().live(500, right).live(20, () => ahead).last).toMatchObject({ state: 'open', severity })
  })

  it('says nothing about a clock before a hundred messages', () => {
    expect(new Timed().live(99, right).live(1, () => 412_000).opened).toEqual([])
    expect(new Timed().live(101, right).live(1, () => 412_000).opened).toHaveLength(1)
  })

  it('ends when it is right again', () => {
    expect(new Timed().live(500, right).live(100, () => 60_000).live(15, right).last).toMatchObject({ state: 'closed', closedBy: 'calm' })
  })

  it('ends when it tells no time any more', () => {
    expect(new Timed().live(500, right).live(100, () => 60_000).live(15, () => null).last).toMatchObject({ state: 'closed', closedBy: 'calm' })
  })
})

describe('a clock that is wrong as ever', () => {
  it.each([[-HOUR], [HOUR], [0]])('by %i ms, is usual', (skew) => {
    const random = seeded(1)
    expect(new Timed().live(5_000, () => skew - 2_000 * random.fraction()).opened).toEqual([])
  })

  it('that was set right while it was learnt is usual', () => {
    expect(new Timed().live(60, () => -1.7e12).live(2_000, right).opened).toEqual([])
  })

  it('jumps and is found, teaches nothing meanwhile, and is usual an hour and 500 messages later', () => {
    const device = new Timed(10_000).live(500, right).live(5, () => HOUR)
    const before = device.mean()
    device.live(400, () => HOUR)
    expect(device.mean()).toBe(before)
    expect(device.last!.state).toBe('open')
    device.live(150, () => HOUR)
    expect(device.last).toMatchObject({ state: 'closed', closedBy: 'calm' })
    expect(device.live(50, () => 2 * HOUR).opened).toHaveLength(2)
  })
})

describe('a clock that is behind', () => {
  it('counts once it has been for two minutes', () => {
    // The first sixteen are late: nobody knows yet that they will go on.
    const device = new Timed().live(500, right).live(16 + 120, () => -200_000)
    expect(device.opened).toEqual([])
    expect(device.live(1, () => -200_000).last).toMatchObject({ state: 'open', severity: 'warning', summary: expect.stringMatching(/^its clock is 200 s behind arrival, /) })
  })

  it('further than five minutes is minor, never more', () => {
    expect(new Timed().live(500, right).live(200, () => -1e9).last).toMatchObject({ severity: 'minor' })
  })

  it('because it stands still is found', () => {
    expect(new Timed().live(500, right).live(300, (i) => -1_000 * i).opened).toHaveLength(1)
  })

  it('is not, when a queue is sent after an outage', () => {
    const device = new Timed().live(500, right)
    device.bench.now += 280_000
    // It comes in twenty seconds.
    device.live(280, (i) => -280_000 + i * 1_000, 70)
    expect(device.live(100, right).opened).toEqual([])
  })

  it('is not, when single messages come late', () => {
    const random = seeded(2)
    expect(new Timed().live(5_000, () => (random.onceIn(10) ? -290_000 : -50)).opened).toEqual([])
  })
})

it.each<[string, number, (i: number) => number | null, Partial<ClassSettings>]>([
  ['by half after fifty messages', 0.5, right, {}],
  ['where no time is claimed', 1, () => null, {}],
  ['where any time is taken', 1, right, { backfill: true }],
])('is warmed up %s', (_, share, skew, fields) => {
  expect(new Timed(1_000, fields).live(50, skew).bench.view('d')!.learning).toBeCloseTo(share, 1)
})

describe('no clock', () => {
  it('is told by a device that claims no time', () => {
    expect(new Timed().live(1_000, () => null).opened).toEqual([])
  })

  it('is judged in a class whose times are taken as they are', () => {
    expect(new Timed(1_000, { backfill: true }).live(500, right).live(50, () => -1e9 + 1e6).opened).toEqual([])
  })

  it('of ours that is set by a few seconds costs a device an incident', () => {
    const device = new Timed().live(500, right)
    for (const step of [6_000, -6_000, 8_000, -8_000]) device.live(400, () => -50 + step)
    expect(device.opened).toEqual([])
  })
})
