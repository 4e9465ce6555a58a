/** One leader after another: what the last one decided and did not finish, the next one does, under the same ids. */
import { beforeEach, describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/core/errors.ts'
import type { Owned } from '../../src/log/log.ts'
import { delay } from '../../src/ops/clock.ts'
import { closing, incident, opened, revision, SETTINGS, UNGOVERNED } from './fleet.ts'
import { settle } from '../clock.ts'
import { Stage } from './stage.ts'
import type { Process } from './stage.ts'

const MINUTE = 60_000
let stage: Stage

beforeEach(async () => {
  stage = new Stage()
  await stage.configure()
})

/** The process dies at the moment its first command would have left. */
async function dieBeforeTheCommand(process: Process): Promise<void> {
  process.enforcer.onSend = () => {
    process.log.crash()
    throw new Error('the process is dead')
  }
  await stage.tell(incident())
  await stage.clock.advance(3_000)
}

describe('a leader that died between decision and effect', () => {
  it('leaves the command to the next one, under the same id and generation', async () => {
    const first = await stage.start()
    await dieBeforeTheCommand(first)
    expect(first.enforcer.commands).toEqual([])
    const decided = stage.lease()!
    const { enforcer } = await stage.start()
    expect(enforcer.commands).toEqual([{ id: decided.command, kind: 'quarantine', lease: decided.lease }])
    expect(stage.told('quarantine')).toEqual(['decision', 'effect sent'])
  })

  it('leaves the notification under the same id', async () => {
    const first = await stage.start()
    first.notifier.notify = () => new Promise(() => undefined)
    await dieBeforeTheCommand(first)
    const ids = [...stage.rows('outbox/').keys()]
    const { notifier } = await stage.start()
    expect(notifier.received).toHaveLength(1)
    expect(ids).toContain(`outbox/${notifier.received[0]!.id}`)
  })
})

describe('a leader that takes over', () => {
  it('does not decide again on what was decided', async () => {
    const first = await stage.start()
    first.enforcer.answers = ['done']
    await stage.tell(incident())
    await first.stop()
    const { enforcer, notifier } = await stage.start()
    expect(enforcer.commands).toEqual([])
    expect(notifier.received).toEqual([])
    expect(stage.told('quarantine').filter((told) => told === 'decision')).toHaveLength(1)
  })

  it('asserts the desired state of every active lease, and every 5 minutes again', async () => {
    const first = await stage.start()
    first.enforcer.answers = ['done']
    await stage.tell(incident())
    await first.stop()
    const { enforcer } = await stage.start()
    expect(enforcer.desired).toEqual([{ id: stage.lease()!.command, kind: 'quarantine', lease: stage.lease()!.lease }])
    await stage.clock.advance(5 * MINUTE)
    expect(enforcer.desired).toHaveLength(2)
    await stage.clock.advance(20 * MINUTE)
    expect(enforcer.desired).toHaveLength(2)
  })

  it('asserts no state whose decision is still being committed', async () => {
    const first = await stage.start()
    first.enforcer.answers = ['done']
    await stage.tell(incident())
    await stage.tell(incident({ id: 'incident-2', device: 'pump-2' }))
    await first.stop()
    const { enforcer, log } = await stage.start()
    let goOn: () => void = () => undefined
    enforcer.desired.length = 0
    enforcer.assertDesired = (command) => {
      enforcer.desired.push(command)
      return new Promise((resolve) => (goOn = () => resolve({ status: 'done', detail: '' })))
    }
    await stage.clock.advance(5 * MINUTE)
    await stage.ask({ kind: 'release', device: 'pump-2' })
    await stage.clock.advance(0)
    const flush = log.stall()
    await stage.askAll({ kind: 'quarantine', device: 'pump-2', id: 'request-2' })
    goOn()
    await stage.clock.advance(0)
    expect(enforcer.desired.map(({ lease }) => lease.device)).toEqual(['pump-1'])
    flush()
  })

  it('asserts nothing decided in the same commit before that is durable', async () => {
    let isHeld = false
    const held: (() => void)[] = []
    const { enforcer } = await stage.start({
      around: (owned) => ({
        signal: owned.signal,
        confirmed: () => owned.confirmed(),
        restore: (each) => owned.restore(each),
        commit: async (writes, cut) => {
          if (isHeld) await new Promise<void>((resolve) => held.push(resolve))
          await owned.commit(writes, cut)
        },
      }),
    })
    await stage.clock.advance(5 * MINUTE - 1)
    isHeld = true
    await stage.ask({ kind: 'acknowledge' })
    await stage.tell(incident())
    await stage.clock.advance(1)
    held.shift()!()
    await stage.clock.advance(0)
    expect(held).toHaveLength(1)
    expect(enforcer.desired).toEqual([])
    isHeld = false
    held.shift()!()
    await stage.clock.advance(0)
    expect(enforcer.desired).toMatchObject([{ lease: { device: 'pump-1' } }])
  })

  it('ends a lease at its time', async () => {
    const first = await stage.start()
    first.enforcer.answers = ['done']
    await stage.tell(incident())
    await first.stop()
    await stage.clock.advance(3 * MINUTE)
    const { enforcer } = await stage.start()
    await stage.clock.advance(7 * MINUTE - 1)
    expect(enforcer.commands).toEqual([])
    await stage.clock.advance(1)
    expect(enforcer.commands).toMatchObject([{ kind: 'release' }])
  })

  it('never sends a quarantine that has ended meanwhile, but its release', async () => {
    await dieBeforeTheCommand(await stage.start())
    await stage.clock.advance(11 * MINUTE)
    const { enforcer } = await stage.start()
    expect(enforcer.commands).toMatchObject([{ kind: 'release' }])
  })

  it('shows nothing of what it stands at before it has read it', async () => {
    const { responder } = await stage.start({ around: (owned) => ({ signal: owned.signal, confirmed: () => owned.confirmed(), restore: () => new Promise(() => undefined), commit: (writes, cut) => owned.commit(writes, cut) }) })
    expect(responder.standing()).toBeNull()
  })

  it('repeats the command to a device that still does not answer', async () => {
    const first = await stage.start()
    await stage.tell(incident())
    await first.stop()
    const { enforcer } = await stage.start()
    await stage.clock.advance(10_000)
    expect(enforcer.commands.map(({ id }) => id)).toEqual([stage.lease()!.command, stage.lease()!.command])
  })

  it('gives a generation above every one before, though the clock be behind', async () => {
    const first = await stage.start()
    await stage.tell(incident())
    const last = first.enforcer.commands[0]!.lease.generation
    await first.stop()
    stage.clock.step(-3_600_000)
    const { enforcer } = await stage.start()
    await stage.tell(incident({ id: 'incident-2', device: 'pump-2' }))
    expect(enforcer.commands.at(-1)!.lease.generation).toBeGreaterThan(last)
  })

  it('releases what an incident began and the config allows no more, not what a person did', async () => {
    const first = await stage.start()
    await stage.tell(incident())
    await stage.ask({ kind: 'quarantine', device: 'pump-2' })
    await first.stop()
    const settings = { ...SETTINGS, classes: { ...SETTINGS.classes, default: SETTINGS.classes['monitor']!, pump: SETTINGS.classes['monitor']! } }
    const { enforcer } = await stage.start({ settings })
    expect(enforcer.commands.map(({ kind, lease }) => `${kind} ${lease.device}`).toSorted()).toEqual(['quarantine pump-2', 'release pump-1'])
    expect(stage.lines().find(({ action }) => action === 'release')).toMatchObject({ device: 'pump-1', reason: 'the config says quarantine: never' })
  })

  it('closes as superseded what its predecessor held open', async () => {
    const first = await stage.start()
    await stage.tell(incident({ severity: 'minor' }))
    await first.stop()
    const { notifier } = await stage.start()
    await stage.put(opened(500, 2, []))
    expect(notifier.received).toMatchObject([{ incident: { id: 'incident-1', revision: 2, state: 'closed', closedBy: 'superseded' } }])
    expect(stage.rows('incident/').size).toBe(0)
  })

  it('drops what an owner of an older epoch wrote late', async () => {
    const first = await stage.start()
    await stage.put(opened(500, 2, []))
    await first.stop()
    const { enforcer, metrics } = await stage.start()
    await stage.put(revision(900, incident(), { epoch: 1 }))
    expect(enforcer.commands).toEqual([])
    expect(metrics.value('picket_messages_dropped_total{stage=respond,reason=old-epoch}')).toBe(1)
  })
})

describe('a leader that takes over with records unread', () => {
  const HOUR = 60 * MINUTE
  /** A disk that lets the desk decide other things between two chunks of a backlog. */
  const slowly = (owned: Owned): Owned => ({
    signal: owned.signal,
    confirmed: () => owned.confirmed(),
    restore: (each) => owned.restore(each),
    commit: async (writes, cut) => {
      await delay(stage.clock, 1)
      await owned.commit(writes, cut)
    },
  })

  /** More than is decided on at once, the closing last. */
  async function closeUnread(): Promise<void> {
    for (let i = 0; i < 70; i++) await stage.tell(incident({ id: `other-${i}`, class: 'monitor', severity: 'minor' }))
    await stage.tell(closing())
  }

  it('does not begin what waited and is over', async () => {
    const policy = { ...UNGOVERNED, quarantines: { ...UNGOVERNED.quarantines, perMinute: 1 } }
    const first = await stage.start({ policy })
    first.enforcer.answers = ['done']
    await stage.tell(incident({ id: 'incident-0', device: 'pump-0' }))
    await stage.tell(incident())
    await stage.tell(incident({ id: 'incident-2', device: 'pump-2' }))
    await first.stop()
    await closeUnread()
    await stage.clock.advance(2 * MINUTE)
    const { enforcer } = await stage.start({ policy, around: slowly })
    await stage.clock.advance(5_000)
    expect(enforcer.commands).toMatchObject([{ lease: { device: 'pump-2' } }])
  })

  it('does not begin at an unread on what is over', async () => {
    const first = await stage.start()
    await stage.ask({ kind: 'enforcement', device: '', id: 'off', state: 'off' })
    await stage.tell(incident())
    await first.stop()
    await closeUnread()
    await stage.ask({ kind: 'enforcement', device: '', id: 'on', state: 'on' })
    const { enforcer, responder } = await stage.start({ around: slowly })
    await stage.clock.advance(5_000)
    expect([responder.standing()!.enforcement.state, enforcer.commands]).toEqual(['on', []])
  })

  it.each(['by its time', 'by a person'])('tells nobody of what was muted and is over, when the silence ended %s', async (how) => {
    const first = await stage.start()
    await stage.ask({ kind: 'silence', device: '', match: { device: 'pump-1' }, forMs: HOUR })
    await stage.tell(incident())
    await stage.tell(incident({ id: 'incident-2' }))
    await first.stop()
    await closeUnread()
    if (how === 'by a person') await stage.ask({ kind: 'unsilence', device: '', id: 'end', silence: 'request-1' })
    else await stage.clock.advance(2 * HOUR)
    const { enforcer, notifier } = await stage.start({ around: slowly })
    await stage.clock.advance(5_000)
    const told = notifier.received.map((one) => one.incident.id).filter((id) => id.startsWith('incident'))
    expect([told, enforcer.commands.map(({ lease }) => lease.incident)]).toEqual([['incident-2'], ['incident-2']])
  })
})

describe('a commit that fails', () => {
  it('has no effect; the next term decides again from the log', async () => {
    let failing = 0
    const { enforcer } = await stage.start({
      around: (owned) => ({
        signal: owned.signal,
        confirmed: () => owned.confirmed(),
        restore: (each) => owned.restore(each),
        commit: async (writes, cut) => {
          if (failing-- > 0) throw new PipelineError('IO', 'the disk said no')
          await owned.commit(writes, cut)
        },
      }),
    })
    failing = 1
    await stage.tell(incident())
    expect(enforcer.commands).toEqual([])
    await stage.clock.advance(1_000)
    expect(enforcer.commands).toHaveLength(1)
    expect(stage.told('quarantine')).toEqual(['decision', 'effect sent'])
  })
})

it('keeps the outcome of what was under way when it stops', async () => {
  const first = await stage.start()
  let deliver: () => void = () => undefined
  first.notifier.notify = () => new Promise((resolve) => (deliver = () => resolve({ status: 'done', detail: '' })))
  await stage.tell(closing())
  const stopped = first.stop()
  await settle()
  deliver()
  await stopped
  expect(stage.told('notify people')).toEqual(['outcome done'])
  expect(stage.rows('outbox/').size).toBe(0)
})

it('counts an answer that comes while nobody leads here', async () => {
  const { enforcer, metrics, stop } = await stage.start()
  await stage.tell(incident())
  await stop()
  await enforcer.answer(enforcer.commands[0]!, 'done')
  expect(metrics.value('picket_messages_dropped_total{stage=ack,reason=not-leading}')).toBe(1)
})
