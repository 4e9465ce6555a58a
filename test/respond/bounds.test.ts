/** What respond holds has an end, and what meets it is said. */
import { beforeEach, describe, expect, it } from 'vitest'
import { getEventListeners } from 'node:events'
import { PipelineError } from '../../src/core/errors.ts'
import { incident, keepingLogger } from './fleet.ts'
import { PUMP_PARTITION, Stage } from './stage.ts'

let stage: Stage

beforeEach(async () => {
  stage = new Stage()
  await stage.configure()
})

describe('a full outbox', () => {
  it('stops the reading of incidents until it drains, and readiness says so', async () => {
    const { enforcer, responder, metrics } = await stage.start({ limits: { outbox: 2 } })
    for (let i = 0; i < 3; i++) await stage.tell(incident({ id: `incident-${i}`, device: `pump-${i}` }))
    expect(enforcer.commands).toHaveLength(2)
    expect(metrics.value('picket_outbox')).toBe(2)
    expect(responder.readiness()).toEqual([expect.stringContaining('outbox full, 2 commands and records wait')])
    await enforcer.answer(enforcer.commands[0]!, 'done')
    await stage.clock.advance(0)
    expect(enforcer.commands).toHaveLength(3)
  })

  it('leaves nothing behind on the stop signal each time it drains', async () => {
    const signals: AbortSignal[] = []
    const { enforcer } = await stage.start({
      limits: { outbox: 1 },
      onLog: (log) => {
        const tail = log.tail.bind(log)
        log.tail = (topic, from, each, signal) => {
          signals.push(signal)
          return tail(topic, from, each, signal)
        }
      },
    })
    const listeners = () => getEventListeners(signals[0]!, 'abort').length
    const before = listeners()
    for (let i = 0; i < 5; i++) await stage.tell(incident({ id: `incident-${i}`, device: `pump-${i}` }))
    expect(listeners()).toBeGreaterThan(before)
    for (let i = 0; i < 5; i++) {
      await enforcer.answer(enforcer.commands[i]!, 'done')
      await stage.clock.advance(0)
    }
    expect(enforcer.commands).toHaveLength(5)
    expect(listeners()).toBe(before)
  })

  it('lets the process stop', async () => {
    const { stop, responder } = await stage.start({ limits: { outbox: 1 } })
    for (let i = 0; i < 3; i++) await stage.tell(incident({ id: `incident-${i}`, device: `pump-${i}` }))
    expect(responder.readiness()).toHaveLength(1)
    await stop()
    expect(stage.rows('lease/').size).toBe(1)
    expect(responder.readiness()).toEqual([])
  })
})

it('acts on incidents beyond the bound on open ones, though it does not hold them', async () => {
  const { enforcer, metrics } = await stage.start({ limits: { incidents: 1 } })
  await stage.tell(incident())
  await stage.tell(incident({ id: 'incident-2', device: 'pump-2' }))
  expect(enforcer.commands).toHaveLength(2)
  expect(stage.rows('incident/').size).toBe(1)
  expect(metrics.value('picket_messages_dropped_total{stage=respond,reason=full}')).toBe(1)
})

it('drops answers beyond the bound on those that wait, and the device is asked again', async () => {
  const { log, enforcer, metrics } = await stage.start({ limits: { acks: 1 } })
  await stage.tell(incident())
  const flush = log.stall()
  for (let i = 0; i < 4; i++) void enforcer.answer(enforcer.commands[0]!, 'accepted')
  await stage.clock.advance(0)
  expect(metrics.value('picket_messages_dropped_total{stage=ack,reason=full}')).toBeGreaterThan(0)
  flush()
})

it('says what retention took before it was read', async () => {
  const first = await stage.start()
  await stage.tell(incident({ severity: 'minor' }))
  await first.stop()
  for (let revision = 2; revision < 6; revision++) await stage.tell(incident({ severity: 'minor', revision }))
  stage.cluster.trim('incidents', PUMP_PARTITION, 5)
  const { metrics } = await stage.start()
  expect(metrics.value('picket_messages_dropped_total{stage=respond,reason=retention}')).toBe(3)
  expect(stage.lines().find((line) => line.action === 'loss')).toMatchObject({ kind: 'note', reason: expect.stringContaining('3 records') as string })
})

it('says once what retention took, though the commit of it failed', async () => {
  const first = await stage.start()
  await stage.tell(incident({ severity: 'minor' }))
  await first.stop()
  for (let revision = 2; revision < 6; revision++) await stage.tell(incident({ severity: 'minor', revision }))
  stage.cluster.trim('incidents', PUMP_PARTITION, 5)
  const { logger, lines } = keepingLogger()
  let isBroken = true
  const { metrics } = await stage.start({
    logger,
    around: (owned) => ({
      signal: owned.signal,
      confirmed: () => owned.confirmed(),
      restore: (each) => owned.restore(each),
      commit: (writes, cut) => {
        const all = [...writes]
        if (isBroken && all.some(({ key }) => key === `offset/incidents/${PUMP_PARTITION}`)) throw new PipelineError('IO', 'the disk said no')
        return owned.commit(all, cut)
      },
    }),
  })
  isBroken = false
  await stage.clock.advance(1_000)
  expect(stage.told('loss')).toEqual(['note'])
  expect(metrics.value('picket_messages_dropped_total{stage=respond,reason=retention}')).toBe(3)
  expect(lines.filter((line) => line.includes('retention'))).toHaveLength(1)
})

it('reads a recreated topic from its start', async () => {
  const first = await stage.start()
  await stage.tell(incident({ severity: 'minor' }))
  await stage.tell(incident({ severity: 'minor', revision: 2 }))
  await first.stop()
  stage.cluster.recreate('incidents')
  const { enforcer } = await stage.start()
  await stage.tell(incident({ id: 'incident-2' }))
  expect(enforcer.commands).toHaveLength(1)
})

it('skips and counts a record that can\'t be read', async () => {
  const { enforcer, metrics } = await stage.start()
  await stage.append('incidents', PUMP_PARTITION, Buffer.from('nonsense'))
  await stage.tell(incident())
  expect(metrics.value('picket_messages_dropped_total{stage=respond,reason=bad-record}')).toBe(1)
  expect(enforcer.commands).toHaveLength(1)
})
