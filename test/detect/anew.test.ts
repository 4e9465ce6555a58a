/** When the state can't be trusted: a recreated topic, damaged or missing pages. The task starts from the oldest reading kept. */
import { describe, expect, it } from 'vitest'
import { type Control } from '../../src/log/control.ts'
import { PAGE_KINDS } from '../../src/log/page.ts'
import { differences } from '../rows.ts'
import { classOf, configOf, metricOf, settingsOf, tickOf } from './fleet.ts'
import { ALWAYS, NEVER, Stage } from './stage.ts'

const SETTINGS = settingsOf({ classes: { default: classOf({ metrics: { x: metricOf({ above: 5 }) } }) } })

const of = (incarnation: string, control: Control): Control => ({ ...control, incarnation })

/** Three records read, one device with an open incident, and nobody at work. */
async function lived(): Promise<Stage> {
  const stage = new Stage({ faults: { survivors: (groups: number) => groups } })
  await stage.append(configOf(1, SETTINGS))
  const worker = await stage.work(ALWAYS)
  await stage.send('old', { x: 9 })
  await stage.append(tickOf('t'))
  await stage.clock.advance(10)
  await stage.end(worker)
  return stage
}

describe('a recreated topic', () => {
  it('that ends before the state’s place is started anew', async () => {
    const stage = await lived()
    stage.cluster.recreate('readings')
    const { detect, lines } = await stage.work(ALWAYS)
    expect(lines.lines).toEqual(['error state is unusable: starting anew from the oldest reading kept'])
    await stage.append(of('second', configOf(1, SETTINGS)))
    await stage.send('new', { x: 1 })
    await stage.clock.advance(200)
    expect(detect.list({ limit: 9, after: null }).map(({ id }) => id)).toEqual(['new'])
    expect(stage.header()).toMatchObject({ incarnation: 'second', next: { 'readings/0': 2 } })
    expect([...stage.rows().keys()].sort()).toEqual(['class/default', 'device/new', 'series/new\u0000x', 'task/task'])
  })

  it('that has grown past it is noticed by its incarnation, and started anew', async () => {
    const stage = await lived()
    stage.cluster.recreate('readings')
    await stage.append(of('second', configOf(1, SETTINGS)))
    for (let i = 0; i < 4; i++) await stage.send('new', { x: i })
    await stage.append(of('second', tickOf('t')))
    const { detect, lines } = await stage.work(ALWAYS)
    await stage.clock.advance(500)
    expect(lines.lines).toContain('warn the readings topic was recreated: starting anew')
    expect(detect.list({ limit: 9, after: null }).map(({ id }) => id)).toEqual(['new'])
    expect(stage.header()).toMatchObject({ incarnation: 'second', next: { 'readings/0': 6 } })
    expect(detect.get('new')!.metrics).toEqual({ x: 3 })
  })

  it('makes incidents under other ids', async () => {
    const stage = await lived()
    stage.cluster.recreate('readings')
    await stage.append(of('second', configOf(1, SETTINGS)))
    await stage.send('old', { x: 9 })
    await stage.work(ALWAYS)
    await stage.clock.advance(200)
    const opened = stage.incidents().flatMap((record) => (record.kind === 'revision' ? [[record.stamp.incarnation, record.incident.id]] : []))
    expect(opened.map(([incarnation]) => incarnation)).toEqual(['first', 'second'])
    expect(opened[0]![1]).not.toBe(opened[1]![1])
  })

  it('is not what a control record of a stranger makes of it', async () => {
    const stage = await lived()
    const { detect, counts } = await stage.work(ALWAYS)
    await stage.append(of('stranger', tickOf('u')), of('stranger', configOf(9, { ...SETTINGS, detectors: [] })))
    await stage.send('old', { x: 2 })
    await stage.clock.advance(50)
    expect(counts.of('picket_messages_dropped_total', { stage: 'detect', reason: 'incarnation' })).toBe(2)
    expect(detect.get('old')!.metrics).toEqual({ x: 2 })
    expect(stage.header()).toMatchObject({ incarnation: 'first', epoch: 2 })
  })
})

describe('pages that can not be used', () => {
  it.each<[string, string, Buffer | null]>([
    ['one that is damaged', 'device/0', Buffer.from('torn')],
    ['a missing page of devices', 'device/0', null],
    ['a missing page of the task', 'task/0', null],
  ])('%s: all rows are made anew, the same as before', async (_, key, value) => {
    const stage = await lived()
    const before = stage.rows()
    stage.cluster.load('state', 0, [{ key, value, time: stage.clock.now() }])
    const worker = await stage.work(ALWAYS)
    await stage.clock.advance(200)
    expect(worker.lines.lines).toEqual(['error state is unusable: starting anew from the oldest reading kept', 'info a configuration is in force'])
    expect(differences(stage.rows(), before)).toEqual([])
    expect(stage.header()).toMatchObject({ incarnation: 'first', next: { 'readings/0': 3 } })
  })

  it('leave none of their rows behind', async () => {
    const stage = await lived()
    expect(stage.keys('state').sort()).toEqual([...PAGE_KINDS.map((kind) => `${kind}/0`), 'header'].sort())
    stage.cluster.load('state', 0, [{ key: 'device/0', value: Buffer.from('torn'), time: stage.clock.now() }])
    stage.cluster.trim('readings', 0, 3)
    const worker = await stage.work(NEVER)
    await stage.clock.advance(200)
    expect(stage.keys('state')).toEqual(['header'])
    expect(stage.header()).toMatchObject({ incarnation: '', next: { 'readings/0': 3 } })
    expect(worker.detect.reasons()).toEqual(['no configuration in readings/0'])
  })

  it('lead to an `opened` past what the incidents hold, so that readers drop what is not open any more', async () => {
    const stage = await lived()
    stage.cluster.load('state', 0, [{ key: 'device/0', value: Buffer.from('torn'), time: stage.clock.now() }])
    await stage.work(ALWAYS)
    await stage.clock.advance(200)
    expect(stage.story()).toEqual(['1 opened 0', '1 old limit 1 open', '3 opened 0', '3 old limit 1 open', '3 opened 1'])
    expect(stage.incidents().at(-1)!.stamp).toMatchObject({ incarnation: 'first', position: { offset: 2, index: 4096 } })
  })
})
