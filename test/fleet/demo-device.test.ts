/** A device of the demonstration: its faults begin when they say, show what they are, and end when it is mended. */
import { describe, expect, it } from 'vitest'
import { DemoDevice, type Emission, type Member } from '../../src/fleet/demo-device.ts'
import { DeviceClock } from '../../src/fleet/device-clock.ts'
import { Prng } from '../../src/fleet/prng.ts'
import type { Trouble, Truth } from '../../src/fleet/truth.ts'

const PUMP: Member = { id: 'pump-01', kind: 'pump', periodMs: 100, firstAt: 30 }
const GATEWAY: Member = { id: 'gateway-01', kind: 'gateway', periodMs: 200, firstAt: 0 }
const FROM = 10_000
const TO = 20_000

const truth = (kind: Trouble, metric = ''): Truth => ({ device: 'pump-01', kind, from: FROM, to: TO, metric })
const device = (of: Truth | null, member = PUMP, seed = 9) => new DemoDevice(member, of, new Prng(seed))

interface Moment {
  readonly at: number
  readonly emission: Emission | null
}

/** Everything due up to `until`, the silent moments too. */
function run(one: DemoDevice, until: number): Moment[] {
  const moments: Moment[] = []
  while (one.due < until) moments.push({ at: one.due, emission: one.next() })
  return moments
}

const readings = (moments: readonly Moment[]) => moments.map(({ emission }) => emission?.readings)

describe('a device of the demonstration', () => {
  it('says the same again for the same seed', () => {
    expect(run(device(truth('bearing')), 15_000)).toEqual(run(device(truth('bearing')), 15_000))
    expect(run(device(null, PUMP, 9), 5_000)).not.toEqual(run(device(null, PUMP, 10), 5_000))
  })

  it('keeps its period from its first message on', () => {
    expect(run(device(null), 500).map(({ at }) => at)).toEqual([30, 130, 230, 330, 430])
  })

  it.each(['bearing', 'stuck', 'silence', 'clock'] as const)('is up to the moment its %s begins what it would be without, and not from then on', (kind) => {
    const well = run(device(null), 14_000)
    const ill = run(device(truth(kind, 'flow')), 14_000)
    const before = (moments: readonly Moment[]) => moments.filter(({ at }) => at < FROM)
    const after = (moments: readonly Moment[]) => moments.filter(({ at }) => at >= FROM)
    expect(before(ill)).toEqual(before(well))
    expect(after(ill)).not.toEqual(after(well))
  })

  it('repeats the last value of a sensor that sticks, while the others go on', () => {
    const moments = run(device(truth('stuck', 'flow')), 22_000)
    const stuck = moments.filter(({ at }) => at >= FROM && at < TO)
    expect(new Set(readings(stuck).map((one) => one?.['flow'])).size).toBe(1)
    expect(new Set(readings(stuck).map((one) => one?.['current'])).size).toBeGreaterThan(50)
    expect(new Set(readings(moments.filter(({ at }) => at >= TO)).map((one) => one?.['flow'])).size).toBeGreaterThan(5)
  })

  it('says nothing while it is silent, and then what it would have said anyway', () => {
    const silent = run(device(truth('silence')), 22_000)
    const well = run(device(null), 22_000)
    for (const { at, emission } of silent) expect(emission === null).toBe(at >= FROM && at < TO)
    expect(silent.filter(({ at }) => at >= TO)).toEqual(well.filter(({ at }) => at >= TO))
  })

  it('floods and sends what it never sent once it is taken over', () => {
    const moments = run(device({ ...truth('takeover'), device: 'gateway-01' }, GATEWAY), 12_000)
    const rate = (from: number, to: number) => moments.filter(({ at }) => at >= from && at < to).length / ((to - from) / 1000)
    expect(rate(8_000, 10_000)).toBe(5)
    expect(rate(10_000, 12_000)).toBe(100)
    const known = new Set(moments.filter(({ at }) => at < FROM).flatMap(({ emission }) => Object.keys(emission?.readings ?? {})))
    const sent = new Set(moments.filter(({ at }) => at >= FROM).flatMap(({ emission }) => Object.keys(emission?.readings ?? {})))
    expect([...sent].filter((name) => !known.has(name)).toSorted()).toEqual(['beacon', 'shell', 'target'])
  })

  it('has sensors that keep their pace while somebody else sends, and is itself afterwards', () => {
    const taken = run(device({ ...truth('takeover'), device: 'gateway-01' }, GATEWAY), 24_000)
    const well = run(device(null, GATEWAY), 24_000)
    const last = (moments: readonly Moment[]) => moments.at(-1)?.emission?.readings
    expect(last(taken)).toEqual(last(well))
  })

  it('is mended for good, and not before it is broken', () => {
    const one = device(truth('silence'))
    run(one, 5_000)
    one.mend(5_000)
    run(one, 12_000)
    expect(one.next()).toBeNull()
    one.mend(12_500)
    expect(run(one, 14_000).every(({ emission }) => emission !== null)).toBe(true)
  })
})

describe("a device's clock", () => {
  it('is within a tenth of a second of the true time for an hour', () => {
    for (let seed = 0; seed < 100; seed++) expect(Math.abs(new DeviceClock(new Prng(seed)).ahead(3_600_000, 0))).toBeLessThan(200)
  })

  it('gains many seconds a second once it has run away', () => {
    for (let seed = 0; seed < 100; seed++) {
      const clock = new DeviceClock(new Prng(seed))
      const gained = clock.ahead(61_000, 1_000) - clock.ahead(60_000, 0)
      expect(gained).toBeGreaterThan(13_000)
      expect(gained).toBeLessThan(40_000)
    }
  })

  it('shows in what the device sends from the moment it runs away', () => {
    const ahead = run(device(truth('clock')), 12_000).map(({ at, emission }) => ({ at, ms: emission!.aheadMs }))
    for (const { at, ms } of ahead) expect(Math.abs(ms) > 100).toBe(at >= FROM + 100 || (at > FROM && Math.abs(ms) > 100))
    expect(ahead.at(-1)!.ms).toBeGreaterThan(20_000)
  })
})
