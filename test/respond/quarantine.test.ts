/** From a critical incident to the device and back, as a timeline. */
import { beforeEach, describe, expect, it } from 'vitest'
import { verifyChain } from './chain.ts'
import type { LedgerHead } from '../../src/respond/ledger.ts'
import { encodeIncidentRecord } from '../../src/log/revision.ts'
import { closing, incident, revision, START } from './fleet.ts'
import { partitionOf } from '../../src/core/hash.ts'
import { PARTITIONS, PUMP_PARTITION, Stage } from './stage.ts'

const MINUTE = 60_000
let stage: Stage

beforeEach(async () => {
  stage = new Stage()
  await stage.configure()
})

describe('a critical incident', () => {
  it('quarantines its device until the class\'s time is over', async () => {
    const { enforcer } = await stage.start()
    await stage.tell(incident())
    expect(enforcer.commands).toHaveLength(1)
    expect(enforcer.commands[0]).toMatchObject({
      kind: 'quarantine',
      lease: { device: 'pump-1', incident: 'incident-1', issuedAt: stage.clock.now(), until: stage.clock.now() + 10 * MINUTE, reason: incident().summary },
    })
    expect(stage.lease()).toMatchObject({ state: 'active', command: enforcer.commands[0]!.id })
  })

  it('has its decision durable before the command leaves', async () => {
    const { log, enforcer } = await stage.start()
    const flush = log.stall()
    await stage.tell(incident())
    expect(stage.told('quarantine')).toEqual(['decision'])
    expect(enforcer.commands).toHaveLength(0)
    flush()
    await stage.clock.advance(0)
    expect(enforcer.commands).toHaveLength(1)
  })

  it('has decision, lease, outbox, mark and offset in one commit', async () => {
    const commits: string[][] = []
    await stage.start({
      around: (owned) => ({
        signal: owned.signal,
        confirmed: () => owned.confirmed(),
        restore: (each) => owned.restore(each),
        commit: (writes, cut) => {
          const all = [...writes]
          commits.push(all.map((write) => `${write.topic} ${write.key}`))
          return owned.commit(all, cut)
        },
      }),
    })
    commits.length = 0
    await stage.tell(incident())
    const keys = commits[0]!.join('\n')
    for (const part of ['actions pump-1', 'leases lease/pump-1', 'leases outbox/', 'leases incident/incident-1', `leases mark/${PUMP_PARTITION}`, `leases offset/incidents/${PUMP_PARTITION}`])
      expect(keys).toContain(part)
    expect(commits.slice(1).flat()).not.toContain(`leases mark/${PUMP_PARTITION}`)
  })

  it('is noted as done when the device says so', async () => {
    const { enforcer, metrics } = await stage.start()
    await stage.tell(incident())
    await enforcer.answer(enforcer.commands[0]!, 'accepted')
    await enforcer.answer(enforcer.commands[0]!, 'accepted')
    await enforcer.answer(enforcer.commands[0]!, 'done')
    expect(stage.told('quarantine')).toEqual(['decision', 'effect sent', 'outcome accepted', 'outcome done'])
    expect([...stage.rows('outbox/').values()].filter((row) => (row as { kind: string }).kind === 'command')).toEqual([])
    expect(metrics.value('picket_commands_total{kind=quarantine,outcome=done}')).toBe(1)
    expect(metrics.value('picket_device_to_command_seconds')).toBe(1)
  })

  it('resolves the ack only when it is durable', async () => {
    const { log, enforcer } = await stage.start()
    await stage.tell(incident())
    const flush = log.stall()
    let isTaken = false
    const taken = enforcer.answer(enforcer.commands[0]!, 'done').then(() => (isTaken = true))
    await stage.clock.advance(0)
    expect(isTaken).toBe(false)
    flush()
    await taken
    expect(stage.told('quarantine')).toContain('outcome done')
  })

  it('tells detect, so that no silence is raised', async () => {
    await stage.start()
    await stage.tell(incident())
    const control = stage.controls().at(-1)!
    expect(control).toMatchObject({ incarnation: 'first' })
    expect(control.body).toMatchObject({ kind: 'quarantine', device: 'pump-1', until: stage.clock.now() + 10 * MINUTE, generation: stage.lease()!.lease.generation })
  })

  it('ends: release, the device\'s answer, and the lease is gone', async () => {
    const { enforcer } = await stage.start()
    enforcer.answers = ['done']
    await stage.tell(incident())
    await stage.clock.advance(10 * MINUTE - 1)
    expect(enforcer.commands).toHaveLength(1)
    enforcer.answers = []
    await stage.clock.advance(1)
    const release = enforcer.commands[1]!
    expect(release).toMatchObject({ kind: 'release', lease: { device: 'pump-1' } })
    expect(release.lease.generation).toBeGreaterThan(enforcer.commands[0]!.lease.generation)
    expect(stage.controls().at(-1)!.body).toMatchObject({ kind: 'quarantine', until: null, generation: release.lease.generation })
    expect(stage.lease()).toMatchObject({ state: 'releasing' })
    await enforcer.answer(release, 'done')
    expect(stage.lease()).toBeUndefined()
    expect(stage.told('release')).toEqual(['decision', 'effect sent', 'outcome done'])
  })

  it('leaves a chain of lines that ends where the ledger row says', async () => {
    const { enforcer } = await stage.start()
    enforcer.answers = ['done']
    await stage.tell(incident())
    await stage.clock.advance(11 * MINUTE)
    const to = stage.rows('ledger').get('ledger') as LedgerHead
    expect(verifyChain(stage.texts(), { to })).toEqual({ sound: true, head: to })
    expect(to.seq).toBeGreaterThan(5)
  })
})

