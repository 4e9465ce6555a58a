/** The fleet of the demonstration as it is drawn: one of each fault, each on a device of its own that can have it. */
import { describe, expect, it } from 'vitest'
import { ALL_BEGUN_MS, drawFleet, drawRound } from '../../src/fleet/demo-fleet.ts'
import { inWords, TROUBLES } from '../../src/fleet/truth.ts'

const SEEDS = Array.from({ length: 200 }, (_, seed) => seed)

describe('a fleet', () => {
  it('is the same again for the same seed, and another for another', () => {
    expect(drawFleet(5).truths).toEqual(drawFleet(5).truths)
    expect(drawFleet(5).truths).not.toEqual(drawFleet(6).truths)
  })

  it('has between 20 and 40 devices of three classes, each name once', () => {
    const { devices } = drawFleet(1)
    expect(devices.length).toBeGreaterThanOrEqual(20)
    expect(devices.length).toBeLessThanOrEqual(40)
    expect(new Set(devices.map(({ member }) => member.id)).size).toBe(devices.length)
    expect([...new Set(devices.map(({ member }) => member.kind))]).toEqual(['pump', 'wearable', 'gateway'])
  })

  it('has each fault once, on a device of its own that carries it, whatever the seed', () => {
    for (const seed of SEEDS) {
      const { devices, truths } = drawFleet(seed)
      expect(truths.map(({ kind }) => kind).toSorted()).toEqual([...TROUBLES].toSorted())
      expect(new Set(truths.map(({ device }) => device)).size).toBe(truths.length)
      for (const truth of truths) expect(devices.find(({ member }) => member.id === truth.device)?.truth).toBe(truth)
      expect(devices.filter(({ truth }) => truth !== null)).toHaveLength(truths.length)
    }
  })

  it('gives a fault only to what can have it', () => {
    for (const seed of SEEDS) {
      const { devices, truths } = drawFleet(seed)
      const kindOf = (fault: string) => devices.find(({ truth }) => truth?.kind === fault)?.member.kind
      expect([kindOf('bearing'), kindOf('stuck'), kindOf('takeover')]).toEqual(['pump', 'pump', 'gateway'])
      expect(['pump', 'wearable']).toContain(kindOf('silence'))
      expect(['flow', 'pressure']).toContain(truths.find(({ kind }) => kind === 'stuck')?.metric)
    }
  })

  it('lets faults begin in the order it says, none later than stated', () => {
    for (const seed of SEEDS) {
      const begins = drawFleet(seed).truths.map(({ from }) => from)
      expect(begins).toEqual(begins.toSorted((a, b) => a - b))
      expect(begins.at(-1)).toBeLessThanOrEqual(ALL_BEGUN_MS)
    }
  })
})

describe('a later round', () => {
  it('has each fault once more, two minutes a round later, as the seed and the round say', () => {
    for (const seed of SEEDS.slice(0, 20)) {
      const fleet = drawFleet(seed)
      const truths = drawRound(fleet, 2)
      expect(truths).toEqual(drawRound(drawFleet(seed), 2))
      expect(truths).not.toEqual(drawRound(fleet, 3))
      expect(truths.map(({ kind }) => kind).toSorted()).toEqual([...TROUBLES].toSorted())
      for (const { from, to } of truths) expect([from >= 276_000, from <= 282_000, to - from]).toEqual([true, true, 36_000])
    }
  })

  it('befalls a device that was mended before', () => {
    const { devices } = drawFleet(3)
    const [device] = devices
    const silent = (from: number) => ({ device: device!.member.id, kind: 'silence', from, to: from + 36_000, metric: '' }) as const
    const says = (until: number) => {
      const said = []
      while (device!.due < until) said.push(device!.next())
      return said
    }
    device!.befall(silent(10_000))
    device!.mend(10_000)
    expect(says(20_000)).not.toContain(null)
    device!.befall(silent(20_000))
    expect(says(30_000)).not.toContainEqual(expect.anything())
  })
})

describe('a fault in words', () => {
  it('says what it is, and of which sensor', () => {
    expect(inWords({ kind: 'stuck', metric: 'flow' })).toBe('its flow sensor sticks')
    expect(new Set(TROUBLES.map((kind) => inWords({ kind, metric: '' }))).size).toBe(TROUBLES.length)
  })
})
