/** The verbs of the response as a whole: the kill switch, silences, a quarantine by force, and a device's incidents together. */
import { describe, expect, test } from 'vitest'
import type { Request } from '../../src/core/request.ts'
import type { Silence, Standing } from '../../src/core/standing.ts'
import { aDevice, anIncident, aStanding, Fleet } from '../api/fleet.ts'
import { ManualClock } from '../clock.ts'
import { makeLab } from './lab.ts'

const URL_ARGS = ['--url', 'http://picket.test']
const NOW = 1_700_000_000_000

/** Obeys what it is asked at once, as a leader at work does. */
class Obedient extends Fleet {
  private enforcement: Standing['enforcement'] = aStanding().enforcement

  override async request(request: Request): Promise<string> {
    if (request.state) this.enforcement = { state: request.state, says: 'request', reason: request.reason, by: request.by, since: NOW }
    return super.request(request)
  }

  override standing(): Standing {
    return aStanding({ enforcement: this.enforcement })
  }
}

describe('picket enforcement', () => {
  test('off is asked for, and its being in force is what is printed', async () => {
    const fleet = new Obedient()
    const { code, stdout } = await makeLab({ fleet }).run('enforcement', 'off', '--reason', 'false alarms', ...URL_ARGS)
    expect([code, fleet.requests]).toMatchObject([0, [{ kind: 'enforcement', state: 'off', release: false, reason: 'false alarms' }]])
    expect(stdout).toBe('enforcement is off since 2023-11-14 22:13:20Z: false alarms (asked by api)\n0 of at most 100 devices quarantined, 0 of at most 10 begun in the last minute, 0 waiting\n')
  })

  test('off --release asks for the end of every quarantine', async () => {
    const fleet = new Obedient()
    await makeLab({ fleet }).run('enforcement', 'off', '--release', '--reason', 'x', ...URL_ARGS)
    expect(fleet.requests).toMatchObject([{ release: true }])
  })

  test('status asks for nothing', async () => {
    const fleet = new Fleet({ standing: aStanding({ enforcement: { state: 'off', says: 'config', reason: 'respond.enforcement in the config is off', by: '', since: null } }) })
    const { stdout } = await makeLab({ fleet }).run('enforcement', 'status', ...URL_ARGS)
    expect(stdout).toContain('enforcement is off by the configuration: respond.enforcement in the config is off\n')
    expect(fleet.requests).toEqual([])
    expect((await makeLab({ fleet }).run('enforcement', 'status', '--json', ...URL_ARGS)).json).toMatchObject([{ state: 'off', says: 'config' }])
  })

  test('on is refused while the configuration says off', async () => {
    const fleet = new Fleet({ standing: aStanding({ enforcement: { state: 'off', says: 'config', reason: 'respond.enforcement in the config is off', by: '', since: null } }) })
    expect(await makeLab({ fleet }).run('enforcement', 'on', '--reason', 'x', ...URL_ARGS)).toMatchObject({ code: 1, stderr: expect.stringContaining('which wins over what is asked') as string })
  })

  test('says so when what is stored is not obeyed in time', async () => {
    const clock = new ManualClock()
    const lab = makeLab({ fleet: new Fleet(), clock })
    const running = lab.run('enforcement', 'off', '--reason', 'x', ...URL_ARGS)
    for (let look = 0; look < 100; look++) {
      await new Promise((resolve) => setImmediate(resolve))
      await clock.advance(200)
    }
    expect(await running).toMatchObject({ code: 1, stderr: expect.stringContaining('is stored and will be obeyed, but is not seen to be after 5 s;') as string })
  })

  test('says that off is stored where respond can’t be asked about it yet', async () => {
    const clock = new ManualClock()
    const running = makeLab({ fleet: new Fleet({ standing: null }), clock }).run('enforcement', 'off', '--reason', 'x', ...URL_ARGS)
    for (let look = 0; look < 100; look++) {
      await new Promise((resolve) => setImmediate(resolve))
      await clock.advance(200)
    }
    expect(await running).toMatchObject({ code: 1, stderr: expect.stringMatching(/enforcement off is stored and will be obeyed.*respond is not at work in this process/) as string })
  })

  test.each([[['enforcement', 'off']], [['enforcement', 'on', '--release', '--reason', 'x']], [['enforcement', 'maybe']]])('%j is wrong usage', async (args) => {
    const { code, stderr } = await makeLab({ fleet: new Fleet() }).run(...args, ...URL_ARGS)
    expect(code).toBe(2)
    expect(stderr).toContain('error:')
  })
})

