/** Which config is in force in the partitions, and how a changed one gets there. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { MemoryLog } from '../../src/log/memory.ts'
import { incident, keepingLogger, opened, START } from './fleet.ts'
import { PARTITIONS, Stage } from './stage.ts'

const HOUR = 3_600_000
let stage: Stage

beforeEach(() => {
  stage = new Stage()
})

/** Versions and hashes written to a partition after the first. */
function written(partition: number): string[] {
  return stage.controls(partition).slice(1).map(({ body }) => (body.kind === 'config' ? `${body.version} ${body.hash}` : body.kind))
}

/** Detect has come to this version. */
async function say(version: number, partition = 0, hash = `hash-of-${version}`): Promise<void> {
  await stage.append('readings', partition, Buffer.from('whatever stands there'))
  await stage.obey(partition, { version, hash, offset: stage.cluster.bounds('readings', partition).high - 1 })
}

describe('the config', () => {
  it('in force is taken over as it is', async () => {
    await stage.configure('hash-1')
    await stage.start({ settingsHash: 'hash-1' })
    expect(written(0)).toEqual([])
    expect(stage.rows('config').get('config')).toMatchObject({ version: 1, hash: 'hash-1' })
  })

  it('that differs is written to every partition as the next version, of each partition\'s incarnation', async () => {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      await stage.append('readings', partition, Buffer.from('whatever stands there'))
      await stage.obey(partition, { version: 1, hash: 'hash-1', offset: 0 }, { incarnation: `incarnation-${partition}` })
    }
    await stage.start({ settingsHash: 'hash-2' })
    for (let partition = 0; partition < PARTITIONS; partition++)
      expect(stage.controls(partition)).toMatchObject([{ incarnation: `incarnation-${partition}`, body: { version: 2, hash: 'hash-2' } }])
    expect(stage.told('config')).toEqual(['decision'])
  })

  it('that differs is above the newest version detect said, though the leases be lost', async () => {
    await stage.configure('hash-1')
    for (const version of [2, 3, 7]) await say(version)
    await stage.start({ settingsHash: 'hash-2' })
    expect(written(0)).toEqual(['8 hash-2'])
    expect(written(1)).toEqual(['8 hash-2'])
  })

  it('that all partitions obey is in force, whatever they obeyed before', async () => {
    await stage.configure('hash-1')
    for (let partition = 0; partition < PARTITIONS; partition++) await say(2, partition, 'hash-2')
    await stage.start({ settingsHash: 'hash-2' })
    expect(written(0)).toEqual([])
    expect(stage.rows('config').get('config')).toMatchObject({ version: 2, hash: 'hash-2' })
  })

  it('that only one partition obeys is written to all', async () => {
    await stage.configure('hash-1')
    await say(1, 1, 'hash-2')
    await stage.start({ settingsHash: 'hash-2' })
    expect([written(0), written(1)]).toEqual([['2 hash-2'], ['2 hash-2']])
  })

  it('is written anew above what detect says that respond knows nothing of', async () => {
    await stage.configure('hash-1')
    await stage.start()
    await say(4)
    expect(written(1)).toEqual(['5 hash-1'])
    await say(5, 0, 'of somebody else')
    expect(written(1)).toEqual(['5 hash-1', '6 hash-1'])
  })

  it('is left alone by a detect that is behind', async () => {
    await stage.configure('hash-1')
    await stage.start({ settingsHash: 'hash-2' })
    await stage.obey(0, { version: 2, hash: 'hash-2', offset: 1 })
    await stage.obey(0, { version: 1, hash: 'hash-1', offset: 0 }, { epoch: 2 })
    expect(written(0)).toEqual(['2 hash-2'])
  })

  it('said by an owner that was fenced is no news', async () => {
    await stage.configure('hash-1')
    await stage.start()
    await stage.obey(0, { version: 1, hash: 'hash-1', offset: 0 }, { epoch: 3 })
    await say(9)
    expect(written(1)).toEqual([])
  })

  it('that changes between two leaders is the version after the last', async () => {
    await stage.configure('hash-1')
    const first = await stage.start({ settingsHash: 'hash-2' })
    await first.stop()
    const second = await stage.start({ settingsHash: 'hash-2' })
    await second.stop()
    await stage.start({ settingsHash: 'hash-1' })
    expect(written(0)).toEqual(['2 hash-2', '3 hash-1'])
  })

  it('in force is repeated every hour, under one id an hour and partition', async () => {
    await stage.configure('hash-1')
    await stage.start()
    await stage.clock.advance(2 * HOUR)
    expect(written(0)).toEqual(['1 hash-1', '1 hash-1'])
    const ids = [0, 1].flatMap((partition) => stage.controls(partition).slice(1).map(({ id }) => id))
    expect(new Set(ids).size).toBe(4)
  })

  it('goes to a topic made anew as soon as detect says that it is', async () => {
    await stage.configure('hash-1')
    await stage.start({ settingsHash: 'hash-2' })
    stage.cluster.recreate('readings')
    await stage.append('readings', 0, Buffer.from('of ingest'), Buffer.from('of ingest'))
    await stage.obey(0, { version: 1, hash: 'hash-1', offset: 0 }, { incarnation: 'anew' })
    expect(stage.controls(0)).toMatchObject([{ incarnation: 'anew', body: { version: 2, hash: 'hash-2' } }])
  })

  it('waits where a topic is shorter than what detect has read of it', async () => {
    await stage.configure('hash-1')
    await say(1, 0, 'hash-1')
    await stage.start({ settingsHash: 'hash-1' })
    stage.cluster.recreate('readings')
    await stage.append('readings', 0, Buffer.from('of ingest'))
    await stage.clock.advance(HOUR)
    expect(stage.controls(0)).toEqual([])
    await stage.obey(0, { version: 1, hash: 'hash-1', offset: 0 }, { incarnation: 'anew' })
    await stage.clock.advance(1)
    expect(stage.controls(0)).toMatchObject([{ incarnation: 'anew', body: { version: 1 } }])
  })

  it('that never reached a partition is not written by a process that has another', async () => {
    let isBroken = true
    stage = new Stage({ fail: ({ kind, process, topic }) => (isBroken && kind === 'append' && topic === 'readings' && process !== 'outside' ? 'IO' : undefined) })
    await stage.configure('hash-1')
    const first = await stage.start({ settingsHash: 'hash-2' })
    await first.stop()
    isBroken = false
    await stage.start({ settingsHash: 'hash-3' })
    expect(written(0)).toEqual(['3 hash-3'])
    expect(stage.rows('outbox/').size).toBe(0)
  })

  it('is waited for until every partition was heard of, while all else goes on', async () => {
    const { responder } = await stage.start({ settingsHash: 'hash-2' })
    expect(responder.readiness()).toEqual(['respond: no detect has said which configuration readings/0, readings/1 have'])
    await stage.ask({ kind: 'quarantine' })
    expect(stage.lease()).toBeDefined()
    await say(1, 0, 'hash-1')
    expect(responder.readiness()).toEqual(['respond: no detect has said which configuration readings/1 has'])
    expect(stage.controls(0).filter(({ body }) => body.kind === 'config')).toEqual([])
    await say(3, 1, 'hash-1')
    expect(responder.readiness()).toEqual([])
    expect(stage.controls(0).at(-1)).toMatchObject({ incarnation: 'first', body: { version: 4, hash: 'hash-2' } })
  })

  it('is known to the next leader at once', async () => {
    await stage.configure('hash-1')
    await (await stage.start()).stop()
    const held: Partial<MemoryLog> = { tail: () => new Promise(() => undefined) }
    const { responder } = await stage.start({ settingsHash: 'hash-2', onLog: (log) => Object.assign(log, held) })
    expect(responder.readiness()).toEqual([])
    expect(stage.controls(0).at(-1)).toMatchObject({ incarnation: 'first', body: { version: 2, hash: 'hash-2' } })
  })

  it('that differs is told in a line that names both hashes', async () => {
    const { logger, lines } = keepingLogger()
    await stage.configure('hash-1')
    await stage.start({ settingsHash: 'hash-2', logger })
    expect(lines).toEqual(["info version 1 of the configuration has hash hash-1, this process's file hash-2: version 2 goes to every partition"])
  })

  it('of an earlier Picket waits for no detect to say it', async () => {
    await stage.put(opened(0, 1, []), 0)
    await stage.put(opened(0, 1, []), 1)
    const row = Buffer.from(JSON.stringify({ version: 3, hash: 'hash-1', at: START }))
    stage.cluster.load('leases', 0, [{ key: 'config', value: row, time: START }])
    const { responder } = await stage.start({ settingsHash: 'hash-2' })
    await stage.append('readings', 0, Buffer.from('whatever stands there'))
    await stage.clock.advance(2_000)
    expect(responder.readiness()).toEqual([])
    expect(stage.controls(0).at(-1)).toMatchObject({ incarnation: 'first', body: { version: 4, hash: 'hash-2' } })
  })
})

describe('respond', () => {
  it('reads no record of the readings: it may not be allowed to', async () => {
    await stage.configure('hash-1')
    const read: string[] = []
    const watch = (log: MemoryLog) => {
      const before = log.read.bind(log)
      log.read = async (topic, ...rest) => {
        read.push(topic)
        return before(topic, ...rest)
      }
    }
    await stage.start({ settingsHash: 'hash-2', onLog: watch })
    await stage.tell(incident())
    await stage.clock.advance(2 * HOUR)
    expect(stage.controls().map(({ body }) => body.kind)).toContain('quarantine')
    expect(read.length).toBeGreaterThan(0)
    expect(read).not.toContain('readings')
  })
})
