/** People are told of every revision, once by id, and a way that is closed for now is tried again. */
import { beforeEach, describe, expect, it } from 'vitest'
import { closing, incident, MemoryNotifier, opened, revision } from './fleet.ts'
import { Stage } from './stage.ts'

const HOUR = 3_600_000
const later = { status: 'retry', detail: 'HTTP 503' } as const
let stage: Stage

beforeEach(async () => {
  stage = new Stage()
  await stage.configure()
})

describe('a revision', () => {
  it('goes to every notifier, whole, under an id of its own', async () => {
    const two = [new MemoryNotifier('mail'), new MemoryNotifier('chat')]
    await stage.start({ notifiers: two })
    await stage.tell(incident())
    await stage.tell(closing())
    for (const { received } of two) expect(received.map((notification) => notification.incident)).toEqual([incident(), closing()])
    expect(new Set(two.flatMap(({ received }) => received.map(({ id }) => id))).size).toBe(4)
    expect(stage.told('notify mail')).toEqual(['outcome done', 'outcome done'])
  })

  it('that is made again by the next owner is not told again', async () => {
    const { notifier } = await stage.start()
    await stage.put(revision(500, incident()))
    await stage.put(opened(400, 2, []))
    await stage.put(revision(500, incident(), { epoch: 2 }))
    expect(notifier.received).toHaveLength(1)
  })
})

describe('a notifier that can\'t now', () => {
  it('is tried again under the same id, after longer and longer pauses', async () => {
    const { notifier, metrics } = await stage.start()
    notifier.answers.push(later, later)
    await stage.tell(incident())
    await stage.clock.advance(999)
    expect(notifier.received).toHaveLength(1)
    await stage.clock.advance(1)
    expect(notifier.received).toHaveLength(2)
    await stage.clock.advance(1_999)
    expect(notifier.received).toHaveLength(2)
    await stage.clock.advance(1)
    expect(notifier.received).toHaveLength(3)
    expect(new Set(notifier.received.map(({ id }) => id)).size).toBe(1)
    expect(metrics.value('picket_notifications_total{notifier=people,outcome=retry}')).toBe(2)
    expect(metrics.value('picket_notifications_total{notifier=people,outcome=done}')).toBe(1)
  })

  it('is given up after a day', async () => {
    const { notifier, metrics } = await stage.start()
    notifier.answers.push(...Array.from({ length: 1_000 }, () => later))
    await stage.tell(incident())
    await stage.clock.advance(25 * HOUR)
    const tried = notifier.received.length
    expect(tried).toBeGreaterThan(250)
    expect(tried).toBeLessThan(301)
    await stage.clock.advance(HOUR)
    expect(notifier.received).toHaveLength(tried)
    expect(metrics.value('picket_notifications_total{notifier=people,outcome=failed}')).toBe(1)
    expect(stage.lines().find((line) => line.action === 'notify people')).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('HTTP 503') as string })
  })

  it('never keeps a device from being quarantined: beyond the bound, notifications are dropped and counted', async () => {
    const { notifier, enforcer, metrics } = await stage.start({ limits: { notifications: 2 } })
    notifier.answers.push(...Array.from({ length: 10 }, () => later))
    for (let i = 0; i < 4; i++) await stage.tell(incident({ id: `incident-${i}`, device: `pump-${i}` }))
    expect(enforcer.commands).toHaveLength(4)
    expect(metrics.value('picket_notifications_total{notifier=people,outcome=dropped}')).toBe(2)
    expect(stage.told('notify people')).toEqual(['outcome dropped', 'outcome dropped'])
  })
})

it('fails at once where the notifier says never', async () => {
  const { notifier } = await stage.start()
  notifier.answers.push({ status: 'failed', detail: 'HTTP 410' })
  await stage.tell(incident())
  await stage.clock.advance(HOUR)
  expect(notifier.received).toHaveLength(1)
  expect(stage.told('notify people')).toEqual(['outcome failed'])
})

it('takes a notifier that rejects for one that can\'t now', async () => {
  const { notifier } = await stage.start()
  const { notify } = notifier
  notifier.notify = async () => {
    notifier.notify = notify
    throw new Error('broken adapter')
  }
  await stage.tell(incident())
  await stage.clock.advance(1_000)
  expect(notifier.received).toHaveLength(1)
})

it('ends a notification whose notifier is no longer configured', async () => {
  const first = await stage.start()
  first.notifier.answers.push(later)
  await stage.tell(incident())
  await first.stop()
  await stage.start({ notifiers: [] })
  expect(stage.told('notify people')).toEqual(['outcome failed'])
})
