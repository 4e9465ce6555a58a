/** What a failed commit, a flood of revisions and a recreated topic must not do to rows and readers. */
import { describe, expect, it } from 'vitest'
import type { Operation } from '../../src/log/memory.ts'
import { APPEND_MOST } from '../../src/log/log.ts'
import { IncidentReader } from '../../src/respond/incident-reader.ts'
import { classOf, configOf, frameOf, metricOf, settingsOf, tickOf } from './fleet.ts'
import { ALWAYS, Stage } from './stage.ts'

const LIMITED = settingsOf({
  classes: { default: classOf({ metrics: { x: metricOf({ above: 100 }) } }) },
  capacity: { devices: 2_000, series: 2_000, classes: 4, incidents: 2_000 },
})

describe('a checkpoint that failed', () => {
  /** Two pages of devices; the last of the second page changes in a checkpoint that takes 20 ms and then fails, while `then` happens. */
  async function lastValueAfter(then: (stage: Stage) => Promise<void>): Promise<unknown> {
    const stage = new Stage()
    let fails = false
    Object.assign(stage.faults, {
      latency: ({ kind, topic }: Operation) => (kind === 'commit' && fails ? 20 : kind === 'append' && topic === 'incidents' ? 60 : 0),
      fail: ({ kind, topic }: Operation) => {
        const hit = fails && kind === 'commit' && topic === 'state'
        if (hit) fails = false
        return hit ? 'IO' : undefined
      },
    })
    await stage.append(configOf(1, LIMITED))
    const worker = await stage.work({ everyMs: 30, bytes: 1e12 })
    for (let i = 0; i < 70; i++) await stage.send(`d${i}`, { x: 1 })
    await stage.clock.advance(200)
    await stage.send('d0', { x: 2 })
    await stage.clock.advance(200)
    fails = true
    await stage.send('d69', { x: 42 })
    await stage.clock.advance(5)
    await then(stage)
    await stage.clock.advance(200)
    for (const x of [3, 4]) {
      await stage.send('d0', { x })
      await stage.clock.advance(7_000)
    }
    return worker.detect.get('d69')?.metrics
  }

  it('is followed by none before the partition is taken over anew: not by a config', async () => {
    expect(await lastValueAfter((stage) => stage.append(configOf(2, { ...LIMITED, toleranceMs: 12_345 })))).toEqual({ x: 42 })
  })

  it('nor by the one that falls due behind an incident', async () => {
    expect(await lastValueAfter((stage) => stage.send('d0', { x: 500 }))).toEqual({ x: 42 })
  })
})

it('a slice that makes more revisions than an append takes is appended in parts, in order', async () => {
  const stage = new Stage()
  await stage.append(configOf(1, LIMITED))
  const arrival = stage.clock.now()
  const devices = Array.from({ length: APPEND_MOST + 10 }, (_, i) => ({ device: `d${i}`, metrics: { x: 500 }, arrival }))
  await stage.append(frameOf(devices))
  const worker = await stage.work(ALWAYS)
  await stage.clock.advance(50)
  expect(worker.failure).toBeUndefined()
  expect(stage.incidents().flatMap((record) => (record.kind === 'revision' ? record.incident.device : []))).toEqual(devices.map(({ device }) => device))
})

it('what was open in a topic that was recreated closes as soon as the new one has its config', async () => {
  const stage = new Stage()
  await stage.append(configOf(1, LIMITED))
  const first = await stage.work(ALWAYS)
  for (let i = 0; i < 50; i++) await stage.send('calm', { x: i % 3 })
  await stage.send('old', { x: 500 })
  await stage.clock.advance(10)
  await stage.end(first)

  stage.cluster.recreate('readings')
  await stage.append({ ...configOf(1, LIMITED), incarnation: 'second' })
  await stage.work(ALWAYS)
  await stage.clock.advance(500)
  await stage.append({ ...tickOf('t'), incarnation: 'second' })
  await stage.clock.advance(1_000)

  const reader = new IncidentReader({ mostOpen: 10, remark: () => {} })
  for (const record of stage.incidents()) reader.apply(0, record, 0)
  expect(reader.openCount).toBe(0)
})
