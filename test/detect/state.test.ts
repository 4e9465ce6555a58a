/** What the config says about rows: which classes there are, and which devices are of them. */
import { expect, it } from 'vitest'
import { classOf, configOf, settingsOf } from './fleet.ts'
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
