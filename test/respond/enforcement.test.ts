/** The kill switch: from the moment somebody says off no quarantine leaves, whatever is under way; and it is said. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { ResponsePolicy } from '../../src/core/settings.ts'
import { settle } from '../clock.ts'
import { incident, keepingLogger, UNGOVERNED } from './fleet.ts'
import { Stage } from './stage.ts'
import type { Process } from './stage.ts'

const MINUTE = 60_000
const OFF: ResponsePolicy = { ...UNGOVERNED, enforcement: 'off' }
let stage: Stage
let asked = 0

beforeEach(async () => {
  stage = new Stage()
  await stage.configure()
})

const say = (state: 'on' | 'off', fields: { readonly release?: boolean } = {}) => stage.ask({ kind: 'enforcement', device: '', id: `switch-${asked++}`, state, ...fields })
const sent = ({ enforcer }: Pick<Process, 'enforcer'>) => enforcer.commands.map(({ kind, lease }) => `${kind} ${lease.device}`)
const bad = (i: number) => stage.tell(incident({ id: `incident-${i}`, device: `pump-${i}` }))

describe('off by request', () => {
  it('lets no quarantine begin, and people are told of the incident and why it is held', async () => {
    const process = await stage.start()
    await say('off')
    await bad(1)
    expect(sent(process)).toEqual([])
    expect(process.notifier.received).toMatchObject([{ incident: { id: 'incident-1' }, response: { quarantine: 'held', reason: 'enforcement is off' } }])
  })

  it('is said: to people, in the ledger, in the log, and by the gauge', async () => {
    const { logger, lines } = keepingLogger()
    const { notifier, metrics, responder } = await stage.start({ logger })
    expect(metrics.value('picket_enforcement')).toBe(1)
    await say('off')
    expect(notifier.notices).toMatchObject([{ notice: { kind: 'enforcement', state: 'off', reason: 'to be safe', by: 'ana' } }])
    expect(stage.lines().find(({ action }) => action === 'enforcement off')!.reason).toContain('to be safe (asked by ana)')
    expect(lines).toContain('warn enforcement is off, no further device is quarantined: to be safe')
    expect(metrics.value('picket_enforcement')).toBe(0)
    expect(responder.standing()!.enforcement).toMatchObject({ state: 'off', says: 'request', by: 'ana', since: stage.clock.now() })
  })

  it('is said past incidents that people are still to be told of, and past the bound on those', async () => {
    const { notifier } = await stage.start({ limits: { notifications: 10 } })
    notifier.notify = () => new Promise(() => undefined)
    for (let i = 0; i < 12; i++) await bad(i)
    await say('off')
    expect(notifier.notices).toMatchObject([{ notice: { state: 'off' } }])
  })

  it('is said no more where so many notices wait already', async () => {
    const { notifier, metrics } = await stage.start()
    notifier.say = () => new Promise(() => undefined)
    for (let i = 0; i < 51; i++) for (const state of ['off', 'on'] as const) await say(state)
    expect(metrics.value('picket_notifications_total{notifier=people,outcome=dropped}')).toBe(2)
  })

  it('is told once, however often it is asked for', async () => {
    const { notifier } = await stage.start()
    await say('off')
    await say('off')
    expect(notifier.notices).toHaveLength(1)
    expect(stage.told('enforcement off')).toEqual(['decision', 'decision'])
  })

  it('keeps back a command that was decided and waits for its turn', async () => {
    const process = await stage.start()
    let go: () => void = () => undefined
    process.enforcer.onWay = () => new Promise<void>((resolve) => (go = resolve))
    await bad(1)
    await bad(2)
    await say('off')
    process.enforcer.onWay = async () => undefined
    go()
    await stage.clock.advance(0)
    expect(sent(process)).toEqual([])
    expect(stage.rows('outbox/').size).toBe(2)
  })

  it('is obeyed though the disk takes no commit', async () => {
    const process = await stage.start()
    let go: () => void = () => undefined
    process.enforcer.onWay = () => new Promise<void>((resolve) => (go = resolve))
    await bad(1)
    await bad(2)
    process.log.stall()
    await bad(3)
    await say('off')
    process.enforcer.onWay = async () => undefined
    go()
    await stage.clock.advance(0)
    expect(sent(process)).toEqual([])
  })

  it('repeats no command that a device has not answered, nor counts the tries', async () => {
    const process = await stage.start()
    await stage.tell(incident())
    await say('off')
    await stage.clock.advance(9 * MINUTE)
    expect(sent(process)).toEqual(['quarantine pump-1'])
    await say('on')
    expect(sent(process)).toEqual(['quarantine pump-1', 'quarantine pump-1'])
    expect(stage.told('quarantine')).not.toContain('outcome timed out')
  })

  it('asserts no desired state', async () => {
    const { enforcer } = await stage.start()
    await stage.tell(incident())
    const before = enforcer.desired.length
    await say('off')
    await stage.clock.advance(9 * MINUTE)
    expect(enforcer.desired).toHaveLength(before)
    await say('on')
    await stage.clock.advance(0)
    expect(enforcer.desired).toHaveLength(before + 1)
  })

  it('lets leases end, and releases leave', async () => {
    const process = await stage.start()
    await stage.tell(incident())
    await bad(2)
    await say('off')
    await stage.ask({ kind: 'release', device: 'pump-1' })
    await stage.clock.advance(10 * MINUTE)
    expect(new Set(sent(process))).toEqual(new Set(['quarantine pump-1', 'quarantine pump-2', 'release pump-1', 'release pump-2']))
  })

  it('ends every quarantine when asked to', async () => {
    const process = await stage.start()
    process.enforcer.answers = ['done']
    for (let i = 0; i < 120; i++) await bad(i)
    await say('off', { release: true })
    await stage.clock.advance(0)
    expect(stage.rows('lease/').size).toBe(0)
    expect(sent(process).filter((text) => text.startsWith('release'))).toHaveLength(120)
    expect(stage.rows('enforcement').get('enforcement')).toMatchObject({ asked: 'off', releases: false })
    await say('on')
    await stage.tell(incident({ id: 'incident-1', device: 'pump-1', revision: 2 }))
    expect(sent(process).filter((text) => text === 'quarantine pump-1')).toHaveLength(1)
  })

  it('once more does not stop the ending of every quarantine', async () => {
    const process = await stage.start()
    await bad(1)
    const off = { kind: 'enforcement', device: '', state: 'off' } as const
    await stage.askAll({ ...off, id: 'ends-all', release: true }, { ...off, id: 'again' })
    expect(sent(process)).toEqual(['quarantine pump-1', 'release pump-1'])
  })

  it('and on again ends no quarantine any more', async () => {
    const process = await stage.start()
    await bad(1)
    const request = { kind: 'enforcement', device: '' } as const
    await stage.askAll({ ...request, id: 'ends-all', state: 'off', release: true }, { ...request, id: 'again', state: 'on' })
    expect(stage.lease()).toMatchObject({ state: 'active' })
    expect(sent(process)).not.toContain('release pump-1')
  })

  it('is shown with its own words from when it is obeyed', async () => {
    const process = await stage.start()
    process.log.stall()
    await say('off')
    expect(process.responder.standing()!.enforcement).toMatchObject({ state: 'off', says: 'request', reason: 'to be safe', by: 'ana', since: stage.clock.now() })
    await process.responder.measure()
    expect(process.metrics.value('picket_enforcement')).toBe(0)
  })

  it('refuses a person’s quarantine', async () => {
    const process = await stage.start()
    await say('off')
    await stage.ask({ kind: 'quarantine', force: true })
    expect(sent(process)).toEqual([])
    expect(stage.lines().at(-1)).toMatchObject({ action: 'quarantine', outcome: 'held', reason: expect.stringContaining('enforcement is off') as string })
  })

  it('goes past a full outbox', async () => {
    const process = await stage.start({ limits: { outbox: 2 } })
    for (let i = 0; i < 4; i++) await bad(i)
    expect(process.responder.readiness()).toHaveLength(1)
    await say('off')
    expect(process.responder.standing()!.enforcement.state).toBe('off')
    expect(process.responder.readiness()).toEqual([])
    expect(process.notifier.received).toHaveLength(4)
  })
})

describe('on again', () => {
  it('begins what was held back and is still so', async () => {
    const process = await stage.start()
    await say('off')
    await bad(1)
    await bad(2)
    await say('on')
    await stage.clock.advance(0)
    expect(sent(process)).toEqual(['quarantine pump-1', 'quarantine pump-2'])
    expect(process.notifier.notices.map(({ notice }) => notice.state)).toEqual(['off', 'on'])
  })

  it('counts for commands only once it is durable', async () => {
    const process = await stage.start()
    let go: () => void = () => undefined
    await say('off')
    process.enforcer.onWay = () => new Promise<void>((resolve) => (go = resolve))
    await say('on')
    await bad(1)
    await say('off')
    process.log.stall()
    await say('on')
    process.enforcer.onWay = async () => undefined
    go()
    await stage.clock.advance(0)
    expect(sent(process)).toEqual([])
  })
})

describe('a restart', () => {
  it('keeps it off, and says so', async () => {
    const first = await stage.start()
    await stage.tell(incident())
    await say('off')
    await first.stop()
    const { logger, lines } = keepingLogger()
    const second = await stage.start({ logger })
    await bad(2)
    await stage.clock.advance(2 * MINUTE)
    expect(sent(second)).toEqual([])
    expect(second.enforcer.desired).toEqual([])
    expect(lines).toContain('warn enforcement is off, no further device is quarantined: to be safe')
    expect(second.metrics.value('picket_enforcement')).toBe(0)
    expect(second.metrics.value('picket_respond_errors_total{reason=command not handed over}')).toBe(0)
    await say('on')
    await stage.clock.advance(0)
    expect(sent(second)).toEqual(['quarantine pump-1', 'quarantine pump-2'])
  })

  it('hears what was asked while nobody led before any command leaves', async () => {
    const first = await stage.start()
    await stage.tell(incident())
    await first.stop()
    await say('off')
    const second = await stage.start()
    expect(sent(second)).toEqual([])
    expect(second.enforcer.desired).toEqual([])
  })

  it('goes on ending quarantines where the one before stopped', async () => {
    const first = await stage.start()
    for (let i = 0; i < 3; i++) await bad(i)
    await first.stop()
    await say('off', { release: true })
    const second = await stage.start()
    second.enforcer.answers = ['done']
    await stage.clock.advance(0)
    await stage.clock.advance(10_000)
    expect(stage.rows('lease/').size).toBe(0)
  })
})

it('lets nothing leave from a leader that has lost its term', async () => {
  const first = await stage.start()
  let go: () => void = () => undefined
  first.enforcer.onWay = () => new Promise<void>((resolve) => (go = resolve))
  await bad(1)
  const stopped = first.stop()
  await settle()
  await say('off')
  go()
  await stopped
  expect(sent(first)).toEqual([])
})

describe('off by the config', () => {
  it('is said at the start and lets nothing begin', async () => {
    const { logger, lines } = keepingLogger()
    const process = await stage.start({ policy: OFF, logger })
    await bad(1)
    expect(sent(process)).toEqual([])
    expect(process.notifier.notices).toMatchObject([{ notice: { state: 'off', by: '' } }])
    expect(lines).toContain('warn enforcement is off, no further device is quarantined: respond.enforcement in the config is off')
    expect(process.responder.standing()!.enforcement).toMatchObject({ state: 'off', says: 'config' })
    expect(stage.told('enforcement off')).toEqual(['decision'])
  })

  it('is over in its own words, not in those of a request of before', async () => {
    const before = await stage.start()
    await say('off')
    await say('on')
    await before.stop()
    const off = await stage.start({ policy: OFF })
    await off.stop()
    const { logger, lines } = keepingLogger()
    await stage.start({ logger })
    expect(lines).toContain('info enforcement is on again: the config no longer says off')
  })

  it('wins over a request', async () => {
    const process = await stage.start({ policy: OFF })
    await say('on')
    await bad(1)
    expect(sent(process)).toEqual([])
    expect(stage.told('enforcement on')).toEqual(['decision refused'])
  })

  it('is over when the config no longer says so', async () => {
    const first = await stage.start({ policy: OFF })
    await bad(1)
    await first.stop()
    const second = await stage.start()
    await stage.clock.advance(0)
    expect(sent(second)).toEqual(['quarantine pump-1'])
    expect(second.notifier.notices).toMatchObject([{ notice: { state: 'on', reason: 'the config no longer says off', by: '' } }])
    expect(second.responder.standing()!.enforcement).toMatchObject({ state: 'on', says: 'config' })
  })
})
