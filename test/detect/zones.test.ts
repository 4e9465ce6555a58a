/** Which hour of which kind of day it is where the devices are, across the changes of the clock. */
import { describe, expect, it } from 'vitest'
import { season } from '../../src/detect/detectors/season.ts'
import { Zones } from '../../src/detect/zones.ts'
import { classOf, settingsOf } from './fleet.ts'
import { Bench } from './partition.ts'
import { oneSeries } from './rounds.ts'

const zonesOf = (...timezones: string[]) =>
  new Zones(settingsOf({ classes: Object.fromEntries(timezones.map((timezone, i) => [i === 0 ? 'default' : `class ${i}`, classOf({ timezone })])) }))

const bin = (zone: string, time: string) => zonesOf(zone).bin(zone, Date.parse(time))

describe('the bin of a moment', () => {
  it.each([
    ['UTC', '2024-05-06T00:00:00Z', 0],
    ['UTC', '2024-05-06T23:59:59.999Z', 23],
    ['UTC', '2024-05-04T13:00:00Z', 24 + 13],
    ['Europe/Berlin', '2024-01-08T12:30:00Z', 13],
    ['Europe/Berlin', '2024-07-08T12:30:00Z', 14],
    // Sunday there already, Saturday or Monday elsewhere.
    ['Europe/Berlin', '2024-05-05T22:00:00Z', 0],
    ['Europe/Berlin', '2024-05-03T21:59:59Z', 23],
    ['Europe/Berlin', '2024-05-03T22:00:00Z', 24],
    ['America/Los_Angeles', '2024-05-06T06:59:00Z', 24 + 23],
    ['America/Los_Angeles', '2024-05-06T07:00:00Z', 0],
    ['Asia/Kathmandu', '2024-05-06T18:14:00Z', 23],
    ['Asia/Kathmandu', '2024-05-06T18:15:00Z', 0],
    ['Pacific/Chatham', '2024-07-03T11:14:00Z', 23],
  ])('in %s at %s is %i', (zone, time, expected) => {
    expect(bin(zone, time)).toBe(expected)
  })

  it.each([
    ['skips the third hour in spring', '2024-03-31T00:00:00Z', [24 + 1, 24 + 3, 24 + 4]],
    ['has the third hour twice in autumn', '2024-10-27T00:00:00Z', [24 + 2, 24 + 2, 24 + 3]],
  ])('in Berlin %s', (_, midnight, expected) => {
    const zones = zonesOf('Europe/Berlin')
    expect([0, 1, 2].map((hour) => zones.bin('Europe/Berlin', Date.parse(midnight) + 3_600_000 * hour))).toEqual(expected)
  })

  it('is the same however often, and after whatever else, it was asked for', () => {
    const zones = zonesOf('Europe/Berlin', 'Asia/Kathmandu')
    const hours = Array.from({ length: 3_000 }, (_, i) => Date.UTC(2024, 0, 1) + i * 7_777_777)
    const fresh = hours.map((ms) => zonesOf('Europe/Berlin').bin('Europe/Berlin', ms))
    for (const ms of hours.toReversed()) zones.bin('Europe/Berlin', ms)
    for (const ms of hours) zones.bin('Asia/Kathmandu', ms)
    expect(hours.map((ms) => zones.bin('Europe/Berlin', ms))).toEqual(fresh)
  })

  it('is the same after whatever else was asked for, where a zone lay between quarters', () => {
    // 00:59:59 and 01:00:00 there.
    const [before, after] = [Date.parse('1970-03-04T01:44:29Z'), Date.parse('1970-03-04T01:44:30Z')]
    const zones = zonesOf('Africa/Monrovia')
    zones.bin('Africa/Monrovia', before)
    expect(zones.bin('Africa/Monrovia', after)).toBe(zonesOf('Africa/Monrovia').bin('Africa/Monrovia', after))
  })

  it.each([1e20, -1e20, 8.64e15 + 1, -1])('of %d ms is one', (ms) => {
    const of = zonesOf('Europe/Berlin').bin('Europe/Berlin', ms)
    expect(of >= 0 && of < 48).toBe(true)
  })

  it('of a zone that Node does not know is refused by name', () => {
    expect(() => zonesOf('UTC', 'Mars/Olympus')).toThrow(/timezone of class 1: Mars\/Olympus is not known here/)
  })
})

