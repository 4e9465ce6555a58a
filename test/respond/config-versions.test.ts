/** Which config is in force in the partitions, and how a changed one gets there. */
import { beforeEach, describe, expect, it } from 'vitest'
import { encodeControl } from '../../src/log/control.ts'
import { SETTINGS, START } from './fleet.ts'
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

async function say(version: number, partition = 0, hash = `hash-of-${version}`): Promise<void> {
  const body = { kind: 'config', version, hash, settings: SETTINGS } as const
  await stage.append('readings', partition, encodeControl({ id: `config-${version}`, incarnation: `incarnation-${partition}`, at: START, body }))
}

describe('the config', () => {
  it('in force is taken over as it is', async () => {
    await stage.configure('hash-1')
    await stage.start({ settingsHash: 'hash-1' })
    expect(written(0)).toEqual([])
    expect(stage.rows('config').get('config')).toMatchObject({ version: 1, hash: 'hash-1' })
  })

  it('that differs is written to every partition as the next version, of each partition\'s incarnation', async () => {
    await stage.configure('hash-1')
    await stage.start({ settingsHash: 'hash-2' })
    for (let partition = 0; partition < PARTITIONS; partition++) {
      expect(written(partition)).toEqual(['2 hash-2'])
      expect(stage.controls(partition)[1]!.incarnation).toBe(`incarnation-${partition}`)
    }
    expect(stage.told('config')).toEqual(['decision'])
  })

  it('that differs is above the newest version kept, though the leases be lost and the oldest kept control record a tick', async () => {
    await stage.configure('hash-1')
    for (const version of [2, 3]) await say(version)
    const tick = encodeControl({ id: 'tick', incarnation: 'incarnation-0', at: START, body: { kind: 'tick', writer: 'ingest', sources: [] } })
    await stage.append('readings', 0, tick)
    await say(7)
    await stage.append('readings', 0, ...Array.from({ length: 100 }, () => Buffer.from('a frame')))
    stage.cluster.trim('readings', 0, 3)
    await stage.start({ settingsHash: 'hash-2' })
    expect(stage.controls(0).map(({ body }) => body).at(-1)).toMatchObject({ version: 8, hash: 'hash-2' })
    expect(written(1)).toEqual(['8 hash-2'])
  })

  it('that is the newest kept is in force, whatever older ones are kept', async () => {
    await stage.configure('hash-1')
    for (let partition = 0; partition < PARTITIONS; partition++) await say(2, partition, 'hash-2')
    await stage.start({ settingsHash: 'hash-2' })
    expect(written(0)).toEqual(['2 hash-2'])
    expect(stage.rows('config').get('config')).toMatchObject({ version: 2, hash: 'hash-2' })
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

  it('is found behind many frames', async () => {
    await stage.append('readings', 0, ...Array.from({ length: 100 }, () => Buffer.from('a frame')))
    await stage.configure('hash-1')
    await stage.start({ settingsHash: 'hash-2' })
    expect(stage.controls(0).map(({ body }) => body)).toMatchObject([{ version: 1 }, { version: 2, hash: 'hash-2' }])
  })

  it('is found behind a damaged control record', async () => {
    const body = { kind: 'config', version: 1, hash: 'hash-1', settings: SETTINGS } as const
    await stage.append('readings', 0, encodeControl({ id: 'first', incarnation: 'incarnation-0', at: START, body }).subarray(0, 30))
    await stage.configure('hash-1')
    const { responder } = await stage.start()
    expect(responder.readiness()).toEqual([])
    expect(stage.rows('config').get('config')).toMatchObject({ version: 1 })
  })

  it('goes to a topic made anew with its new incarnation', async () => {
    await stage.configure('hash-1')
    await stage.start({ settingsHash: 'hash-2' })
    stage.cluster.recreate('readings')
    const body = { kind: 'config', version: 1, hash: 'hash-1', settings: SETTINGS } as const
    await stage.append('readings', 0, encodeControl({ id: 'anew', incarnation: 'anew', at: START, body }))
    await stage.clock.advance(HOUR)
    expect(stage.controls(0).map(({ incarnation }) => incarnation)).toEqual(['anew', 'anew'])
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

  it('is waited for where there is none, while all else goes on', async () => {
    const { responder } = await stage.start()
    expect(responder.readiness()).toEqual(['respond: no configuration in readings/0'])
    await stage.ask({ kind: 'quarantine' })
    expect(stage.lease()).toBeDefined()
    await stage.configure()
    await stage.clock.advance(1_000)
    expect(responder.readiness()).toEqual([])
  })
})
