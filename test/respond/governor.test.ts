/** So many quarantines a minute and at once, and no more; what is held back is said once and tried again. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { ResponsePolicy } from '../../src/core/settings.ts'
import type { Owned } from '../../src/log/log.ts'
import { closing, incident, keepingLogger, UNGOVERNED } from './fleet.ts'
import { Stage } from './stage.ts'
import type { Process } from './stage.ts'

const SECOND = 1_000
const MINUTE = 60_000
let stage: Stage

beforeEach(async () => {
  stage = new Stage()
  await stage.configure()
})

function bounded(quarantines: Partial<ResponsePolicy['quarantines']>): ResponsePolicy {
  return { ...UNGOVERNED, quarantines: { ...UNGOVERNED.quarantines, ...quarantines } }
}

/** Devices `pump-FROM` to before `pump-TO` go bad, each with an incident of its own. */
async function goBad(from: number, to: number, fields: Parameters<typeof incident>[0] = {}): Promise<void> {
  for (let i = from; i < to; i++) await stage.tell(incident({ id: `incident-${i}`, device: `pump-${i}`, ...fields }))
}

/** Devices in the order they were first asked in, by command: a device that doesn't answer is asked again. */
function quarantined({ enforcer }: Pick<Process, 'enforcer'>): string[] {
  return [...new Map(enforcer.commands.filter(({ kind }) => kind === 'quarantine').map(({ id, lease }) => [id, lease.device])).values()]
}

const heldLines = () => stage.lines().filter(({ action, outcome }) => action === 'quarantine' && outcome === 'held')

describe('within a minute', () => {
  it('no more quarantines begin than the bound, and the rest when there is room', async () => {
    const process = await stage.start({ policy: bounded({ perMinute: 3 }) })
    await goBad(0, 5)
    expect(quarantined(process)).toEqual(['pump-0', 'pump-1', 'pump-2'])
    await stage.clock.advance(MINUTE)
    expect(quarantined(process)).toHaveLength(3)
    await stage.clock.advance(SECOND)
    expect(quarantined(process)).toEqual(['pump-0', 'pump-1', 'pump-2', 'pump-3', 'pump-4'])
  })

  it('a person’s quarantine counts and is not held back', async () => {
    const process = await stage.start({ policy: bounded({ perMinute: 1 }) })
    await goBad(0, 1)
    await stage.ask({ kind: 'quarantine', device: 'pump-7' })
    expect(quarantined(process)).toEqual(['pump-0', 'pump-7'])
    await stage.clock.advance(MINUTE + SECOND)
    await goBad(1, 2)
    expect(quarantined(process)).toHaveLength(3)
  })

  it('the next leader counts what the one before began', async () => {
    const first = await stage.start({ policy: bounded({ perMinute: 2 }) })
    await goBad(0, 3)
    await first.stop()
    const second = await stage.start({ policy: bounded({ perMinute: 2 }) })
    await goBad(3, 5)
    expect(stage.told('quarantine').filter((told) => told === 'decision')).toHaveLength(2)
    expect(second.metrics.value('picket_quarantines_waiting')).toBe(3)
    await stage.clock.advance(MINUTE + SECOND)
    expect(stage.told('quarantine').filter((told) => told === 'decision')).toHaveLength(4)
  })

  it('a clock that was set back a little forgets nothing', async () => {
    const process = await stage.start({ policy: bounded({ perMinute: 2 }) })
    await goBad(0, 2)
    stage.clock.step(-30 * SECOND)
    await goBad(2, 4)
    expect(quarantined(process)).toHaveLength(2)
  })

  it('a clock that was set back for long does not hold the governor for as long', async () => {
    const process = await stage.start({ policy: bounded({ perMinute: 2 }) })
    await goBad(0, 2)
    stage.clock.step(-60 * MINUTE)
    await goBad(2, 4)
    expect(quarantined(process)).toHaveLength(4)
  })
})

it('the view of the minute goes on where nothing is decided', async () => {
  const { responder, enforcer } = await stage.start()
  enforcer.answers = ['done']
  await goBad(0, 1)
  expect(responder.standing()!.quarantines.lastMinute).toBe(1)
  await stage.clock.advance(2 * MINUTE)
  expect(responder.standing()!.quarantines.lastMinute).toBe(0)
})

