/** What people ask: early quarantines and releases, each once. */
import { beforeEach, describe, expect, it } from 'vitest'
import { checkRequest, decodeRequest, encodeRequest } from '../../src/core/request.ts'
import { incident } from './fleet.ts'
import { Stage } from './stage.ts'

const MINUTE = 60_000
let stage: Stage

beforeEach(async () => {
  stage = new Stage()
  await stage.configure()
})

describe('a person', () => {
  it('quarantines a device for as long as they say', async () => {
    const { enforcer } = await stage.start()
    await stage.ask({ kind: 'quarantine', forMs: 2 * MINUTE })
    expect(enforcer.commands).toMatchObject([{ kind: 'quarantine', lease: { device: 'pump-1', incident: '', until: stage.clock.now() + 2 * MINUTE } }])
    expect(stage.lines().find((line) => line.action === 'quarantine')!.reason).toContain('to be safe (asked by ana)')
    await stage.clock.advance(2 * MINUTE)
    expect(enforcer.commands.at(-1)).toMatchObject({ kind: 'release' })
  })

  it('releases one before its time', async () => {
    const { enforcer, responder } = await stage.start()
    enforcer.answers = ['done']
    await stage.tell(incident())
    expect(responder.standing()!.isQuarantined('pump-1')).toBe(true)
    await stage.ask({ kind: 'release' })
    expect(responder.standing()!.isQuarantined('pump-1')).toBe(false)
    expect(enforcer.commands).toMatchObject([{ kind: 'quarantine' }, { kind: 'release' }])
    expect(stage.lease()).toBeUndefined()
    await stage.clock.advance(20 * MINUTE)
    expect(enforcer.commands).toHaveLength(2)
  })

  it('who asks twice under one id is obeyed once, by the next leader too', async () => {
    const first = await stage.start()
    first.enforcer.answers = ['done']
    await stage.ask({ kind: 'quarantine', forMs: MINUTE })
    await stage.clock.advance(2 * MINUTE)
    await stage.ask({ kind: 'quarantine', forMs: MINUTE })
    expect(first.enforcer.commands).toHaveLength(2)
    await first.stop()
    const { enforcer, metrics } = await stage.start()
    await stage.ask({ kind: 'quarantine', forMs: MINUTE })
    expect(enforcer.commands).toEqual([])
    expect(metrics.value('picket_messages_dropped_total{stage=request,reason=repeated}')).toBe(1)
  })

  it('releases a device that is being released already, so that what is open does not quarantine it again', async () => {
    const { enforcer } = await stage.start()
    await stage.tell(incident())
    await stage.clock.advance(10 * MINUTE)
    expect(stage.lease()).toMatchObject({ state: 'releasing' })
    await stage.ask({ kind: 'release' })
    await stage.tell(incident({ revision: 2, updatedAt: stage.clock.now() }))
    expect(enforcer.commands.filter(({ kind, lease }) => kind === 'quarantine' && lease.issuedAt > enforcer.commands[0]!.lease.issuedAt)).toEqual([])
    expect(stage.lines().find((line) => line.action === 'release' && line.reason.includes('ana'))!.reason).toBe('being released already, and not to be quarantined again: to be safe (asked by ana)')
    await stage.ask({ kind: 'release', id: 'request-2' })
    expect(stage.lines().at(-1)).toMatchObject({ outcome: 'held', reason: expect.stringContaining('being released already; request') as string })
  })

  it('quarantines nobody with what would be over by the time it is read', async () => {
    await stage.ask({ kind: 'quarantine', forMs: 2 * MINUTE })
    await stage.ask({ kind: 'quarantine', id: 'request-2', device: 'pump-2' })
    await stage.clock.advance(2 * MINUTE)
    const { enforcer } = await stage.start()
    expect(enforcer.commands).toMatchObject([{ lease: { device: 'pump-2' } }])
    expect(stage.lines().find(({ device }) => device === 'pump-1')).toMatchObject({ outcome: 'held', reason: expect.stringContaining('it would be over before it was read') as string })
  })

  it('is told by the ledger why nothing was done', async () => {
    await stage.start()
    await stage.ask({ kind: 'release' })
    await stage.ask({ kind: 'quarantine', id: 'request-2' })
    await stage.ask({ kind: 'quarantine', id: 'request-3' })
    expect(stage.lines().filter((line) => line.outcome === 'held').map((line) => line.reason)).toEqual([
      expect.stringContaining('not quarantined'),
      expect.stringContaining('already quarantined'),
    ])
  })

  it('acknowledges an incident', async () => {
    await stage.start()
    await stage.ask({ kind: 'acknowledge', incident: 'incident-1' })
    expect(stage.lines().at(-1)).toMatchObject({ kind: 'note', action: 'acknowledge', incident: 'incident-1' })
  })
})

it('skips and counts what is no request', async () => {
  const { enforcer, metrics } = await stage.start()
  await stage.append('requests', 0, Buffer.from('{"kind":"explode"}'))
  await stage.ask({ kind: 'quarantine' })
  expect(metrics.value('picket_messages_dropped_total{stage=respond,reason=bad-record}')).toBe(1)
  expect(enforcer.commands).toHaveLength(1)
})

describe('a request', () => {
  const good = { id: 'a', kind: 'quarantine', device: 'pump-1', forMs: 5_000, incident: '', reason: 'why', by: 'ana', at: 1 } as const

  it('survives the log', () => {
    expect(decodeRequest(encodeRequest(good))).toEqual(good)
  })

  it.each([
    [{ kind: 'explode' }, 'kind must be one of quarantine, release, acknowledge'],
    [{ device: '' }, 'device must be a text of 1 to 1024 characters'],
    [{ forMs: 0 }, 'forMs must be 1000 to 2592000000 ms'],
    [{ forMs: Infinity }, 'forMs must be'],
    [{ reason: 7 }, 'reason must be a text'],
    [{ at: 'now' }, 'at must be ms since epoch'],
    [{ kind: 'acknowledge' }, 'incident must be a text of 1 to 64 characters'],
  ])('is refused with %j', (fields, message) => {
    expect(() => checkRequest({ ...good, ...fields })).toThrow(message)
  })

  it('has a length only where it quarantines', () => {
    expect(checkRequest({ ...good, kind: 'release' }).forMs).toBeNull()
  })
})