describe('picket silence', () => {
  const silence: Silence = { id: 'r1', match: { class: 'pump', labels: { site: 'north' } }, reason: 'maintenance', by: 'api', at: NOW, until: NOW + 60_000 }

  test('asks with all that is said', async () => {
    const fleet = new Fleet()
    const match = ['--device', 'p1', '--class', 'pump', '--cause', 'limit', '--label', 'site=north', '--label', 'line=a=b']
    const { code, stdout } = await makeLab({ fleet }).run('silence', ...match, '--for', '2h', '--reason', 'maintenance', ...URL_ARGS)
    expect([code, stdout]).toEqual([0, 'silence r1 for 2h is asked for; picket silences lists it once it is in force, picket unsilence r1 ends it\n'])
    expect(fleet.requests).toMatchObject([{ kind: 'silence', match: { device: 'p1', class: 'pump', cause: 'limit', labels: { site: 'north', line: 'a=b' } }, forMs: 7_200_000 }])
  })

  test.each([
    [['--for', '2h', '--reason', 'x']],
    [['--device', 'p1', '--reason', 'x']],
    [['--device', 'p1', '--for', 'ever', '--reason', 'x']],
    [['--label', 'north', '--for', '2h', '--reason', 'x']],
    [['--cause', 'mood', '--for', '2h', '--reason', 'x']],
  ])('%j is wrong usage', async (args) => {
    const fleet = new Fleet()
    const { code, stderr } = await makeLab({ fleet }).run('silence', ...args, ...URL_ARGS)
    expect([code, fleet.requests]).toEqual([2, []])
    expect(stderr).toContain('error:')
  })

  test('silences lists, unsilence ends', async () => {
    const fleet = new Fleet({ standing: aStanding({ silences: [silence] }) })
    expect((await makeLab({ fleet }).run('silences', ...URL_ARGS)).stdout).toContain('r1  2023-11-14 22:14:20Z  class=pump site=north  api  maintenance')
    expect((await makeLab({ fleet }).run('silences', '--json', ...URL_ARGS)).json).toEqual([silence])
    const alike = new Fleet({ standing: aStanding({ silences: [{ ...silence, match: { device: 'p1', labels: { device: 'p2' } } }] }) })
    expect((await makeLab({ fleet: alike }).run('silences', ...URL_ARGS)).stdout).toContain('device=p1 device=p2')
    expect((await makeLab({ fleet }).run('unsilence', 'r1', '--reason', 'done early', ...URL_ARGS)).code).toBe(0)
    expect(fleet.requests).toMatchObject([{ kind: 'unsilence', silence: 'r1', reason: 'done early' }])
    expect(await makeLab({ fleet }).run('unsilence', 'r9', ...URL_ARGS)).toMatchObject({ code: 1, stderr: expect.stringContaining("silence 'r9': none in force") as string })
  })
})

test('picket quarantine --force goes beyond the governor', async () => {
  const fleet = new Fleet({ devices: [aDevice()], standing: aStanding({ quarantines: { active: 1, atOnce: 1, lastMinute: 0, perMinute: 1, waiting: 0 } }) })
  const run = (...more: string[]) => makeLab({ fleet }).run('quarantine', 'p1', '--for', '1m', '--reason', 'x', ...more, ...URL_ARGS)
  expect(await run()).toMatchObject({ code: 1, stderr: expect.stringContaining('go beyond it with force') as string })
  expect((await run('--force')).code).toBe(0)
  expect(fleet.requests).toMatchObject([{ force: true }])
})

describe('picket incidents', () => {
  test('--group lists a device’s incidents together', async () => {
    const incidents = [['a', 'p1'], ['b', 'p2'], ['c', 'p1']].map(([id, device]) => anIncident({ id: id!, device: device! }))
    const { json } = await makeLab({ fleet: new Fleet({ incidents }) }).run('incidents', '--group', '--json', ...URL_ARGS)
    expect(json.map((one) => (one as { id: string }).id)).toEqual(['a', 'c', 'b'])
  })

  test('say which are silenced', async () => {
    const fleet = new Fleet({ incidents: [anIncident()], standing: aStanding({ silencedBy: () => ['r1'] }) })
    expect((await makeLab({ fleet }).run('incidents', ...URL_ARGS)).stdout).toContain('open, silenced')
  })
})
