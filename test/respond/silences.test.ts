/** What is silenced is neither told nor acted on until the silence is over; then people hear what is still so. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { Request } from '../../src/core/request.ts'
import type { SilenceMatch } from '../../src/core/standing.ts'
import type { Owned } from '../../src/log/log.ts'
import { closing, incident, keepingLogger } from './fleet.ts'
import { Stage } from './stage.ts'

const MINUTE = 60_000
const HOUR = 3_600_000
let stage: Stage

beforeEach(async () => {
  stage = new Stage()
  await stage.configure()
})

function silence(match: SilenceMatch, fields: Partial<Request> = {}): Promise<void> {
  return stage.ask({ kind: 'silence', device: '', id: 'silence-1', match, forMs: HOUR, ...fields })
}
const unsilence = (id = 'silence-1') => stage.ask({ kind: 'unsilence', device: '', id: `end of ${id}`, silence: id })

describe('a silenced incident', () => {
  it('is told to nobody and quarantines nobody', async () => {
    const { notifier, enforcer, metrics } = await stage.start()
    await silence({ device: 'pump-1' })
    await stage.tell(incident())
    await stage.tell(incident({ revision: 2 }))
    expect([notifier.received, enforcer.commands]).toEqual([[], []])
    expect(stage.told('notify')).toEqual(['decision held'])
    expect(stage.lines().at(-1)!.reason).toBe('silenced by silence-1')
    expect(metrics.value('picket_notifications_total{notifier=people,outcome=silenced}')).toBe(2)
  })

  it.each<[string, SilenceMatch, boolean]>([
    ['its class', { class: 'pump' }, true],
    ['another class', { class: 'valve' }, false],
    ['its cause', { cause: 'telemetry' }, true],
    ['another cause', { cause: 'limit' }, false],
    ['its label', { labels: { site: 'north' } }, true],
    ['another value of it', { labels: { site: 'south' } }, false],
    ['a label it has not', { labels: { hall: '1' } }, false],
    ['a name that objects have', { labels: { constructor: 'x' } }, false],
    ['all that is said', { device: 'pump-1', class: 'pump', cause: 'telemetry', labels: { site: 'north' } }, true],
    ['all but one', { device: 'pump-2', class: 'pump', cause: 'telemetry', labels: { site: 'north' } }, false],
  ])('is one of %s', async (_what, match, isSilenced) => {
    const { notifier, responder } = await stage.start()
    await silence(match)
    const one = incident({ labels: { site: 'north' } })
    await stage.tell(one)
    expect(notifier.received).toHaveLength(isSilenced ? 0 : 1)
    expect(responder.standing()!.silencedBy(one)).toEqual(isSilenced ? ['silence-1'] : [])
  })

  it('stands in the log of the process with the silence', async () => {
    const said: unknown[] = []
    const { logger } = keepingLogger()
    await stage.start({ logger: { ...logger, info: (fields) => void said.push(fields) } })
    await silence({ class: 'pump' })
    await stage.tell(incident())
    expect(said.at(-1)).toMatchObject({ incident: 'incident-1', silencedBy: ['silence-1'] })
  })

  it('leaves its device’s lease alone', async () => {
    const { enforcer } = await stage.start()
    await stage.tell(incident())
    await silence({ device: 'pump-1' })
    await stage.tell(incident({ revision: 2 }))
    await stage.clock.advance(9 * MINUTE)
    expect(stage.lease()).toMatchObject({ state: 'active' })
    expect(new Set(enforcer.commands.map(({ kind }) => kind))).toEqual(new Set(['quarantine']))
  })
})

describe('when a silence is over', () => {
  it('people are told of the incident that is still open, in its last revision, and its device is quarantined', async () => {
    const { notifier, enforcer } = await stage.start()
    await silence({ device: 'pump-1' })
    await stage.tell(incident())
    await stage.tell(incident({ revision: 2 }))
    await stage.clock.advance(HOUR)
    expect(notifier.received.map((one) => one.incident.revision)).toEqual([2])
    expect(enforcer.commands).toMatchObject([{ kind: 'quarantine', lease: { device: 'pump-1' } }])
    expect(stage.rows('silence/').size).toBe(0)
    expect(stage.told('silence over')).toEqual(['note'])
  })

  it('by a person, the same', async () => {
    const { notifier } = await stage.start()
    await silence({ device: 'pump-1' })
    await stage.tell(incident())
    await unsilence()
    expect(notifier.received).toHaveLength(1)
    await stage.clock.advance(2 * HOUR)
    expect(notifier.received).toHaveLength(1)
    expect(stage.told('unsilence')).toEqual(['decision'])
  })

  it('people are told again of what they knew before it, under an id of its own', async () => {
    const { notifier } = await stage.start()
    await stage.tell(incident({ severity: 'minor' }))
    await silence({ device: 'pump-1' })
    await stage.clock.advance(HOUR)
    expect(notifier.received.map((one) => one.incident.revision)).toEqual([1, 1])
    expect(new Set(notifier.received.map(({ id }) => id)).size).toBe(2)
  })

  it('a closing they would miss is told, one of an incident they never heard of is not', async () => {
    const { notifier } = await stage.start()
    await stage.tell(incident({ severity: 'minor' }))
    await silence({ device: 'pump-1' })
    await stage.tell(closing())
    await stage.tell(incident({ id: 'incident-2', severity: 'minor' }))
    await stage.tell(closing({ id: 'incident-2' }))
    expect(notifier.received).toHaveLength(1)
    expect(stage.rows('owed/').size).toBe(1)
    await stage.clock.advance(HOUR)
    expect(notifier.received.map((one) => `${one.incident.id} ${one.incident.state}`)).toEqual(['incident-1 open', 'incident-1 closed'])
    expect(stage.rows('owed/').size).toBe(0)
  })

  it('a closing that comes before its end was looked at is not told of an incident they never heard of', async () => {
    const { notifier } = await stage.start()
    await silence({ device: 'pump-1' })
    await stage.tell(incident({ severity: 'minor' }))
    stage.clock.step(HOUR)
    await stage.tell(closing())
    await stage.clock.advance(MINUTE)
    expect(notifier.received).toEqual([])
    expect(stage.rows('incident/').size).toBe(0)
  })

  it('closings that are owed beyond the bound are dropped and counted', async () => {
    const { notifier, metrics } = await stage.start({ limits: { incidents: 1 } })
    for (const i of [1, 2]) {
      const about = { id: `incident-${i}`, device: `pump-${i}`, severity: 'minor' } as const
      await stage.tell(incident(about))
      await silence({ device: about.device }, { id: `silence-${i}` })
      await stage.tell(closing(about))
    }
    expect(metrics.value('picket_messages_dropped_total{stage=respond,reason=owed-full}')).toBe(1)
    await stage.clock.advance(HOUR)
    expect(notifier.received.filter((one) => one.incident.state === 'closed').map((one) => one.incident.id)).toEqual(['incident-1'])
  })

  it('nothing is told that another silence still mutes', async () => {
    const { notifier } = await stage.start()
    await silence({ device: 'pump-1' })
    await silence({ class: 'pump' }, { id: 'silence-2', forMs: 2 * HOUR })
    await stage.tell(incident())
    await stage.clock.advance(HOUR)
    expect(notifier.received).toEqual([])
    await stage.clock.advance(HOUR)
    expect(notifier.received).toHaveLength(1)
  })

  it('many are told a hundred a commit, each once', async () => {
    const told: number[] = []
    const around = (owned: Owned): Owned => ({
      signal: owned.signal,
      confirmed: () => owned.confirmed(),
      restore: (each) => owned.restore(each),
      commit: (writes, cut) => {
        const all = [...writes]
        told.push(all.filter(({ topic, value }) => topic === 'actions' && String(value).includes('"action":"notify"')).length)
        return owned.commit(all, cut)
      },
    })
    const { notifier } = await stage.start({ around })
    await silence({ class: 'pump' })
    for (let i = 0; i < 250; i++) await stage.tell(incident({ id: `incident-${i}`, device: `pump-${i}`, severity: 'minor' }))
    await unsilence()
    await stage.clock.advance(10)
    expect(new Set(notifier.received.map((one) => one.incident.id)).size).toBe(250)
    expect(notifier.received).toHaveLength(250)
    expect(told.filter((count) => count > 1)).toEqual([100, 100, 50])
    expect(stage.rows('silence/').size).toBe(0)
  })
})

it('stands in the log of the process when it begins and when it is over', async () => {
  const { logger, lines } = keepingLogger()
  await stage.start({ logger })
  await silence({ device: 'pump-1' })
  expect(lines).toEqual(['info silenced: device pump-1, until 2023-11-14T23:13:20.000Z: to be safe (asked by ana); silence silence-1'])
  await stage.clock.advance(HOUR)
  expect(lines.slice(1)).toEqual(['info a silence is over: device pump-1'])
})

it('that a person ended rings no more', async () => {
  await stage.start()
  const before = stage.clock.pending
  await silence({ device: 'pump-1' })
  await unsilence()
  expect(stage.clock.pending).toBe(before)
})

it('names a label apart from what is called the same', async () => {
  await stage.start()
  await silence({ device: 'pump-1', labels: { device: 'pump-2' } })
  expect(stage.lines().at(-1)!.reason).toContain('device pump-1, device pump-2')
})

describe('a silence', () => {
  it('outlives its leader, and ends on time under the next', async () => {
    const first = await stage.start()
    await silence({ device: 'pump-1' })
    await stage.tell(incident())
    await first.stop()
    const second = await stage.start()
    await stage.tell(incident({ revision: 2 }))
    expect(second.notifier.received).toEqual([])
    expect(second.responder.standing()!.silences).toMatchObject([{ id: 'silence-1', match: { device: 'pump-1' }, by: 'ana', reason: 'to be safe' }])
    await stage.clock.advance(HOUR)
    expect(second.notifier.received).toHaveLength(1)
  })

  it('counts from when it was asked for, not from when it is read', async () => {
    await silence({ device: 'pump-1' })
    await stage.clock.advance(2 * HOUR)
    const { notifier } = await stage.start()
    await stage.tell(incident({ updatedAt: stage.clock.now() }))
    expect(notifier.received).toHaveLength(1)
    expect(stage.told('silence')).toEqual(['decision held'])
  })

  it('beyond the bound is refused', async () => {
    const { responder } = await stage.start({ limits: { silences: 1 } })
    await silence({ device: 'pump-1' })
    await silence({ device: 'pump-2' }, { id: 'silence-2' })
    expect(responder.standing()!.silences).toHaveLength(1)
    expect(stage.told('silence')).toEqual(['decision', 'decision refused'])
  })

  it('that is not in force can’t be ended', async () => {
    await stage.start()
    await unsilence('no-such')
    expect(stage.told('unsilence')).toEqual(['decision held'])
  })
})

it('holds back what waits for the governor too', async () => {
  const policy = { enforcement: 'on', quarantines: { perMinute: 1, atOnce: 100, group: null } } as const
  const { enforcer } = await stage.start({ policy })
  await stage.tell(incident({ id: 'incident-0', device: 'pump-0' }))
  await stage.tell(incident())
  await silence({ device: 'pump-1' })
  await stage.clock.advance(10 * MINUTE - 1)
  expect(new Set(enforcer.commands.map(({ lease }) => lease.device))).toEqual(new Set(['pump-0']))
  await stage.clock.advance(HOUR)
  expect(new Set(enforcer.commands.map(({ lease }) => lease.device))).toEqual(new Set(['pump-0', 'pump-1']))
})
