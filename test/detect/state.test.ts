/** What the config says about rows: which classes there are, and which devices are of them. */
import { expect, it } from 'vitest'
import { classOf, configOf, metricOf, settingsOf } from './fleet.ts'
import { Bench } from './partition.ts'

it('frees the row of a class that the config no longer names, and its devices are of the default class', () => {
  const bench = new Bench(settingsOf({ classes: { default: classOf(), pump: classOf() } }))
  bench.send('d', { x: 1 }, { labels: { class: 'pump' } })
  expect(bench.view('d')?.class).toBe('pump')

  bench.take(configOf(2, settingsOf()))

  expect(bench.view('d')?.class).toBe('default')
  expect(bench.partition.state!.tables.class.row('pump')).toBeUndefined()
})

it('frees a metric its device has not reported for the time of expiry, and no other', () => {
  const bench = new Bench(settingsOf({ expireMs: 100_000 }))
  bench.send('d', { old: 1, kept: 1 })
  bench.tick(101)
  bench.send('d', { kept: 2 })
  bench.tick(16)
  expect([...bench.partition.state!.metrics(0).keys()]).toEqual(['kept'])
})

it('knows no class of a name that objects bring along', () => {
  const bench = new Bench(settingsOf())
  bench.send('d', { x: 1 }, { labels: { class: 'constructor' } })
  expect(bench.view('d')?.class).toBe('default')
})

it('takes limits from site and device over the class, and follows a device that moves', () => {
  const sites = { north: { metrics: { x: { above: 20 } } }, south: { metrics: { x: { above: 30 } } } }
  const devices = { own: { metrics: { x: { above: 40 } } } }
  const bench = new Bench(settingsOf({ classes: { default: classOf({ metrics: { x: metricOf({ above: 10 }) } }) }, sites, devices }))
  bench.send('plain', { x: 1 })
  bench.send('northern', { x: 1 }, { labels: { site: 'north' } })
  bench.send('own', { x: 1 }, { labels: { site: 'north' } })
  expect(['plain', 'northern', 'own'].map((name) => limitOf(bench, name))).toEqual([10, 20, 40])

  bench.send('northern', { x: 1 }, { labels: { site: 'south' } })

  expect(limitOf(bench, 'northern')).toBe(30)
})

it('keeps one copy of the settings of devices that share class and site', () => {
  const bench = new Bench(settingsOf({ sites: { north: { warmup: 50 } } }))
  for (const name of ['a', 'b']) bench.send(name, { x: 1 }, { labels: { site: 'north' } })
  const { state } = bench.partition
  expect(state!.settingsOf(1)).toBe(state!.settingsOf(0))
  expect(state!.settingsOf(0).warmup).toBe(50)
})

function limitOf(bench: Bench, device: string): number {
  const state = bench.partition.state!
  return state.above[state.series(state.tables.device.row(device)!, 'x')!]!
}
