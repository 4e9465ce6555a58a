/** The task on the log: takeover in the design's order, what is committed when, and what it does about trouble. */
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/core/errors.ts'
import { classOf, configOf, frameOf, metricOf, settingsOf, START, tickOf } from './fleet.ts'
import { ALWAYS, NEVER, Stage } from './stage.ts'

const SETTINGS = settingsOf({ classes: { default: classOf({ metrics: { x: metricOf({ above: 5 }) } }) } })
const FLUSHED = { faults: { survivors: (groups: number) => groups } }

async function configured(options: ConstructorParameters<typeof Stage>[0] = {}): Promise<Stage> {
  const stage = new Stage(options)
  await stage.append(configOf(1, SETTINGS))
  return stage
}

describe('a partition without a config', () => {
  it('waits for it and says so; what came before is counted and not scored', async () => {
    const stage = new Stage()
    await stage.send('early', { x: 1 })
    const { detect, counts } = await stage.work()
    expect(detect.reasons()).toEqual(['no configuration in readings/0'])
    await stage.append(configOf(1, SETTINGS))
    await stage.send('d', { x: 1 })
    await stage.clock.advance(10)
    expect(detect.reasons()).toEqual([])
    expect(counts.of('picket_messages_dropped_total', { stage: 'detect', reason: 'config' })).toBe(1)
    expect(detect.list({ limit: 10, after: null }).map(({ id }) => id)).toEqual(['d'])
  })

  it('takes its incarnation from the first one', async () => {
    const stage = await configured()
    await stage.work()
    await stage.append(tickOf('t'))
    await stage.clock.advance(10)
    expect(stage.header().incarnation).toBe('first')
  })
})

describe('a takeover', () => {
  it('says what is open before anything is processed, and again once past what the incidents hold', async () => {
    const stage = await configured(FLUSHED)
    await stage.end(await stage.work(ALWAYS))
    const first = await stage.work(NEVER)
    await stage.send('d', { x: 9 })
    await stage.clock.advance(10)
    await stage.crash(first)
    await stage.work(ALWAYS)
    expect(stage.story()).toEqual(['1 opened 0', '2 opened 0', '2 d limit 1 open', '3 opened 0', '3 d limit 1 open', '3 opened 1'])
    const [, , before, said, again, saidAgain] = stage.incidents()
    expect(again).toEqual({ ...before, stamp: { ...before!.stamp, epoch: 3 } })
    expect(said!.stamp.position).toEqual({ offset: 0, index: 4096 })
    expect(saidAgain!.stamp.position).toEqual({ offset: 1, index: 4096 })
  })

  it('that finds nothing beyond its state says it once', async () => {
    const stage = await configured()
    const first = await stage.work(ALWAYS)
    await stage.send('d', { x: 9 })
    await stage.clock.advance(10)
    await stage.crash(first)
    await stage.work(ALWAYS)
    await stage.send('d', { x: 9 })
    await stage.clock.advance(10)
    expect(stage.story()).toEqual(['1 opened 0', '1 d limit 1 open', '2 opened 1'])
  })

  it('goes on from the last cut', async () => {
    const stage = await configured()
    const first = await stage.work(ALWAYS)
    await stage.send('d', { x: 1 })
    await stage.clock.advance(10)
    await stage.crash(first)
    const second = await stage.work(ALWAYS)
    expect(second.detect.places()).toEqual([{ partition: 0, next: 2 }])
    expect(second.detect.get('d')!.metrics).toEqual({ x: 1 })
  })
})