describe('a device that never answers', () => {
  it('is sent the same command again, after 10 s, then twice as long each time', async () => {
    const { enforcer } = await stage.start()
    await stage.tell(incident())
    await stage.clock.advance(9_999)
    expect(enforcer.commands).toHaveLength(1)
    await stage.clock.advance(1)
    expect(enforcer.commands).toHaveLength(2)
    await stage.clock.advance(20_000)
    expect(enforcer.commands).toHaveLength(3)
    expect(new Set(enforcer.commands.map((command) => command.id)).size).toBe(1)
  })

  it('is let go all the same, after 8 tries', async () => {
    const { enforcer, metrics } = await stage.start()
    await stage.tell(incident())
    await stage.clock.advance(10 * MINUTE)
    enforcer.commands.length = 0
    await stage.clock.advance(60 * MINUTE)
    expect(enforcer.commands).toHaveLength(7)
    expect(stage.lease()).toBeUndefined()
    expect(stage.rows('outbox/').size).toBe(0)
    expect(stage.lines().at(-1)).toMatchObject({ action: 'release', outcome: 'timed out', reason: expect.stringContaining('released, unacknowledged') as string })
    expect(metrics.value('picket_commands_total{kind=release,outcome=timed out}')).toBe(1)
    expect(metrics.value('picket_leases')).toBe(0)
  })

  it('is let go even when nothing can be handed over to the broker', async () => {
    const { enforcer } = await stage.start()
    enforcer.send = () => new Promise(() => undefined)
    await stage.tell(incident())
    await stage.clock.advance(70 * MINUTE)
    expect(stage.lease()).toBeUndefined()
  })
})

describe('a device that refuses', () => {
  it('keeps its lease, so that it is not asked again and again', async () => {
    const { enforcer } = await stage.start()
    enforcer.answers = ['rejected']
    await stage.tell(incident())
    await stage.tell(incident({ revision: 2 }))
    expect(enforcer.commands).toHaveLength(1)
    expect(stage.lease()).toMatchObject({ state: 'active' })
    expect(stage.told('quarantine')).toContain('outcome rejected')
  })
})

describe('one lease a device', () => {
  it('serves two incidents', async () => {
    const { enforcer } = await stage.start()
    await stage.tell(incident())
    await stage.tell(incident({ id: 'incident-2', cause: 'limit' }))
    await stage.tell(incident({ id: 'incident-2', cause: 'limit', revision: 2 }))
    expect(enforcer.commands).toHaveLength(1)
    expect(stage.told('quarantine').filter((told) => told === 'decision held')).toHaveLength(1)
    expect(stage.lines().find((line) => line.outcome === 'held')).toMatchObject({ incident: 'incident-2', reason: 'already quarantined' })
  })

  it('is followed by a new one when a later revision is still critical', async () => {
    const { enforcer } = await stage.start()
    enforcer.answers = ['done']
    await stage.tell(incident())
    await stage.clock.advance(11 * MINUTE)
    await stage.tell(incident({ revision: 2 }))
    expect(enforcer.commands.map((command) => command.kind)).toEqual(['quarantine', 'release', 'quarantine'])
    const generations = enforcer.commands.map((command) => command.lease.generation)
    expect(generations).toEqual([...generations].sort((a, b) => a - b))
    expect(new Set(generations).size).toBe(3)
  })

  it('takes the place of a release still under way', async () => {
    const { enforcer } = await stage.start()
    await stage.tell(incident())
    await stage.clock.advance(10 * MINUTE)
    await stage.tell(incident({ revision: 2 }))
    expect(enforcer.commands.at(-1)).toMatchObject({ kind: 'quarantine' })
    expect(stage.lease()).toMatchObject({ state: 'active' })
    expect(stage.told('release')).toContain('outcome superseded')
    const sent = enforcer.commands.length
    await enforcer.answer(enforcer.commands.at(-1)!, 'done')
    await stage.clock.advance(9 * MINUTE)
    expect(enforcer.commands).toHaveLength(sent)
  })

  it('is refused, and said, beyond the bound', async () => {
    const { enforcer, metrics } = await stage.start({ limits: { leases: 1 } })
    await stage.tell(incident())
    await stage.tell(incident({ id: 'incident-2', device: 'pump-2' }))
    expect(enforcer.commands).toHaveLength(1)
    expect(metrics.value('picket_commands_total{kind=quarantine,outcome=refused}')).toBe(1)
    expect(stage.told('quarantine')).toContain('decision refused')
  })
})

