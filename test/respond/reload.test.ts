/** Respond takes another file's word while it works: settings go to the partitions as a new version, its own bounds and receivers count at once. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { Rules } from '../../src/respond/rules.ts'
import { incident, MemoryNotifier, SETTINGS, UNGOVERNED } from './fleet.ts'
import { Stage } from './stage.ts'
import type { Process } from './stage.ts'

let stage: Stage
let people: MemoryNotifier

beforeEach(async () => {
  stage = new Stage()
  people = new MemoryNotifier()
  await stage.configure('hash-1')
})

function rules(fields: Partial<Rules> = {}): Rules {
  return { settings: SETTINGS, settingsHash: 'hash-1', policy: UNGOVERNED, notifiers: [people], ...fields }
}

async function reload({ responder }: Process, next: Rules, by = 'ana') {
  const view = responder.reload(next, by)
  view.catch(() => undefined) // whoever asked hears of it below
  await stage.clock.advance(0)
  return view
}

const configs = (partition: number) => stage.controls(partition).slice(1).flatMap(({ body }) => (body.kind === 'config' ? [`${body.version} ${body.hash} ${body.settings.expireMs}`] : []))

describe('a reload', () => {
  it('writes the next version with the new settings to every partition, and stands in the ledger', async () => {
    const first = await stage.start()
    const view = await reload(first, rules({ settingsHash: 'hash-2', settings: { ...SETTINGS, expireMs: 5 } }))
    expect(view).toMatchObject({ version: 2, hash: 'hash-2', partitions: [{ partition: 0, state: 'pending', version: 1, position: 0 }, { partition: 1, state: 'pending' }] })
    expect([configs(0), configs(1)]).toEqual([['2 hash-2 5'], ['2 hash-2 5']])
    expect(stage.lines().filter(({ action }) => action === 'config').map(({ reason }) => reason)).toEqual(['version 2, hash hash-2 (asked by ana)'])
  })

  it('writes nothing where the settings are as they are', async () => {
    const first = await stage.start()
    expect(await reload(first, rules())).toMatchObject({ version: 1, hash: 'hash-1' })
    expect(configs(0)).toEqual([])
    expect(stage.told('config')).toEqual([])
  })

  it('shows each partition as it goes over', async () => {
    const first = await stage.start()
    await reload(first, rules({ settingsHash: 'hash-2' }))
    const states = () => first.responder.standing()?.config?.partitions.map(({ state, position }) => `${state} ${position}`)
    expect(states()).toEqual(['written 0', 'written 0'])
    await stage.obey(1, { version: 2, hash: 'hash-2', offset: 1 })
    expect(states()).toEqual(['written 0', 'switched 1'])
    await stage.obey(0, { version: 2, hash: 'hash-2', offset: 1 })
    expect(states()).toEqual(['switched 1', 'switched 1'])
  })

  it('shows a record that could not be written yet', async () => {
    stage = new Stage({ fail: ({ kind, topic, process }) => (kind === 'append' && topic === 'readings' && process !== 'outside' ? 'IO' : undefined) })
    await stage.configure('hash-1')
    const first = await stage.start()
    await reload(first, rules({ settingsHash: 'hash-2' }))
    expect(first.responder.standing()?.config?.partitions.map(({ state }) => state)).toEqual(['pending', 'pending'])
  })

  it('is what the next version and the hourly repeat go by', async () => {
    const first = await stage.start()
    await reload(first, rules({ settingsHash: 'hash-2', settings: { ...SETTINGS, expireMs: 5 } }))
    await stage.clock.advance(3_600_000)
    expect(configs(0)).toEqual(['2 hash-2 5', '2 hash-2 5'])
    await reload(first, rules())
    expect(configs(0).at(-1)).toBe(`3 hash-1 ${SETTINGS.expireMs}`)
  })

  it('holds over the end of the leadership in this process', async () => {
    let isBroken = false
    stage = new Stage({ fail: ({ kind, process }) => (isBroken && kind === 'commit' && process !== 'outside' ? 'IO' : undefined) })
    await stage.configure('hash-1')
    const first = await stage.start()
    await reload(first, rules({ settingsHash: 'hash-2' }))
    isBroken = true
    await stage.tell(incident())
    isBroken = false
    await stage.clock.advance(10_000)
    expect(stage.lease()).toBeDefined()
    expect(configs(0)).toEqual(['2 hash-2 86400000'])
  })

  it('that can not be made durable leaves the old in force', async () => {
    let isBroken = false
    stage = new Stage({ fail: ({ kind, process }) => (isBroken && kind === 'commit' && process !== 'outside' ? 'IO' : undefined) })
    await stage.configure('hash-1')
    const first = await stage.start()
    isBroken = true
    await expect(reload(first, rules({ settingsHash: 'hash-2' }))).rejects.toMatchObject({ code: 'IO' })
    isBroken = false
    await stage.clock.advance(10_000)
    expect(first.responder.standing()?.config).toMatchObject({ version: 1, hash: 'hash-1' })
    expect(configs(0)).toEqual([])
  })

  it('asked before it is known what is in force is refused, and says why', async () => {
    stage = new Stage()
    const first = await stage.start()
    await expect(reload(first, rules({ settingsHash: 'hash-2' }))).rejects.toMatchObject({ code: 'UNAVAILABLE', message: 'nothing was reloaded, respond: no detect has said which configuration readings/0, readings/1 have' })
  })

  it('in a process that another leads counts once it leads', async () => {
    const first = await stage.start()
    const second = await stage.start()
    expect(await reload(second, rules({ settingsHash: 'hash-2' }))).toBeNull()
    expect(configs(0)).toEqual([])
    await first.stop()
    await stage.clock.advance(0)
    expect(configs(0)).toEqual(['2 hash-2 86400000'])
  })
})

describe('what respond goes by', () => {
  it('are the new bounds: what waited begins', async () => {
    const policy = { enforcement: 'on', quarantines: { perMinute: 1_000, atOnce: 1, group: null } } as const
    const first = await stage.start({ policy })
    await stage.tell(incident())
    await stage.tell(incident({ id: 'incident-2', device: 'pump-2' }))
    expect(stage.rows('lease/').size).toBe(1)
    await reload(first, rules())
    await stage.clock.advance(0)
    expect(stage.rows('lease/').size).toBe(2)
    expect(first.responder.standing()?.quarantines.atOnce).toBe(UNGOVERNED.quarantines.atOnce)
  })

  it('is the new word on enforcement, told to people once', async () => {
    const first = await stage.start({ notifiers: [people] })
    const off = rules({ policy: { ...UNGOVERNED, enforcement: 'off' } })
    await reload(first, off)
    await reload(first, off)
    await stage.tell(incident())
    expect(stage.lease()).toBeUndefined()
    expect(first.responder.standing()?.enforcement).toMatchObject({ state: 'off', says: 'config' })
    await reload(first, rules())
    await stage.clock.advance(0)
    expect(stage.lease()).toBeDefined()
    expect(people.notices.map(({ notice }) => notice)).toMatchObject([{ state: 'off' }, { state: 'on' }])
  })

  it('are the new receivers', async () => {
    const first = await stage.start({ notifiers: [people] })
    const others = new MemoryNotifier('others')
    await reload(first, rules({ notifiers: [others] }))
    await stage.tell(incident())
    expect([people.received.length, others.received.length]).toEqual([0, 1])
  })

  it('are the new settings: who may not be quarantined any more is released', async () => {
    const first = await stage.start()
    await stage.tell(incident())
    const settings = { ...SETTINGS, classes: { ...SETTINGS.classes, pump: SETTINGS.classes['monitor']! } }
    await reload(first, rules({ settings, settingsHash: 'hash-2' }))
    expect(stage.lease()).toMatchObject({ state: 'releasing', lease: { reason: 'the config says quarantine: never' } })
  })
})