describe('at once', () => {
  it('no more devices are quarantined than the bound, and another when one is heard to be released', async () => {
    const process = await stage.start({ policy: bounded({ atOnce: 2 }) })
    await goBad(0, 4)
    expect(quarantined(process)).toEqual(['pump-0', 'pump-1'])
    await stage.ask({ kind: 'release', device: 'pump-0' })
    expect(quarantined(process)).toHaveLength(2)
    await process.enforcer.answer(process.enforcer.commands.at(-1)!, 'done')
    await stage.clock.advance(0)
    expect(quarantined(process)).toEqual(['pump-0', 'pump-1', 'pump-2'])
  })

  it('a device that is being released counts once, and may be quarantined again', async () => {
    const process = await stage.start({ policy: bounded({ atOnce: 1 }) })
    await goBad(0, 1)
    await stage.clock.advance(10 * MINUTE)
    expect(stage.lease('pump-0')).toMatchObject({ state: 'releasing' })
    await stage.tell(incident({ id: 'incident-9', device: 'pump-0' }))
    expect(quarantined(process)).toEqual(['pump-0', 'pump-0'])
  })

  it('of one group no more begin out of those that wait together', async () => {
    const process = await stage.start({ policy: bounded({ group: { by: 'class', atOnce: 2 } }) })
    await stage.ask({ kind: 'enforcement', device: '', id: 'off', state: 'off' })
    await goBad(0, 4)
    await stage.ask({ kind: 'enforcement', device: '', id: 'on', state: 'on' })
    await stage.clock.advance(0)
    expect(quarantined(process)).toEqual(['pump-0', 'pump-1'])
  })

  it('of one group the bound is its own', async () => {
    const policy = bounded({ group: { by: 'site', atOnce: 1 } })
    const process = await stage.start({ policy })
    await goBad(0, 2, { labels: { site: 'north' } })
    await goBad(2, 4, { labels: { site: 'south' } })
    await goBad(4, 6)
    expect(quarantined(process)).toEqual(['pump-0', 'pump-2', 'pump-4', 'pump-5'])
    expect(heldLines().map(({ reason }) => reason)).toEqual(['1 devices of site north are quarantined at once', '1 devices of site south are quarantined at once'])
    process.enforcer.answers = ['done']
    await stage.ask({ kind: 'release', device: 'pump-2' })
    await stage.clock.advance(0)
    expect(quarantined(process).at(-1)).toBe('pump-3')
  })

  it('a class can be a group', async () => {
    const process = await stage.start({ policy: bounded({ group: { by: 'class', atOnce: 1 } }) })
    await goBad(0, 2)
    await goBad(2, 3, { class: 'valve' })
    expect(quarantined(process)).toEqual(['pump-0', 'pump-2'])
  })

  it('a person is refused with the reason, and not with force', async () => {
    const process = await stage.start({ policy: bounded({ atOnce: 1 }) })
    await goBad(0, 1)
    await stage.ask({ kind: 'quarantine', device: 'pump-7' })
    expect(heldLines().at(-1)!.reason).toContain('1 devices are quarantined at once; force goes beyond')
    await stage.ask({ kind: 'quarantine', device: 'pump-7', id: 'request-2', force: true })
    expect(quarantined(process)).toEqual(['pump-0', 'pump-7'])
  })
})

