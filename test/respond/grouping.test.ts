/** A device's incidents are one thread to people, and one quarantine to the device. */
import { beforeEach, describe, expect, it } from 'vitest'
import { closing, incident, MemoryNotifier, START } from './fleet.ts'
import { Stage } from './stage.ts'

const GATHER_MS = 30_000
const later = { status: 'retry', detail: 'HTTP 503' } as const
let stage: Stage

beforeEach(async () => {
  stage = new Stage()
  await stage.configure()
})

describe('a notification', () => {
  it('names what is open about its device, under one id', async () => {
    const { notifier } = await stage.start()
    await stage.tell(incident({ severity: 'minor' }))
    await stage.tell(incident({ id: 'incident-2', cause: 'limit', severity: 'major', openedAt: START + 1 }))
    await stage.tell(incident({ id: 'incident-3', device: 'pump-2', severity: 'minor' }))
    await stage.tell(closing())
    const groups = notifier.received.map(({ group }) => group!)
    expect(groups.map(({ open }) => open)).toEqual([
      [{ id: 'incident-1', cause: 'telemetry', severity: 'minor' }],
      [{ id: 'incident-1', cause: 'telemetry', severity: 'minor' }, { id: 'incident-2', cause: 'limit', severity: 'major' }],
      [{ id: 'incident-3', cause: 'telemetry', severity: 'minor' }],
      [{ id: 'incident-2', cause: 'limit', severity: 'major' }],
    ])
    expect(groups.map(({ device }) => device)).toEqual(['pump-1', 'pump-1', 'pump-2', 'pump-1'])
    expect(groups[0]!.id).toBe(groups[3]!.id)
    expect(groups[0]!.id).not.toBe(groups[2]!.id)
  })

  it('has the same body in every retry, whatever became of the device meanwhile', async () => {
    const { notifier } = await stage.start()
    notifier.answers.push(later)
    await stage.tell(incident({ severity: 'minor' }))
    await stage.tell(incident({ id: 'incident-2', severity: 'minor' }))
    await stage.clock.advance(1_000)
    const [first, , again] = notifier.received
    expect(again).toEqual(first)
  })
})

describe('a notifier that gathers', () => {
  it('is told the revisions of a device within the time at once', async () => {
    const notifier = new MemoryNotifier('mail', GATHER_MS)
    await stage.start({ notifiers: [notifier] })
    await stage.tell(incident({ severity: 'minor' }))
    await stage.clock.advance(10_000)
    await stage.tell(incident({ id: 'incident-2', severity: 'minor' }))
    await stage.tell(incident({ id: 'incident-3', device: 'pump-2', severity: 'minor' }))
    await stage.tell(closing({ severity: 'minor' }))
    await stage.clock.advance(GATHER_MS - 10_001)
    expect(notifier.received).toEqual([])
    await stage.clock.advance(1)
    expect(notifier.received).toMatchObject([{ incident: { id: 'incident-1', state: 'closed' }, group: { open: [{ id: 'incident-2' }] } }])
    expect(notifier.received[0]!.incidents!.map(({ id, revision }) => `${id} ${revision}`)).toEqual(['incident-1 1', 'incident-2 1', 'incident-1 2'])
    await stage.clock.advance(10_000)
    expect(notifier.received.map((one) => one.incident.device)).toEqual(['pump-1', 'pump-2'])
  })

  it('gathers anew for what comes after', async () => {
    const notifier = new MemoryNotifier('mail', GATHER_MS)
    notifier.answers.push(later)
    await stage.start({ notifiers: [notifier] })
    await stage.tell(incident({ severity: 'minor' }))
    await stage.clock.advance(GATHER_MS)
    await stage.tell(incident({ revision: 2, severity: 'minor' }))
    await stage.clock.advance(GATHER_MS)
    expect(notifier.received.map(({ incidents }) => incidents!.map(({ revision }) => revision))).toEqual([[1], [1], [2]])
  })

  it('is told at once when there is much', async () => {
    const notifier = new MemoryNotifier('mail', GATHER_MS)
    await stage.start({ notifiers: [notifier] })
    for (let revision = 1; revision <= 33; revision++) await stage.tell(incident({ revision, severity: 'minor' }))
    expect(notifier.received.map(({ incidents }) => incidents!.length)).toEqual([32])
    await stage.clock.advance(2 * GATHER_MS)
    expect(notifier.received.map(({ incidents }) => incidents!.length)).toEqual([32, 1])
  })

  it('loses nothing by a takeover', async () => {
    const first = await stage.start({ notifiers: [new MemoryNotifier('mail', GATHER_MS)] })
    await stage.tell(incident({ severity: 'minor' }))
    await first.stop()
    const notifier = new MemoryNotifier('mail', GATHER_MS)
    await stage.start({ notifiers: [notifier] })
    await stage.tell(incident({ revision: 2, severity: 'minor' }))
    expect(notifier.received).toEqual([])
    await stage.clock.advance(GATHER_MS)
    expect(notifier.received.map(({ incidents }) => incidents!.length)).toEqual([2])
  })
})

it('a device with several severe incidents is quarantined once, until its lease ends', async () => {
  const { enforcer } = await stage.start()
  enforcer.answers = ['done']
  for (const id of ['a', 'b', 'c']) await stage.tell(incident({ id }))
  expect(enforcer.commands.map(({ kind }) => kind)).toEqual(['quarantine'])
  await stage.clock.advance(600_000)
  expect(enforcer.commands.map(({ kind }) => kind)).toEqual(['quarantine', 'release'])
})
