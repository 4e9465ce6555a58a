/** A data folder of an earlier Picket: its rows are read by this one. */
import { expect, it } from 'vitest'
import { CLASS_DEFAULTS } from '../../src/core/settings.ts'
import { PartitionState } from '../../src/detect/partition.ts'
import { decodePage, encodePage } from '../../src/log/page.ts'
import { INCARNATION, settingsOf } from './fleet.ts'
import { Bench } from './partition.ts'

it('a state whose settings lack what was added since opens with the defaults', () => {
  const bench = new Bench(settingsOf())
  bench.send('p-1', { x: 1 })
  bench.partition.writeFacts()
  const pages = [...bench.partition.state!.pages()].map((page) => {
    const { rows, ...rest } = decodePage(encodePage(page))
    return { ...rest, rows: rows.map((row) => ({ ...row, about: rest.kind === 'task' ? earlier(row.about) : row.about })) }
  })
  const opened = new PartitionState({ incarnation: INCARNATION, partition: 0 }, () => {})
  opened.load(pages)
  expect(opened.device('p-1')?.metrics).toEqual({ x: 1 })
  expect(opened.facts.config?.settings).toMatchObject({ sites: {}, devices: {}, classes: { default: { timezone: CLASS_DEFAULTS.timezone } } })
})

/** As the settings stood before there were sites, devices and zones. */
function earlier(about: string): string {
  const facts = JSON.parse(about)
  delete facts.config.settings.sites
  delete facts.config.settings.devices
  for (const klass of Object.values<Record<string, unknown>>(facts.config.settings.classes)) delete klass['timezone']
  return JSON.stringify(facts)
}