describe('a checkpoint', () => {
  it('is made when it is due by time, and only if there is something new', async () => {
    const stage = await configured()
    await stage.work({ everyMs: 100, bytes: 1e12 })
    await stage.send('d', { x: 1 })
    await stage.clock.advance(50)
    expect(stage.header().next['readings/0']).toBe(0)
    await stage.clock.advance(100)
    await stage.send('d', { x: 1 })
    await stage.clock.advance(10)
    expect(stage.header().next['readings/0']).toBe(3)
    const commits = stage.cluster.bounds('state', 0).high
    await stage.clock.advance(1_000)
    expect(stage.cluster.bounds('state', 0).high).toBe(commits)
  })

  it('is made when enough bytes have changed', async () => {
    const stage = await configured()
    await stage.work({ everyMs: 1e12, bytes: 1_000 })
    await stage.send('d', { x: 1 })
    await stage.clock.advance(10)
    expect(stage.header().next['readings/0']).toBe(2)
  })

  it('waits until the incidents up to its cut are durable', async () => {
    const stage = await configured()
    const { log } = await stage.work(ALWAYS)
    const release = log.stall()
    await stage.send('d', { x: 9 })
    await stage.clock.advance(100)
    const high = stage.cluster.bounds('state', 0).high
    expect(stage.story()).toEqual(['1 opened 0', '1 d limit 1 open'])
    release()
    await stage.clock.advance(10)
    expect(stage.cluster.bounds('state', 0).high).toBeGreaterThan(high)
    expect(stage.header().next).toMatchObject({ 'readings/0': 2, 'incidents/0': 2 })
  })

  it('stands at a newer config before its rows change shape', async () => {
    const stage = await configured()
    const worker = await stage.work(NEVER)
    await stage.send('d', { x: 1 })
    await stage.append(configOf(2, { ...SETTINGS, detectors: ['silence', 'level', 'limits'] }))
    await stage.send('d', { x: 2 })
    await stage.clock.advance(10)
    expect(stage.header().next['readings/0']).toBe(2)
    expect(stage.rows().get('series/d\u0000x')).toContain('last@1 series-gate@1 level@1 limits@1')
    expect(worker.detect.places()).toEqual([{ partition: 0, next: 4 }])
    await stage.end(worker)
    expect(stage.rows().get('device/d')).toMatch(/rule@2 silence@1/)
  })

  it('holds no numbers of a detector that has left, should it come back', async () => {
    const without = { ...SETTINGS, detectors: ['limits'] }
    const stage = await configured()
    const first = await stage.work(ALWAYS)
    for (let i = 0; i < 20; i++) await stage.send('d', { x: i % 3 })
    await stage.append(configOf(2, without))
    await stage.clock.advance(10)
    await stage.end(first)
    expect(stage.rows().get('series/d\u0000x')).not.toContain('level')
    await stage.append(configOf(3, SETTINGS))
    const second = await stage.work(ALWAYS)
    await stage.clock.advance(10)
    await stage.end(second)
    expect(stage.rows().get('series/d\u0000x')).toMatch(/level@1 limits@1 \| [0-9a-f]{32}0{16}[0-9a-f]{48}0{168}$/)
  })

  it('is not made for a config that is no newer', async () => {
    const stage = await configured()
    await stage.work(NEVER)
    await stage.append(configOf(1, SETTINGS, 'repeated hourly'))
    await stage.clock.advance(10)
    expect(stage.header().next['readings/0']).toBe(0)
  })

  it('is made at a clean stop', async () => {
    const stage = await configured()
    const worker = await stage.work(NEVER)
    await stage.send('d', { x: 1 })
    await stage.clock.advance(10)
    await stage.end(worker)
    expect(stage.header().next['readings/0']).toBe(2)
    expect(stage.rows().has('device/d')).toBe(true)
  })

  it('deletes the pages that have no rows left', async () => {
    const stage = new Stage()
    await stage.append(configOf(1, { ...SETTINGS, expireMs: 1_000 }))
    await stage.work(ALWAYS)
    await stage.send('d', { x: 1 })
    await stage.clock.advance(10)
    expect(stage.keys('state')).toEqual(expect.arrayContaining(['device/0', 'series/0']))
    for (let i = 0; i < 20; i++) {
      await stage.clock.advance(1_000)
      await stage.append(tickOf(`t${i}`))
    }
    await stage.clock.advance(10)
    expect(stage.keys('state').sort()).toEqual(['class/0', 'header', 'task/0'])
  })
})

