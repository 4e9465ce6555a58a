/** Incidents that a new config takes the watcher from: nothing would ever be calm for them again. */
import { describe, expect, it } from 'vitest'
import type { Settings } from '../../src/core/settings.ts'
import { classOf, configOf, metricOf, settingsOf } from './fleet.ts'
import { Bench } from './partition.ts'

const limited = (fields: Parameters<typeof metricOf>[0]) => ({ default: classOf({ metrics: { a: metricOf(fields) } }) })
const SETTINGS = settingsOf({ detectors: ['level', 'limits'], classes: limited({ above: 100 }) })

/** Two devices, one with an open incident of each cause; then the config in force is another. */
function changed(after: Partial<Settings>) {
  const bench = new Bench(SETTINGS)
  for (let i = 0; i < 400; i++) bench.send('d', { a: i % 5 })
  bench.send('d', { a: 900 })
  bench.send('other', { b: 1 })
  const before = bench.made.length
  bench.take(configOf(2, { ...SETTINGS, ...after }))
  return { bench, closed: bench.made.slice(before).map(({ incident }) => `${incident.device} ${incident.cause} ${incident.state} by ${incident.closedBy}`) }
}

describe('a config', () => {
  it.each<[string, Partial<Settings>, string[]]>([
    ['takes all detectors of telemetry away', { detectors: ['limits'] }, ['d telemetry closed by config']],
    ['takes the limits away', { detectors: ['level'] }, ['d limit closed by config']],
    ['takes a metric’s limit away', { classes: limited({ unit: 'bar' }) }, ['d limit closed by config']],
    ['moves a limit', { classes: limited({ below: -5 }) }, []],
    ['has another detector of telemetry', { detectors: ['season', 'limits'] }, []],
  ])('that %s closes what nobody watches any more', (_, after, expected) => {
    expect(changed(after).closed).toEqual(expected)
  })

  it('that moves a limit leaves its incident to calm', () => {
    const { bench } = changed({ classes: limited({ above: 2_000 }) })
    for (let i = 0; i < 15; i++) bench.send('d', { a: 900 })
    expect(bench.open('d', 'limit')).toBeUndefined()
  })
})
