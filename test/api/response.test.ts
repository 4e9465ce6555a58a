/** What operators ask of the response as a whole: the kill switch, silences, and what is refused at once because it would be in vain. */
import { describe, expect, test } from 'vitest'
import type { Silence, Standing } from '../../src/core/standing.ts'
import { NOW, openDoor } from './door.ts'
import { aDevice, anIncident, aStanding } from './fleet.ts'

const OFF: Standing['enforcement'] = { state: 'off', says: 'request', reason: 'false alarms', by: 'api', since: NOW }
const BY_CONFIG: Standing['enforcement'] = { state: 'off', says: 'config', reason: 'respond.enforcement in the config is off', by: '', since: null }
const FULL: Standing['quarantines'] = { active: 2, atOnce: 2, lastMinute: 0, perMinute: 10, waiting: 0 }

function silence(id: string): Silence {
  return { id, match: { device: 'p1' }, reason: 'maintenance', by: 'api', at: NOW, until: NOW + 1 }
}

describe('/api/v1/enforcement', () => {
  test('says how it stands, with the governor’s room', async () => {
    const { ask } = openDoor({ standing: aStanding({ enforcement: OFF }) })
    expect((await ask('GET', '/api/v1/enforcement')).body).toEqual({ ...OFF, quarantines: aStanding().quarantines })
  })

  test('is 503 where respond is not at work', async () => {
    expect(await openDoor({ standing: null }).ask('GET', '/api/v1/enforcement')).toMatchObject({ status: 503, message: expect.stringContaining('respond is not at work') as string })
  })

  test.each([
    [{ state: 'off', reason: 'false alarms' }, { state: 'off', release: false }],
    [{ state: 'off', reason: 'false alarms', release: true }, { state: 'off', release: true }],
    [{ state: 'on', reason: 'mended' }, { state: 'on', release: false }],
  ])('%j is stored as a request about no device', async (body, expected) => {
    const { ask, fleet } = openDoor()
    expect(await ask('POST', '/api/v1/enforcement', body)).toMatchObject({ status: 202, body: { request: 'r1' } })
    expect(fleet.requests).toEqual([{ id: 'r1', kind: 'enforcement', device: '', forMs: null, incident: '', reason: body.reason, by: 'api', at: NOW, ...expected }])
  })

  test.each([
    [{ state: 'off' }, 'reason is missing'],
    [{ state: false, reason: 'x' }, 'state is false, expected "on" or "off"'],
    [{ state: 'on', reason: 'x', release: true }, 'release goes with state "off" only'],
    [{ state: 'off', reason: 'x', release: 1 }, 'release: expected true or false'],
    [{ state: 'off', reason: 'x', until: 1 }, "unknown key 'until'"],
  ])('%j is 400', async (body, message) => {
    const { ask, fleet } = openDoor()
    const answer = await ask('POST', '/api/v1/enforcement', body)
    expect([answer.status, fleet.requests]).toEqual([400, []])
    expect(answer.message).toContain(message)
  })

  test('on is 409 while the config says off', async () => {
    const { ask, fleet } = openDoor({ standing: aStanding({ enforcement: BY_CONFIG }) })
    const answer = await ask('POST', '/api/v1/enforcement', { state: 'on', reason: 'x' })
    expect([answer.status, fleet.requests]).toEqual([409, []])
    expect(answer.message).toContain('respond.enforcement in the config is off, which wins')
  })

  test('off is stored even where respond does not answer for itself', async () => {
    expect((await openDoor({ standing: null }).ask('POST', '/api/v1/enforcement', { state: 'off', reason: 'x' })).status).toBe(202)
  })
})

describe('a quarantine', () => {
  const devices = [aDevice()]
  const body = { for: '1m', reason: 'x' }

  test('is 409 while enforcement is off, forced or not', async () => {
    const { ask } = openDoor({ devices, standing: aStanding({ enforcement: OFF }) })
    for (const force of [true, false]) expect(await ask('POST', '/api/v1/devices/p1/quarantine', { ...body, force })).toMatchObject({ status: 409, body: { error: { code: 'conflict' } } })
  })

  test('is 409 where as many as may be are quarantined, unless forced', async () => {
    const { ask, fleet } = openDoor({ devices, standing: aStanding({ quarantines: FULL }) })
    expect(await ask('POST', '/api/v1/devices/p1/quarantine', body)).toMatchObject({ status: 409, message: expect.stringContaining('respond.quarantines.atOnce allows 2') as string })
    expect((await ask('POST', '/api/v1/devices/p1/quarantine', { ...body, force: true })).status).toBe(202)
    expect(fleet.requests).toMatchObject([{ kind: 'quarantine', force: true }])
  })

  test('is stored where the device is among those counted already: respond decides', async () => {
    const { ask } = openDoor({ devices, standing: aStanding({ quarantines: FULL, isQuarantined: () => true }) })
    expect((await ask('POST', '/api/v1/devices/p1/quarantine', body)).status).toBe(202)
  })

  test('a release is stored whatever the switch says', async () => {
    const { ask } = openDoor({ devices, standing: aStanding({ enforcement: OFF, quarantines: FULL }) })
    expect((await ask('POST', '/api/v1/devices/p1/release', { reason: 'x' })).status).toBe(202)
  })
})