describe('what is held back', () => {
  it('is nothing where the device is quarantined already, or nothing asks for it: people are told the incident alone', async () => {
    const { notifier } = await stage.start()
    await goBad(0, 1)
    await goBad(1, 2, { device: 'pump-0' })
    await goBad(2, 3, { severity: 'minor' })
    expect(notifier.received.map((one) => 'response' in one)).toEqual([false, false, false])
  })

  it('is a line and known to people once, whatever the number of revisions', async () => {
    const { notifier, metrics } = await stage.start({ policy: bounded({ atOnce: 1 }) })
    await goBad(0, 2)
    await stage.tell(incident({ id: 'incident-1', device: 'pump-1', revision: 2 }))
    await stage.tell(incident({ id: 'incident-1', device: 'pump-1', revision: 3 }))
    expect(heldLines()).toMatchObject([{ incident: 'incident-1', reason: '1 devices are quarantined at once' }])
    expect(notifier.received.map(({ response }) => response?.reason)).toEqual([undefined, '1 devices are quarantined at once', undefined, undefined])
    expect(metrics.value('picket_commands_total{kind=quarantine,outcome=held}')).toBe(1)
  })

  it('is not quarantined once its incident is closed, or no longer severe', async () => {
    const process = await stage.start({ policy: bounded({ atOnce: 1 }) })
    process.enforcer.answers = ['done']
    await goBad(0, 4)
    await stage.tell(closing({ id: 'incident-1', device: 'pump-1' }))
    await stage.tell(incident({ id: 'incident-2', device: 'pump-2', revision: 2, severity: 'minor' }))
    await stage.ask({ kind: 'release', device: 'pump-0' })
    await stage.clock.advance(0)
    expect(quarantined(process)).toEqual(['pump-0', 'pump-3'])
    expect(process.metrics.value('picket_quarantines_waiting')).toBe(0)
  })

  it('goes the most severe first, then in the order of waiting', async () => {
    const process = await stage.start({ policy: bounded({ perMinute: 1 }) })
    await goBad(0, 1)
    await goBad(1, 3, { class: 'valve', severity: 'major' })
    await goBad(3, 4)
    await stage.clock.advance(4 * MINUTE)
    expect(quarantined(process)).toEqual(['pump-0', 'pump-3', 'pump-1', 'pump-2'])
  })

  it('is withdrawn by a person’s release', async () => {
    const process = await stage.start({ policy: bounded({ perMinute: 1 }) })
    await goBad(0, 2)
    await stage.ask({ kind: 'release', device: 'pump-1' })
    await stage.clock.advance(2 * MINUTE)
    expect(quarantined(process)).toEqual(['pump-0'])
    expect(stage.lines().find(({ action, device }) => action === 'release' && device === 'pump-1')!.reason).toContain('no quarantine waits for room any more')
  })

  it('is one quarantine of a device, whatever the number of its incidents that wait', async () => {
    const process = await stage.start()
    process.enforcer.answers = ['done']
    await stage.ask({ kind: 'enforcement', device: '', id: 'off', state: 'off' })
    for (const i of [1, 2]) await goBad(i, i + 1, { device: 'pump-1' })
    await stage.ask({ kind: 'enforcement', device: '', id: 'on', state: 'on' })
    await stage.clock.advance(0)
    expect(process.metrics.value('picket_quarantines_waiting')).toBe(0)
    await stage.clock.advance(20 * MINUTE)
    expect(quarantined(process)).toEqual(['pump-1'])
  })

  it('begins a hundred a commit', async () => {
    const begun: number[] = []
    const around = (owned: Owned): Owned => ({
      signal: owned.signal,
      confirmed: () => owned.confirmed(),
      restore: (each) => owned.restore(each),
      commit: (writes, cut) => {
        const all = [...writes]
        begun.push(all.filter(({ key, value }) => key.startsWith('lease/') && String(value).includes('"active"')).length)
        return owned.commit(all, cut)
      },
    })
    await stage.start({ around })
    await stage.ask({ kind: 'enforcement', device: '', id: 'off', state: 'off' })
    await goBad(0, 150)
    await stage.ask({ kind: 'enforcement', device: '', id: 'on', state: 'on' })
    await stage.clock.advance(0)
    expect(begun.filter((count) => count > 0)).toEqual([100, 50])
  })

  it('leaves nothing that rings when nothing waits any more', async () => {
    const { enforcer } = await stage.start({ policy: bounded({ perMinute: 1 }) })
    const before = stage.clock.pending
    enforcer.answers = ['done']
    await goBad(0, 2)
    await stage.clock.advance(2 * MINUTE)
    await stage.clock.advance(20 * MINUTE)
    expect(stage.clock.pending).toBe(before)
  })
})

it('holds a bound under a burst in one slice, by the ledger', async () => {
  const { logger } = keepingLogger()
  await stage.start({ policy: bounded({ perMinute: 5, atOnce: 8 }), logger })
  await goBad(0, 50)
  await stage.clock.advance(5 * MINUTE)
  const begun = stage.lines().filter(({ kind, action, outcome }) => kind === 'decision' && action === 'quarantine' && outcome === undefined).map(({ at }) => at)
  expect(begun).toHaveLength(8)
  for (const at of begun) expect(begun.filter((other) => other >= at && other < at + MINUTE).length).toBeLessThanOrEqual(5)
})