describe('a command that waits for another', () => {
  it('is not sent once the device is to be released', async () => {
    const { enforcer } = await stage.start()
    const { send } = enforcer
    let go: () => void = () => undefined
    enforcer.send = async (command) => {
      await new Promise<void>((resolve) => (go = resolve))
      enforcer.send = send
      return enforcer.send(command)
    }
    await stage.tell(incident({ id: 'incident-0', device: 'pump-0' }))
    await stage.tell(incident())
    await stage.ask({ kind: 'release' })
    go()
    await stage.clock.advance(0)
    expect(enforcer.commands.map((command) => `${command.kind} ${command.lease.device}`)).toEqual(['quarantine pump-0', 'release pump-1'])
  })
})

it('leaves no timer of a quarantine that is over', async () => {
  const { enforcer } = await stage.start()
  const before = stage.clock.pending
  enforcer.answers = ['done']
  await stage.tell(incident())
  await stage.ask({ kind: 'release' })
  expect(stage.lease()).toBeUndefined()
  expect(stage.clock.pending).toBe(before)
})

it('does not end a new lease by the alarm of the one before', async () => {
  const { log, enforcer } = await stage.start()
  enforcer.answers = ['done']
  await stage.tell(incident())
  await stage.clock.advance(10 * MINUTE - 1)
  const flush = log.stall()
  await stage.tell(incident({ id: 'incident-2', device: 'pump-2', severity: 'minor' }))
  await stage.askAll({ kind: 'release' }, { kind: 'quarantine', id: 'request-2' })
  await stage.clock.advance(1)
  flush()
  await stage.clock.advance(0)
  expect(stage.lease()).toMatchObject({ state: 'active', lease: { incident: '' } })
})

describe('a generation', () => {
  it('is the time, or one more than the last where the clock went back', async () => {
    const { enforcer } = await stage.start()
    await stage.tell(incident())
    const first = enforcer.commands[0]!.lease.generation
    expect(first).toBe(stage.clock.now())
    stage.clock.step(-3_600_000)
    await stage.tell(incident({ id: 'incident-2', device: 'pump-2' }))
    expect(enforcer.commands[1]!.lease.generation).toBe(first + 1)
  })
})

describe('answers that fit nothing', () => {
  it.each([
    ['another id', { id: 'no such' }],
    ['another device', { device: 'pump-9' }],
    ['another generation', { generation: 1 }],
  ])('change nothing: %s', async (_what, fields) => {
    const { enforcer, metrics } = await stage.start()
    await stage.tell(incident())
    await enforcer.answer(enforcer.commands[0]!, 'done', fields)
    expect(stage.told('quarantine')).toEqual(['decision', 'effect sent'])
    expect(metrics.value('picket_messages_dropped_total{stage=ack,reason=unknown-command}')).toBe(1)
  })
})

it('quarantines nobody for an incident that is closed when it is first read', async () => {
  const { enforcer } = await stage.start()
  await stage.tell(closing())
  expect(enforcer.commands).toEqual([])
})