test('a device that is quarantined can be released though nothing else is known of it any more', async () => {
  const { ask, fleet } = openDoor({ standing: aStanding({ isQuarantined: (device) => device === 'p9' }) })
  expect((await ask('POST', '/api/v1/devices/p9/release', { reason: 'x' })).status).toBe(202)
  expect((await ask('POST', '/api/v1/devices/p8/release', { reason: 'x' })).status).toBe(404)
  expect(fleet.requests).toMatchObject([{ kind: 'release', device: 'p9' }])
})

describe('/api/v1/silences', () => {
  test('lists and pages', async () => {
    const silences = ['a', 'b', 'c'].map(silence)
    const { ask } = openDoor({ standing: aStanding({ silences }) })
    expect((await ask('GET', '/api/v1/silences')).body).toEqual({ silences })
    expect((await ask('GET', '/api/v1/silences?limit=1&after=a')).body).toEqual({ silences: [silences[1]] })
    expect(await ask('GET', '/api/v1/silences?after=d')).toMatchObject({ status: 400, message: expect.stringContaining('no silence d is in force; start again without it') as string })
  })

  test('a silence is stored with what it matches', async () => {
    const { ask, fleet } = openDoor()
    const match = { device: 'p1', class: 'pump', cause: 'limit', labels: { site: 'north' } }
    expect(await ask('POST', '/api/v1/silences', { match, for: '2h', reason: 'maintenance' })).toMatchObject({ status: 202, body: { request: 'r1' } })
    expect(fleet.requests).toEqual([{ id: 'r1', kind: 'silence', device: '', forMs: 7_200_000, incident: '', reason: 'maintenance', by: 'api', at: NOW, match }])
  })

  test.each([
    [{ match: {}, for: '2h', reason: 'x' }, 'match must be at least one of device, class, cause, labels'],
    [{ match: { sight: 'x' }, for: '2h', reason: 'x' }, 'match must be an object of device, class, cause, labels, got "sight"'],
    [{ match: { cause: 'mood' }, for: '2h', reason: 'x' }, 'match.cause must be one of telemetry'],
    [{ match: { labels: {} }, for: '2h', reason: 'x' }, 'match.labels must be 1 to 8 labels'],
    [{ match: { labels: { site: 5 } }, for: '2h', reason: 'x' }, 'match.labels must be'],
    [{ match: { device: '' }, for: '2h', reason: 'x' }, 'device must be a text of 1 to 1024 characters'],
    [{ match: { device: 'p1' }, for: '31d', reason: 'x' }, 'expected a duration from 1s to 30d'],
    [{ match: { device: 'p1' }, reason: 'x' }, 'for is missing'],
  ])('%j is 400', async (body, message) => {
    const answer = await openDoor().ask('POST', '/api/v1/silences', body)
    expect(answer.status).toBe(400)
    expect(answer.message).toContain(message)
  })

  test('one is ended by its id, an unknown one is 404', async () => {
    const { ask, fleet } = openDoor({ standing: aStanding({ silences: [silence('a')] }) })
    expect((await ask('DELETE', '/api/v1/silences/a?reason=done')).status).toBe(202)
    expect(fleet.requests).toMatchObject([{ kind: 'unsilence', silence: 'a', reason: 'done', device: '' }])
    expect((await ask('DELETE', '/api/v1/silences/b')).status).toBe(404)
  })

  test('incidents say which mute them', async () => {
    const standing = aStanding({ silencedBy: ({ id }) => (id === 'i1' ? ['a'] : []) })
    const { ask } = openDoor({ standing, incidents: [anIncident(), anIncident({ id: 'i2' })] })
    expect((await ask('GET', '/api/v1/incidents')).body['incidents']).toEqual([{ ...anIncident(), silencedBy: ['a'] }, anIncident({ id: 'i2' })])
    expect((await ask('GET', '/api/v1/incidents/i1')).body).toMatchObject({ silencedBy: ['a'] })
  })
})
