/** What every notifier owes respond; run on the memory adapter and on the webhook. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Notice, Notification, Notifier } from '../../src/respond/notifier.ts'
import { incident } from './fleet.ts'

export interface NotifierUnderTest {
  readonly notifier: Notifier
  /** What reached the far end, in order. */
  readonly received: () => readonly Notification[]
  readonly said: () => readonly { readonly id: string; readonly notice: Notice }[]
  /** The far end can't take the next one now. */
  readonly refuseNext: () => void
  readonly close: () => Promise<void>
}

export function notifierContract(make: () => Promise<NotifierUnderTest>): void {
  let test: NotifierUnderTest
  beforeEach(async () => {
    test = await make()
  })
  afterEach(() => test.close())

  it('delivers id and whole incident', async () => {
    const notification = { id: 'notification-1', incident: incident({ labels: { site: 'Aše/1' } }) }
    expect(await test.notifier.notify(notification)).toMatchObject({ status: 'done' })
    expect(test.received()).toEqual([notification])
  })

  it('delivers a repeat under its id again: the receiver tells', async () => {
    const notification = { id: 'notification-1', incident: incident() }
    await test.notifier.notify(notification)
    await test.notifier.notify(notification)
    expect(test.received().map(({ id }) => id)).toEqual(['notification-1', 'notification-1'])
  })

  it('says retry, and does not reject, when the far end can\'t now', async () => {
    test.refuseNext()
    expect(await test.notifier.notify({ id: 'notification-1', incident: incident() })).toMatchObject({ status: 'retry' })
    expect(await test.notifier.notify({ id: 'notification-1', incident: incident() })).toMatchObject({ status: 'done' })
  })

  it('delivers what is about no incident under its id', async () => {
    const notice = { kind: 'enforcement', state: 'off', reason: 'false alarms', by: 'ana', at: 5 } as const
    expect(await test.notifier.say('notice-1', notice)).toMatchObject({ status: 'done' })
    expect(test.said()).toEqual([{ id: 'notice-1', notice }])
  })

  it('delivers what else is known of the incident', async () => {
    const group = { id: 'group-1', device: 'pump-1', open: [{ id: 'incident-1', cause: 'limit', severity: 'minor' }] } as const
    const notification = { id: 'notification-1', incident: incident(), incidents: [incident()], group, response: { quarantine: 'held', reason: 'why' } } as const
    await test.notifier.notify(notification)
    expect(test.received()).toEqual([notification])
  })

  it('delivers several at once', async () => {
    const ids = ['a', 'b', 'c', 'd']
    await Promise.all(ids.map((id) => test.notifier.notify({ id, incident: incident() })))
    expect(test.received().map(({ id }) => id).toSorted()).toEqual(ids)
  })
}
