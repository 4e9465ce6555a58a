/** The detect role as the rest of the process asks it: devices by name, places, readiness, gauges. */
import { describe, expect, it } from 'vitest'
import { classOf, configOf, controlOf, metricOf, settingsOf, START, tickOf } from './fleet.ts'
import { ALWAYS, Stage } from './stage.ts'

const SETTINGS = settingsOf({ classes: { default: classOf({ warmup: 20, metrics: { x: metricOf({ above: 5 }) } }) } })

async function configured() {
  const stage = new Stage()
  await stage.append(configOf(1, SETTINGS))
  return { stage, worker: await stage.work(ALWAYS) }
}

describe('the devices', () => {
  it('come by name in code unit order, a page at a time', async () => {
    const { stage, worker } = await configured()
    for (const device of ['b', 'a', 'C', 'ä', 'aa']) await stage.send(device, { x: 1 })
    await stage.clock.advance(10)
    const ids = (limit: number, after: string | null) => worker.detect.list({ limit, after }).map(({ id }) => id)
    expect(ids(10, null)).toEqual(['C', 'a', 'aa', 'b', 'ä'])
    expect(ids(2, null)).toEqual(['C', 'a'])
    expect(ids(2, 'a')).toEqual(['aa', 'b'])
    expect(ids(2, 'ä')).toEqual([])
  })

  it('show what they last said, of every kind', async () => {
    const { stage, worker } = await configured()
    await stage.send('d', { number: 1.5, yes: true, no: false, word: 'idle', nothing: null }, { labels: { site: 'north' }, time: START - 5 })
    await stage.clock.advance(10)
    expect(worker.detect.get('d')).toEqual({
      id: 'd', class: 'default', labels: { site: 'north' }, state: 'learning', learning: 0, lastSeen: START - 5,
      metrics: { number: 1.5, yes: true, no: false, word: 'idle', nothing: null },
    })
    expect(worker.detect.get('nobody')).toBeNull()
  })

  it('are learning until a metric has warmed up, then normal, odd while an incident is open, quarantined while that lasts', async () => {
    const { stage, worker } = await configured()
    const state = async () => {
      await stage.clock.advance(10)
      return worker.detect.get('d')!.state
    }
    for (let i = 0; i < 21; i++) await stage.send('d', { x: i % 3 })
    expect(await state()).toBe('learning')
    // The metric has half of its readings, silence all of its gaps.
    expect(worker.detect.get('d')!.learning).toBe(0.75)
    for (let i = 0; i < 20; i++) await stage.send('d', { x: i % 3 })
    expect(await state()).toBe('normal')
    expect(worker.detect.get('d')!.learning).toBe(1)
    await stage.send('d', { x: 6 })
    expect(await state()).toBe('odd')
    await stage.append(controlOf('q', { kind: 'quarantine', device: 'd', generation: 1, until: START + 60_000 }))
    expect(await state()).toBe('quarantined')
  })
})

describe('readiness', () => {
  it('names each partition that is not owned, and each without a config', async () => {
    const stage = new Stage({ partitions: 2 })
    const worker = await stage.work()
    expect(worker.detect.reasons()).toEqual(['no configuration in readings/0', 'no configuration in readings/1'])
    const idle = await stage.work()
    expect(idle.detect.reasons()).toEqual(['readings/0 is not owned yet', 'readings/1 is not owned yet'])
    expect([worker.detect.missing(), idle.detect.missing()]).toEqual([[], ['readings/0 is not owned yet', 'readings/1 is not owned yet']])
  })

  it('says what the takeover of a partition failed by, until it is taken over', async () => {
    const stage = new Stage()
    stage.faults.fail = ({ kind }) => (kind === 'commit' ? 'DISK_FULL' : undefined)
    const worker = await stage.work()
    const { detect } = worker
    expect(detect.missing()).toEqual([expect.stringMatching(/^readings\/0 is not owned yet: .+/)])
    delete stage.faults.fail
    await stage.clock.advance(10_000)
    expect(detect.missing()).toEqual([])
    await stage.end(worker)
    expect(detect.missing()).toEqual(['readings/0 is not owned yet'])
  })
})

describe('the gauges', () => {
  it('say how far behind a partition is and what it holds', async () => {
    const { stage, worker } = await configured()
    await stage.send('d', { x: 1, y: 2 })
    await stage.append(tickOf('t'))
    await stage.clock.advance(10)
    await worker.detect.measure()
    expect(worker.counts.of('picket_lag_records', { partition: '0' })).toBe(0)
    expect(worker.counts.of('picket_series', { partition: '0' })).toBe(2)
    expect(worker.counts.of('picket_devices', { partition: '0' })).toBe(1)
    expect(worker.counts.of('picket_state_bytes', { partition: '0' })).toBeGreaterThan(1_000)
  })

  it('say which partitions are its own', async () => {
    const { stage, worker } = await configured()
    await worker.detect.measure()
    expect(worker.counts.of('picket_partition_owned', { partition: '0' })).toBe(1)
    await stage.end(worker)
    await worker.detect.measure()
    expect(worker.counts.of('picket_partition_owned', { partition: '0' })).toBe(0)
  })
})

describe('the counters', () => {
  it('count incidents as they open, once', async () => {
    const { stage, worker } = await configured()
    for (let i = 0; i < 20; i++) await stage.send('d', { x: i === 0 ? 9 : 1 })
    await stage.clock.advance(10)
    expect(worker.counts.of('picket_incidents_total', { class: 'default', cause: 'limit', severity: 'major' })).toBe(1)
  })

  it('count the messages that were scored and the revisions that were sent', async () => {
    const { stage, worker } = await configured()
    await stage.send('d', { x: 1 }, { time: START, payload: 7 })
    await stage.send('d', { x: 1 }, { time: START, payload: 7 })
    await stage.send('d', { x: 1e9 }, { time: START })
    await stage.clock.advance(10)
    const revisions = stage.incidents().filter(({ kind }) => kind === 'revision').length
    expect(worker.counts.of('picket_messages_scored_total')).toBe(2)
    expect(worker.counts.of('picket_messages_sent_total', { stage: 'detect' })).toBe(revisions)
  })

  it('count what was left out, each with its reason', async () => {
    const { stage, worker } = await configured()
    await stage.send('d', { x: 1 }, { time: START, payload: 7 })
    await stage.send('d', { x: 1 }, { time: START, payload: 7 })
    await stage.send('d', { x: 1 }, { time: START - 1 })
    await stage.send('d', { x: 1 }, { time: 0 })
    await stage.clock.advance(10)
    const dropped = (reason: string) => worker.counts.of('picket_messages_dropped_total', { stage: 'detect', reason })
    expect([dropped('duplicate'), dropped('late'), worker.counts.of('picket_clock_skew_total')]).toEqual([1, 1, 1])
  })
})