describe('a person’s release', () => {
  it('holds while the incident is as severe as it was', async () => {
    const { enforcer } = await stage.start()
    enforcer.answers = ['done']
    await stage.tell(incident({ class: 'valve', severity: 'major' }))
    await stage.ask({ kind: 'release' })
    await stage.tell(incident({ class: 'valve', severity: 'minor', revision: 2 }))
    await stage.tell(incident({ class: 'valve', severity: 'major', revision: 3 }))
    await stage.tell(incident({ class: 'valve', severity: 'major', revision: 4 }))
    expect(enforcer.commands.map(({ kind }) => kind)).toEqual(['quarantine', 'release'])
    expect(stage.lines().filter(({ outcome }) => outcome === 'held')).toMatchObject([{ reason: 'a person released the device' }])
  })

  it('is over when the incident becomes more severe than it was, or another opens', async () => {
    const { enforcer } = await stage.start()
    enforcer.answers = ['done']
    await stage.tell(incident({ class: 'valve', severity: 'major' }))
    await stage.ask({ kind: 'release' })
    await stage.tell(incident({ class: 'valve', severity: 'critical', revision: 2 }))
    expect(enforcer.commands.map(({ kind }) => kind)).toEqual(['quarantine', 'release', 'quarantine'])
    await stage.ask({ kind: 'release', id: 'request-2' })
    await stage.tell(incident({ class: 'valve', severity: 'major', id: 'incident-2' }))
    expect(enforcer.commands.at(-1)).toMatchObject({ kind: 'quarantine', lease: { incident: 'incident-2' } })
  })

  it('holds under the next leader', async () => {
    const first = await stage.start()
    first.enforcer.answers = ['done']
    await stage.tell(incident())
    await stage.ask({ kind: 'release' })
    await first.stop()
    const { enforcer } = await stage.start()
    await stage.tell(incident({ revision: 2 }))
    expect(enforcer.commands).toEqual([])
  })
})

describe('a revision of the past', () => {
  it('quarantines nobody when a later one at hand closes its incident', async () => {
    const { enforcer, metrics, notifier } = await stage.start()
    await stage.append('incidents', PUMP_PARTITION, ...[incident(), closing()].map((body, i) => encodeIncidentRecord(revision(500 + i, body))))
    expect(enforcer.commands).toEqual([])
    expect(notifier.received.map(({ response }) => response?.reason)).toEqual(['closed by a later revision at hand', undefined])
    expect(metrics.value('picket_commands_total{kind=quarantine,outcome=held}')).toBe(1)
  })

  it('quarantines nobody when it is older than ten minutes', async () => {
    const { enforcer, notifier } = await stage.start()
    await stage.put({ ...revision(500, incident()), arrival: START - 10 * MINUTE - 1 })
    expect(enforcer.commands).toEqual([])
    expect(notifier.received).toMatchObject([{ response: { quarantine: 'held', reason: 'older than 10 minutes' } }])
    await stage.put({ ...revision(501, incident({ revision: 2 })), arrival: START - 10 * MINUTE })
    expect(enforcer.commands).toHaveLength(1)
  })
})

it('says for how long a quarantine has waited for the last word of its device', async () => {
  const { responder, metrics, enforcer, stop } = await stage.start()
  const waited = async () => {
    await responder.measure()
    return metrics.value('picket_quarantine_unanswered_seconds')
  }
  await stage.tell(incident())
  await stage.clock.advance(7_000)
  await enforcer.answer(enforcer.commands[0]!, 'accepted')
  expect(await waited()).toBe(7)
  await enforcer.answer(enforcer.commands[0]!, 'done')
  expect(await waited()).toBe(0)
  await stage.tell(incident({ id: 'incident-2', device: 'pump-2' }), partitionOf('pump-2', PARTITIONS))
  await stage.clock.advance(7_000)
  expect(await waited()).toBe(7)
  await stop()
  expect(metrics.value('picket_quarantine_unanswered_seconds')).toBe(0)
})

it('says how many records it has not decided on', async () => {
  const { responder, metrics, log, stop } = await stage.start()
  const flush = log.stall()
  await stage.tell(incident())
  await stage.tell(incident({ revision: 2 }))
  await responder.measure()
  const key = `picket_respond_lag_records{topic=incidents,partition=${PUMP_PARTITION}}`
  expect(metrics.value(key)).toBe(1)
  flush()
  await stage.clock.advance(0)
  await responder.measure()
  expect(metrics.value(key)).toBe(0)
  await stop()
})

it('counts nothing of it any more once another process leads', async () => {
  const { metrics, stop } = await stage.start()
  await stage.tell(incident())
  const gauges = ['picket_leases', 'picket_incidents_open', 'picket_enforcement']
  expect(gauges.map((name) => metrics.value(name))).toEqual([1, 1, 1])
  await stop()
  expect(gauges.map((name) => metrics.value(name))).toEqual([0, 0, 0])
})