/** Lamps that burn from 6 to 18 o'clock by their own clock: `from`, for so many days, each quarter of an hour; what they burn at each, told. */
function* lamps(from: string, days: number): Generator<{ clock: number; at: number; value: number }> {
  const berlin = zonesOf('Europe/Berlin')
  const hourOf = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', hour: '2-digit' })
  for (let i = 0; i < 96 * days; i++) {
    const at = Date.parse(from) + 900_000 * i
    const hour = Number(hourOf.format(at))
    yield { clock: berlin.bin('Europe/Berlin', at), at, value: (hour >= 6 && hour < 18 ? 100 : 0) + (i % 7) }
  }
}

describe('a day’s course in Berlin', () => {
  it.each([
    ['March', '2024-03-10T00:00:00Z', '2024-03-31T00:30:00Z'],
    ['October', '2024-10-06T00:00:00Z', '2024-10-27T00:30:00Z'],
  ])('is the same after the clocks change in %s', (_, from, change) => {
    const worst = (zoned: boolean) => {
      const feed = oneSeries(season)
      let most = 0
      for (const { clock, at, value } of lamps(from, 28)) {
        const utc = new Date(at).getUTCHours() + (new Date(at).getUTCDay() % 6 === 0 ? 24 : 0)
        const { low, high } = feed.explain(value, { clock: zoned ? clock : utc })
        if (at > Date.parse(change)) most = Math.max(most, Math.abs(value - (low! + high!) / 2))
        feed(value, 1, { clock: zoned ? clock : utc, since: 900_000 })
      }
      return most
    }
    expect(worst(true)).toBeLessThan(10)
    expect(worst(false)).toBeGreaterThan(60)
  })
})

describe('a device', () => {
  it('lives by the clock of its class', () => {
    const bench = new Bench(settingsOf({ classes: { default: classOf(), berlin: classOf({ timezone: 'Europe/Berlin' }) } }))
    const clocks: number[] = []
    for (const klass of ['default', 'berlin']) {
      bench.partition.advance(Date.UTC(2024, 6, 8, 12))
      bench.send(`d-${klass}`, { x: 1 }, { labels: { class: klass }, arrival: Date.UTC(2024, 6, 8, 12, 1) })
      clocks.push(bench.partition.round.clock[0]!)
    }
    expect(clocks).toEqual([12, 14])
  })

  it('whose times go back for good lives by the hours it names', () => {
    const bench = new Bench(settingsOf({ classes: { default: classOf({ backfill: true }) } }))
    for (let hour = 0; hour < 24; hour++) bench.send('d', { x: 1 }, { time: Date.UTC(2024, 6, 9, hour) })
    const hours: number[] = []
    for (let hour = 0; hour < 24; hour++) {
      bench.partition.round.clock[0] = 99
      bench.send('d', { x: 1 }, { time: Date.UTC(2024, 6, 8, hour) })
      hours.push(bench.partition.round.clock[0]!)
    }
    // Sixteen may be late, what follows is a clock that was set back.
    expect(hours.slice(16)).toEqual([16, 17, 18, 19, 20, 21, 22, 23])
  })
})

describe('a reading', () => {
  it('is so long after the one before of its series, by event time', () => {
    const bench = new Bench(settingsOf())
    const sinces: number[] = []
    const at = Date.UTC(2024, 6, 8, 12)
    bench.partition.advance(at)
    for (const [metrics, ms] of [[{ a: 1, b: 1 }, 0], [{ a: 1 }, 1_500], [{ a: 1, b: 1 }, 4_000]] as const) {
      bench.send('d', metrics, { arrival: at + 10_000, time: at + ms })
      sinces.push(...bench.partition.round.since.subarray(0, Object.keys(metrics).length))
    }
    expect(sinces).toEqual([0, 0, 1_500, 2_500, 4_000])
  })
})
