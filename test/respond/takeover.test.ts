/** One leader after another: what the last one decided and did not finish, the next one does, under the same ids. */
import { beforeEach, describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/core/errors.ts'
import { closing, incident, opened, revision } from './fleet.ts'
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

describe('a commit that fails', () => {
  it('has no effect; the next term decides again from the log', async () => {
    let failing = 0
    const { enforcer } = await stage.start({
      around: (owned) => ({
        signal: owned.signal,
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
