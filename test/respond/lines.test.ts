/** What respond says in the log of the process: a line for each thing that happened to an incident, a device or a notifier. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { Owned } from '../../src/log/log.ts'
import { closing, incident, keepingLogger, MemoryNotifier, SETTINGS } from './fleet.ts'
import { Stage } from './stage.ts'
import type { ProcessOptions } from './stage.ts'

const MINUTE = 60_000
const later = { status: 'retry', detail: 'HTTP 503' } as const
let stage: Stage

beforeEach(async () => {
  stage = new Stage()
  await stage.configure()
})

async function start(options: ProcessOptions = {}) {
  const { logger, lines } = keepingLogger()
  return { ...(await stage.start({ logger, ...options })), lines, /** What was said since this was last asked. */ said: () => lines.splice(0) }
}

describe('a line', () => {
  it('tells of an incident opened and closed, not of what comes between', async () => {
    const { said } = await start({ settings: { ...SETTINGS, classes: { default: SETTINGS.classes['monitor']! } } })
    await stage.tell(incident())
    await stage.tell(incident({ revision: 2 }))
    await stage.tell(closing({ revision: 3 }))
    expect(said()).toEqual(['info incident opened: vibration far above its band', 'info incident closed: vibration far above its band'])
  })

  it('tells of a quarantine after its incident, and of the release at its end', async () => {
    const { said, enforcer } = await start()
    enforcer.answers = ['done']
    await stage.tell(incident())
    expect(said()).toEqual([
      'info incident opened: vibration far above its band',
      'info quarantine decided: vibration far above its band; until 2023-11-14T22:23:20.000Z',
    ])
    await stage.clock.advance(10 * MINUTE)
    expect(said()).toEqual(['info release decided: the lease has ended'])
  })

  it('tells of a release that a person asked for', async () => {
    const { said, enforcer } = await start()
    enforcer.answers = ['done']
    await stage.ask({ kind: 'quarantine', id: 'r-1' })
    await stage.ask({ kind: 'release', id: 'r-2' })
    expect(said()).toEqual([
      'info quarantine decided: to be safe (asked by ana); until 2023-11-14T22:23:20.000Z',
      'info release decided: to be safe (asked by ana)',
    ])
  })

  it.each(['rejected', 'failed'] as const)('warns of a command that was %s', async (status) => {
    const { said, enforcer } = await start()
    await stage.ask({ kind: 'quarantine' })
    said()
    await enforcer.answer(enforcer.commands[0]!, status, { reason: 'no such valve' })
    expect(said()).toEqual([`warn quarantine ${status}: no such valve`])
  })

  it('warns of commands that nobody answered', async () => {
    const { said } = await start()
    await stage.ask({ kind: 'quarantine', forMs: 1_000 * MINUTE })
    said()
    await stage.clock.advance(60 * MINUTE)
    expect(said()).toEqual(['warn quarantine timed out: no answer from the device after 8 tries'])
    await stage.ask({ kind: 'release', id: 'r-2' })
    said()
    await stage.clock.advance(60 * MINUTE)
    expect(said()).toEqual(['warn release timed out: released, unacknowledged: no answer from the device after 8 tries'])
  })

  it('is not written before what it says is durable', async () => {
    let isHeld = false
    let held = 0
    const around = (owned: Owned): Owned => ({
      signal: owned.signal,
      confirmed: () => owned.confirmed(),
      restore: (each) => owned.restore(each),
      commit: (writes, cut) => (isHeld ? (held++, new Promise(() => {})) : owned.commit(writes, cut)),
    })
    const { lines } = await start({ around })
    isHeld = true
    await stage.tell(incident())
    expect([held, lines]).toEqual([1, []])
  })
})

describe('a notifier that fails', () => {
  const quiet = { ...SETTINGS, classes: { default: SETTINGS.classes['monitor']! } }
  const warnings = (lines: readonly string[]) => lines.filter((line) => !line.includes('incident'))

  it('is told of at once, then once a minute, and when it works again', async () => {
    const { said, notifier } = await start({ settings: quiet })
    notifier.answers.push(...Array.from({ length: 8 }, () => later))
    await stage.tell(incident())
    expect(warnings(said())).toEqual(['warn a notifier fails, it is tried again: HTTP 503'])
    await stage.clock.advance(59_999)
    expect(warnings(said())).toEqual([])
    await stage.clock.advance(10 * MINUTE)
    expect(warnings(said())).toEqual(['warn a notifier fails, it is tried again: HTTP 503', 'warn a notifier fails, it is tried again: HTTP 503', 'info a notifier works again'])
  })

  it('now and then floods nothing', async () => {
    const { said, notifier } = await start({ settings: quiet })
    for (let i = 0; i < 10; i++) {
      notifier.answers.push(later)
      await stage.tell(incident({ id: `incident-${i}` }))
      await stage.clock.advance(2_000)
    }
    expect(warnings(said())).toEqual(['warn a notifier fails, it is tried again: HTTP 503', 'info a notifier works again'])
  })

  it('for good is told of, once a minute, each notifier by itself', async () => {
    const notifiers = [new MemoryNotifier('mail'), new MemoryNotifier('chat')]
    const { said } = await start({ settings: quiet, notifiers })
    for (const { answers } of notifiers) answers.push(...Array.from({ length: 3 }, () => ({ status: 'failed', detail: 'HTTP 410' }) as const))
    await stage.tell(incident({ id: 'a' }))
    await stage.tell(incident({ id: 'b' }))
    expect(warnings(said())).toEqual(['warn a notification is given up: HTTP 410', 'warn a notification is given up: HTTP 410'])
    await stage.clock.advance(MINUTE)
    await stage.tell(incident({ id: 'c' }))
    expect(warnings(said())).toEqual(['warn a notification is given up: HTTP 410', 'warn a notification is given up: HTTP 410'])
  })

  it('beyond the bound on what waits is told of', async () => {
    const { said, notifier } = await start({ settings: quiet, limits: { notifications: 1 } })
    notifier.answers.push(...Array.from({ length: 9 }, () => later))
    await stage.tell(incident({ id: 'a' }))
    await stage.tell(incident({ id: 'b' }))
    expect(warnings(said())).toContain('warn a notification is dropped: 1 notifications wait already')
  })
})
