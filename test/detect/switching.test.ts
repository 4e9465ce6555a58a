/** A partition goes over from one config to the next: what is said of it, and that a crash anywhere on the way comes to the same. */
import { describe, expect, it } from 'vitest'
import type { Settings } from '../../src/core/settings.ts'
import type { IncidentRecord } from '../../src/log/revision.ts'
import { IncidentReader } from '../../src/respond/incident-reader.ts'
import { differences } from '../rows.ts'
import { classOf, configOf, frameOf, metricOf, settingsOf, START, tickOf } from './fleet.ts'
import { type Entry, type Outcome, run } from './runner.ts'
import { ALWAYS, NEVER, Stage } from './stage.ts'

const pump = (above: number | null) => classOf({ metrics: { x: metricOf({ above }) } })
const FIRST = settingsOf({ classes: { default: classOf(), pump: pump(5), fan: pump(5) }, detectors: ['level', 'limits'] })
/** Other detectors, a class that left, layers of a site and of a device. */
const SECOND: Settings = {
  ...FIRST,
  detectors: ['stuck', 'limits', 'silence', 'level', 'drift'],
  classes: { default: classOf(), pump: pump(50) },
  sites: { north: { metrics: { x: { above: 20 } } } },
  devices: { p3: { metrics: { x: { above: null } } } },
}
const THIRD: Settings = { ...SECOND, detectors: ['season', 'limits'], classes: { ...FIRST.classes, default: classOf({ warmup: 10 }) }, sites: {} }

const said = ({ stamp, ...record }: IncidentRecord) =>
  record.kind === 'opened' ? `${stamp.epoch} at ${stamp.position.offset} under ${record.config?.version} of ${record.config?.offset}: ${record.ids.length} open` : ''

describe('what is in force', () => {
  it('is said with the first config, and at each newer one, together with what is open behind it', async () => {
    const stage = new Stage()
    await stage.append(configOf(1, FIRST))
    await stage.work(NEVER)
    await stage.send('p1', { x: 9 }, { labels: { class: 'pump' } })
    await stage.send('p2', { x: 9 }, { labels: { class: 'pump' } })
    await stage.append(configOf(2, { ...SECOND, devices: { p1: { metrics: { x: { above: null } } } } }))
    await stage.send('p2', { x: 8 }, { labels: { class: 'pump' } })
    await stage.clock.advance(10)
    // The limit of p1 is gone, and with it its incident, before the record that lists what is left.
    expect(stage.story()).toEqual(['1 opened 0', '1 p1 limit 1 open', '1 p2 limit 1 open', '1 p1 limit 2 closed', '1 opened 1'])
    expect(stage.incidents().map(said).filter(Boolean)).toEqual(['1 at 0 under 1 of 0: 0 open', '1 at 3 under 2 of 3: 1 open'])
    expect(stage.incidents().at(-1)).toMatchObject({ stamp: { incarnation: 'first', position: { offset: 3, index: 4096 } }, config: { hash: 'hash-2' } })
  })

  it('is not said again for a repeat', async () => {
    const stage = new Stage()
    await stage.append(configOf(1, FIRST), configOf(1, FIRST, 'hourly'))
    await stage.work(ALWAYS)
    expect(stage.incidents()).toHaveLength(1)
  })

  it('is said by each owner at its takeover', async () => {
    const stage = new Stage({ faults: { survivors: (groups) => groups } })
    await stage.append(configOf(1, FIRST), tickOf('t'), configOf(4, SECOND))
    await stage.crash(await stage.work(ALWAYS))
    await stage.work(ALWAYS)
    expect(stage.incidents().map(said)).toEqual(['1 at 0 under 1 of 0: 0 open', '1 at 2 under 4 of 2: 0 open', '2 at 2 under 4 of 2: 0 open'])
  })

  it('stands in every revision', async () => {
    const stage = new Stage()
    await stage.append(configOf(1, FIRST))
    await stage.work(NEVER)
    await stage.send('p1', { x: 9 }, { labels: { class: 'pump' } })
    await stage.append(configOf(2, { ...SECOND, detectors: ['level'] }))
    await stage.clock.advance(10)
    const configs = stage.incidents().flatMap((record) => (record.kind === 'revision' ? record.incident.config : []))
    expect(configs).toEqual([{ version: 1, hash: 'hash-1' }, { version: 2, hash: 'hash-2' }])
  })

  it('is on the gauges, and what no partition obeys any more is 0', async () => {
    const stage = new Stage()
    await stage.append(configOf(1, FIRST))
    const worker = await stage.work(ALWAYS)
    await worker.detect.measure()
    expect(worker.counts.of('picket_config_version', { partition: '0' })).toBe(1)
    expect(worker.counts.of('picket_config_info', { hash: 'hash-1' })).toBe(1)
    await stage.append(configOf(5, SECOND))
    await stage.clock.advance(10)
    await worker.detect.measure()
    expect(worker.counts.of('picket_config_version', { partition: '0' })).toBe(5)
    expect(['hash-1', 'hash-5'].map((hash) => worker.counts.of('picket_config_info', { hash }))).toEqual([0, 1])
    await stage.end(worker)
    await worker.detect.measure()
    expect(worker.counts.of('picket_config_version', { partition: '0' })).toBe(0)
    expect(worker.counts.of('picket_config_info', { hash: 'hash-5' })).toBe(0)
  })
})

