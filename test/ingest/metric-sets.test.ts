/** The metrics a device may bring: how many, and for how long one that it no longer sends keeps its place. */
import { describe, expect, it } from 'vitest'
import type { Field } from '../../src/core/message.ts'
import { MetricSets } from '../../src/ingest/metric-sets.ts'

const EXPIRE = 16_000

function admitting(bounds: { metricsPerDevice: number; knownDevices?: number }) {
  const sets = new MetricSets({ knownDevices: 10, ...bounds }, EXPIRE)
  const field = (metric: string): Field => ({ metric, kind: 0, value: 1, text: '' })
  return (device: string, metrics: string, now: number) => sets.admit(device, [...metrics].map(field), now).map(({ metric }) => metric).join('')
}

describe('a device', () => {
  it('keeps the metrics it brought first', () => {
    const admit = admitting({ metricsPerDevice: 2 })
    expect([admit('d', 'a', 0), admit('d', 'cba', 1), admit('e', 'c', 2)]).toEqual(['a', 'ca', 'c'])
  })

  it('may bring others in the place of those unseen for too long', () => {
    const admit = admitting({ metricsPerDevice: 2 })
    admit('d', 'ab', 0)
    admit('d', 'a', 10_000)
    expect([admit('d', 'c', 15_000), admit('d', 'c', 17_000), admit('d', 'b', 17_100), admit('d', 'ac', 17_200)]).toEqual(['', 'c', '', 'ac'])
  })

  it('that invents metrics does not have all of them looked through each time', () => {
    const admit = admitting({ metricsPerDevice: 1 })
    admit('d', 'a', 0)
    expect([admit('d', 'b', 15_900), admit('d', 'b', 16_500), admit('d', 'b', 16_900)]).toEqual(['', '', 'b'])
  })

  it('is not shut out by a clock that was set back', () => {
    const admit = admitting({ metricsPerDevice: 1 })
    admit('d', 'a', 1_000_000)
    expect([admit('d', 'a', 0), admit('d', 'b', 17_000)]).toEqual(['a', 'b'])
  })

  it('that was not seen for longest is forgotten where there are too many', () => {
    const admit = admitting({ metricsPerDevice: 1, knownDevices: 2 })
    for (const device of ['x', 'y', 'x', 'z']) admit(device, 'a', 0)
    expect([admit('x', 'b', 1), admit('y', 'b', 1)]).toEqual(['', 'b'])
  })
})
