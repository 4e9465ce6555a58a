/** The simulated device: what the simulation, the demo and the bench build their fleets of. */
import { describe, expect, it } from 'vitest'
import { type DeviceSpec, SimulatedDevice } from '../../src/fleet/device.ts'
import type { Fault } from '../../src/fleet/fault.ts'
import { Prng } from '../../src/fleet/prng.ts'

const SENSOR = { metric: 'pressure', base: 100, amplitude: 3 }

function device(faults: readonly Fault[] = [], seed = 7): SimulatedDevice {
  const spec: DeviceSpec = { id: 'pump-1', class: 'pump', sensors: [SENSOR], periodMs: 100, faults }
  return new SimulatedDevice(spec, new Prng(seed))
}

const readings = (one: SimulatedDevice, count: number) => Array.from({ length: count }, (_, i) => one.sample(100 * i)?.values.get('pressure'))

describe('a simulated device', () => {
  it('says the same again for the same seed', () => {
    expect(readings(device(), 50)).toEqual(readings(device(), 50))
    expect(readings(device(), 50)).not.toEqual(readings(device([], 8), 50))
  })

  it('stays within its amplitude while nothing is wrong', () => {
    for (const value of readings(device(), 1_000)) expect(Math.abs(value! - SENSOR.base)).toBeLessThanOrEqual(SENSOR.amplitude)
  })

  it('jumps by a spike, for as long as that lasts, and says which fault it shows', () => {
    const spike = { kind: 'spike', metric: 'pressure', sds: 1_000, from: 300, to: 500 } as const
    const one = device([spike])
    const shown = Array.from({ length: 7 }, (_, i) => one.sample(100 * i)!)
    expect(shown.map(({ faults }) => faults)).toEqual([[], [], [], [spike], [spike], [], []])
    expect(shown.map(({ values }) => values.get('pressure')! > 1_000)).toEqual([false, false, false, true, true, false, false])
  })

  it('takes a value near the one a breach names, never twice the same', () => {
    const values = readings(device([{ kind: 'breach', metric: 'pressure', value: 110, from: 0, to: 1_000 }]), 10)
    for (const value of values) expect(value).toBeCloseTo(110, 0)
    expect(new Set(values).size).toBe(10)
  })

  it('says nothing while it is silent, and has the noise it would have had anyway afterwards', () => {
    const silent = readings(device([{ kind: 'silence', from: 200, to: 400 }]), 6)
    expect(silent[2]).toBeUndefined()
    expect(silent.slice(4)).toEqual(readings(device(), 6).slice(4))
  })

  it('invents metrics in a crowd', () => {
    expect(device([{ kind: 'crowd', metrics: 3, from: 0, to: 100 }]).sample(0)!.values.size).toBe(4)
  })
})

describe('a generator forked for a name', () => {
  it('gives the same whatever its parent has drawn', () => {
    const parent = new Prng(1)
    const before = parent.fork('noise').fraction()
    parent.fraction()
    expect(parent.fork('noise').fraction()).toBe(before)
    expect(parent.fork('faults').fraction()).not.toBe(before)
  })
})