/** Two versions behind each other, so that one slice holds both, amid readings that break the limits of some layers and not of others. */
function life(): Entry[] {
  const entries: Entry['value'][] = [configOf(1, FIRST)]
  const send = (value: number, further: string[][] = [['n1', 'pump', 'north'], ['s1', 'pump', 'south']]) => {
    const sent = [['p1', 'pump', 'south'], ['p2', 'pump', 'north'], ['p3', 'pump', 'north'], ['f1', 'fan', 'north'], ['d1', '', 'south'], ...further].map(
      ([device, klass, site], i) => ({ device: device!, metrics: { x: value + i / 8, y: entries.length % 3 }, arrival: START + entries.length, payload: entries.length, labels: { ...(klass ? { class: klass } : {}), site: site! } }),
    )
    entries.push(frameOf(sent), tickOf(`t${entries.length}`))
  }
  for (const value of [1, 2, 1, 9, 9, 3]) send(value, [])
  entries.push(configOf(2, SECOND))
  for (const value of [3, 30, 2]) send(value)
  entries.push(configOf(3, THIRD), configOf(4, SECOND))
  for (const value of [1, 60, 2]) send(value)
  return entries.map((value, i) => ({ time: START + i, value }))
}

/** Ids that a reader with a mark holds open, or had to close as superseded. */
function read({ records }: Outcome): { open: string[]; superseded: string[] } {
  const reader = new IncidentReader({ mostOpen: 100, remark: () => undefined })
  const changes = records.flatMap((record) => reader.apply(0, record, START))
  const superseded = changes.filter(({ incident }) => incident.closedBy === 'superseded').map(({ incident }) => incident.id)
  return { open: [...reader.open()].map(({ incident }) => incident.id).sort(), superseded }
}

describe('a change of config', () => {
  const whole = run(life(), { pace: NEVER })

  it('moves limits, classes and detectors', async () => {
    const { rows, revisions } = await whole
    expect(rows.get('series/p1\u0000x')).toMatch(/stuck@\d+ limits@\d+ level@\d+ drift@/)
    expect(rows.get('device/f1')).toContain('"class":"default"')
    const told = revisions.map(({ incident }) => `${incident.device} ${incident.cause} ${incident.state} ${incident.config?.version}`)
    // n1 and s1 come with the second config: 30 is beyond the site's limit, and below that of the class.
    expect(told).toEqual(['p1 limit open 1', 'p2 limit open 1', 'p3 limit open 1', 'f1 limit open 1', 'p3 limit closed 2', 'n1 limit open 2', 's1 limit open 4'])
  })

  it('comes to the same however its records are cut into slices', async () => {
    for (const slices of [() => 1, () => 2, () => 7]) {
      const cut = await run(life(), { pace: ALWAYS, slices })
      expect(differences(cut.rows, (await whole).rows)).toEqual([])
      expect(cut.revisions).toEqual((await whole).revisions)
    }
  })

  it.each([['nothing', 0], ['all', Infinity]])('comes to the same with a crash at any operation on the log that leaves %s of what was not flushed', async (_, left) => {
    const one = await whole
    const final = one.records.findLast(({ kind }) => kind === 'opened')
    for (let at = 0; at < one.operations; at++) {
      const faults = { survivors: (groups: number) => Math.min(groups, left) }
      const crashed = await run(life(), { pace: ALWAYS, faults, crashAt: (operation) => operation === at })
      expect(differences(crashed.rows, one.rows), `crash at ${at}`).toEqual([])
      expect(crashed.revisions).toEqual(one.revisions)
      expect(read(crashed)).toEqual(read(one))
      expect(crashed.records.findLast(({ kind }) => kind === 'opened')).toMatchObject({ config: { version: 4, hash: 'hash-4', offset: final?.kind === 'opened' ? final.config?.offset : -1 } })
    }
  })

  it('that was committed up to and not begun is met again', async () => {
    const stage = new Stage()
    stage.faults.survivors = (groups) => groups
    await stage.append(configOf(1, FIRST))
    const first = await stage.work(NEVER)
    await stage.send('p1', { x: 9 }, { labels: { class: 'pump' } })
    await stage.clock.advance(10)
    // The next append is that which says the new config: it comes right after the commit.
    stage.faults.fail = ({ kind, topic }) => {
      if (kind === 'append' && topic === 'incidents') first.log.crash()
      return undefined
    }
    await stage.append(configOf(2, SECOND))
    await stage.clock.advance(10)
    expect(stage.header().next['readings/0']).toBe(2)
    expect(stage.rows().get('series/p1\u0000x')).toContain('level@1 limits@1')
    const second = await stage.work(ALWAYS)
    await stage.clock.advance(100)
    expect(second.detect.places()).toEqual([{ partition: 0, next: 3 }])
    expect(stage.incidents().map(said).filter(Boolean)).toEqual(['1 at 0 under 1 of 0: 0 open', '2 at 1 under 1 of 0: 1 open', '2 at 2 under 2 of 2: 1 open'])
  })
})