describe('an owner that lost its partition', () => {
  it('stops with the commit that tells it, before its next append', async () => {
    const stage = await configured()
    await stage.work(ALWAYS)
    const other = await stage.work(ALWAYS)
    stage.cluster.assign(0, other.log, { notice: false })
    await stage.clock.advance(10)
    for (const device of ['a', 'b', 'c']) {
      await stage.send(device, { x: 9 })
      await stage.clock.advance(10)
    }
    const revisions = (epoch: number) => stage.story().filter((line) => line.startsWith(`${epoch} `) && line.includes('limit'))
    expect(revisions(1)).toEqual(['1 a limit 1 open'])
    expect(revisions(2)).toEqual(['2 a limit 1 open', '2 b limit 1 open', '2 c limit 1 open'])
    expect(stage.header().epoch).toBe(2)
  })

  it('lets go quietly when it is stopped', async () => {
    const stage = await configured()
    const old = await stage.work(NEVER)
    const other = await stage.work(ALWAYS)
    stage.cluster.assign(0, other.log, { notice: false })
    await stage.clock.advance(10)
    await stage.end(old)
    expect(old.failure).toBeUndefined()
    expect(stage.header().epoch).toBe(2)
  })

  it('that was told to go commits what it has first', async () => {
    const stage = await configured()
    await stage.work(NEVER)
    await stage.send('d', { x: 1 })
    const other = await stage.work(NEVER)
    stage.cluster.assign(0, other.log)
    await stage.clock.advance(20)
    expect(other.detect.places()).toEqual([{ partition: 0, next: 2 }])
    expect(stage.header()).toMatchObject({ epoch: 2, next: { 'readings/0': 2 } })
  })
})

describe('passing trouble', () => {
  it('with a commit is a takeover anew that comes to the same', async () => {
    const stage = await configured()
    let failures = 1
    Object.assign(stage.faults, { fail: ({ kind }: { kind: string }) => (kind === 'commit' && failures-- === 0 ? 'IO' : undefined) })
    const worker = await stage.work(ALWAYS)
    await stage.send('d', { x: 9 })
    await stage.clock.advance(10)
    await stage.send('d', { x: 8 })
    await stage.clock.advance(500)
    expect(worker.failure).toBeUndefined()
    expect(stage.header()).toMatchObject({ epoch: 2, next: { 'readings/0': 3 } })
    expect(worker.detect.get('d')!.metrics).toEqual({ x: 8 })
  })

  it('that is none ends the role', async () => {
    const stage = new Stage()
    await stage.append(configOf(1, { ...SETTINGS, detectors: ['level', 'astrology'] }))
    const worker = await stage.work()
    expect(worker.failure).toBeInstanceOf(PipelineError)
    expect(worker.failure).toMatchObject({ code: 'BAD_CONFIG', message: expect.stringContaining('astrology is not known here; known are level, ') })
  })
})

describe('a record that can not be read', () => {
  it('is counted and skipped', async () => {
    const stage = await configured()
    const { detect, counts, lines } = await stage.work()
    const broken = frameOf([{ device: 'd', metrics: { x: 1 }, arrival: START }])
    await stage.append(Buffer.from('neither frame nor control'), { ...broken, start: Int32Array.of(7) })
    await stage.send('d', { x: 2 })
    await stage.clock.advance(10)
    expect(counts.of('picket_errors_total', { stage: 'detect' })).toBe(2)
    expect(lines.lines.filter((line) => line.startsWith('error'))).toEqual(Array.from({ length: 2 }, () => 'error a record of the readings can not be read: skipped'))
    expect(detect.get('d')!.metrics).toEqual({ x: 2 })
  })
})

describe('records that retention took', () => {
  it('are an incident of ours until the next tick', async () => {
    const stage = await configured()
    const first = await stage.work(ALWAYS)
    await stage.clock.advance(10)
    await stage.end(first)
    for (let i = 0; i < 5; i++) await stage.send('d', { x: i })
    stage.cluster.trim('readings', 0, 4)
    await stage.work(ALWAYS)
    const lost = stage.incidents().at(-1)!
    expect(lost).toMatchObject({
      stamp: { position: { offset: 4, index: 0 }, n: 0 },
      incident: { cause: 'loss', severity: 'major', device: 'picket/readings-0', state: 'open', summary: '3 records of readings/0 lost to retention before they were scored' },
    })
    await stage.append(tickOf('t'))
    await stage.clock.advance(10)
    expect(stage.incidents().at(-1)).toMatchObject({ incident: { cause: 'loss', state: 'closed', revision: 2 } })
  })
})
