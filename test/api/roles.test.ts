/** The API of a process that has some of the roles: what is not there is said with who has it, and what is asked of respond any of its processes takes. */
import { describe, expect, test } from 'vitest'
import { startingViews } from '../../src/api/starting.ts'
import { ROLES } from '../../src/core/role.ts'
import { openDoor } from './door.ts'
import { aDevice, anIncident, Fleet } from './fleet.ts'

const QUARANTINE = { for: '10m', reason: 'smoke' }

describe('a process without the role', () => {
  test.each([
    ['GET', '/api/v1/incidents', undefined],
    ['GET', '/api/v1/incidents/i1', undefined],
    ['GET', '/api/v1/enforcement', undefined],
    ['GET', '/api/v1/silences', undefined],
    ['POST', '/api/v1/devices/p1/quarantine', QUARANTINE],
    ['POST', '/api/v1/devices/p1/release', { reason: 'fixed' }],
    ['POST', '/api/v1/enforcement', { state: 'off', reason: 'fire' }],
    ['POST', '/api/v1/silences', { match: { class: 'pump' }, for: '1h', reason: 'work' }],
    ['DELETE', '/api/v1/silences/s1', undefined],
  ] as const)('respond names the role and its leader: %s %s', async (method, url, body) => {
    const { ask, fleet } = openDoor({ roles: ['detect'], holders: { respond: 'r:8080' } })
    const answer = await ask(method, url, body)
    expect([answer.status, answer.body]).toEqual([421, { error: { code: 'misdirected', message: 'this needs the role respond; this process has detect; ask http://r:8080', owner: 'http://r:8080' } }])
    expect(fleet.requests).toEqual([])
  })

  test('detect names the role, and one that has devices', async () => {
    const { ask } = openDoor({ roles: ['respond'], elsewhere: [{ partition: 0, owner: null }, { partition: 1, owner: 'd:1' }], holders: { 'readings/1': 'd:1' } })
    expect((await ask('GET', '/api/v1/devices')).body).toMatchObject({ error: { code: 'misdirected', owner: 'http://d:1' } })
    expect((await ask('GET', '/api/v1/devices/p1')).body).toMatchObject({ error: { code: 'misdirected', owner: 'http://d:1' } })
  })

  test('says so without an owner where none is known', async () => {
    const { ask } = openDoor({ roles: ['ingest'] })
    const answer = await ask('GET', '/api/v1/incidents')
    expect([answer.status, answer.body]).toEqual([421, { error: { code: 'misdirected', message: 'this needs the role respond; this process has ingest' } }])
  })
})

describe('devices of several processes', () => {
  const devices = [aDevice({ id: 'p0' })]
  const elsewhere = [{ partition: 1, owner: 'd:1' }, { partition: 2, owner: 'd:1' }, { partition: 3, owner: null }]

  test('are listed with who has the others', async () => {
    const { ask } = openDoor({ devices, elsewhere })
    const { status, body } = await ask('GET', '/api/v1/devices')
    expect(status).toBe(200)
    expect(body['elsewhere']).toEqual([{ owner: 'http://d:1', partitions: [1, 2] }, { owner: null, partitions: [3] }])
  })

  test('are listed without a word of others where there are none', async () => {
    expect(Object.keys((await openDoor({ devices }).ask('GET', '/api/v1/devices')).body)).toEqual(['devices'])
  })

  test('one of another is 421 with its owner, one of ours that is not known 404', async () => {
    const { ask } = openDoor({ devices, elsewhere })
    const other = await ask('GET', '/api/v1/devices/p2')
    expect([other.status, other.body]).toMatchObject([421, { error: { code: 'misdirected', owner: 'http://d:1' } }])
    expect(other.message).toBe("device 'p2' is of readings/2, which another process works through; ask http://d:1")
    expect((await ask('GET', '/api/v1/devices/q0')).status).toBe(404)
  })
})

describe('a quarantine asked of a process that can not look the device up', () => {
  const setUp = (answer: boolean | null, owner: string | null = 'd:1') => {
    const asked: string[] = []
    const askOwner = async (at: string, device: string) => {
      asked.push(`${at} ${device}`)
      return answer
    }
    return { asked, ...openDoor({ roles: ['respond'], elsewhere: [{ partition: 1, owner }], standing: null, incidents: [anIncident({ device: 'seen1' })] }, { askOwner }) }
  }

  test('is taken by a standby where the owner knows it', async () => {
    const { ask, asked, fleet } = setUp(true)
    const answer = await ask('POST', '/api/v1/devices/p1/quarantine', QUARANTINE)
    expect([answer.status, answer.body, asked]).toEqual([202, { request: 'r1' }, ['d:1 p1']])
    expect(fleet.requests).toMatchObject([{ kind: 'quarantine', device: 'p1' }])
  })

  test('is refused where the owner does not', async () => {
    const { ask, fleet } = setUp(false)
    const answer = await ask('POST', '/api/v1/devices/p1/quarantine', QUARANTINE)
    expect([answer.status, answer.message]).toEqual([404, "device 'p1': not known to http://d:1, which has its partition"])
    expect(fleet.requests).toEqual([])
  })

  test.each([
    ['the owner gives no answer', 'd:1'],
    ['no owner is known', null],
  ])('is taken unchecked, and says so, where %s', async (_, owner) => {
    const { ask } = setUp(null, owner)
    expect((await ask('POST', '/api/v1/devices/p1/quarantine', QUARANTINE)).body).toEqual({ request: 'r1', unchecked: true })
    expect((await ask('POST', '/api/v1/devices/p1/release', { reason: 'fixed' })).body).toEqual({ request: 'r2', unchecked: true })
  })

  test('needs nobody for a device that has an incident', async () => {
    const { ask, asked } = setUp(null)
    expect((await ask('POST', '/api/v1/devices/seen1/quarantine', QUARANTINE)).body).toEqual({ request: 'r1' })
    expect(asked).toEqual([])
  })
})

describe('a standby of respond', () => {
  test('names the leader for what only that knows, and takes what goes through the log', async () => {
    const { ask } = openDoor({ roles: ['respond'], standing: null, holders: { respond: 'r:2' } })
    for (const [method, url] of [['GET', '/api/v1/enforcement'], ['GET', '/api/v1/silences'], ['DELETE', '/api/v1/silences/s1']] as const)
      expect((await ask(method, url)).body).toMatchObject({ error: { code: 'misdirected', owner: 'http://r:2' } })
    expect((await ask('POST', '/api/v1/enforcement', { state: 'off', reason: 'fire' })).status).toBe(202)
  })

  test('is 503 where nobody is known to lead', async () => {
    expect((await openDoor({ roles: ['respond'], standing: null }).ask('GET', '/api/v1/enforcement')).status).toBe(503)
  })
})

describe('with a token', () => {
  const token = '0123456789abcdef'

  test('only who bears it is answered', async () => {
    const { server } = openDoor({}, { token })
    const get = (authorization?: string) => server.inject({ url: '/api/v1/incidents', headers: authorization === undefined ? {} : { authorization } })
    expect((await get(`Bearer ${token}`)).statusCode).toBe(200)
    for (const wrong of [undefined, 'Bearer', `Basic ${token}`, `Bearer ${token}x`, `Bearer ${token.slice(1)}`]) {
      const answer = await get(wrong)
      expect([answer.statusCode, answer.headers['www-authenticate'], answer.json()]).toMatchObject([401, 'Bearer', { error: { code: 'unauthorized' } }])
      expect(answer.body).not.toContain(token)
    }
  })

  test('metrics and health are open, and nothing else, whatever its path looks like', async () => {
    const { server } = openDoor({}, { token })
    for (const url of ['/metrics', '/healthz', '/readyz', '/readyz?x']) expect((await server.inject({ url })).statusCode).toBe(200)
    for (const url of ['/', '/nothing', '/metrics/../api/v1/devices', '/api/v1/devices?/metrics', '//metrics']) expect((await server.inject({ url })).statusCode).toBe(401)
  })
})

test('on loopback the advertised name is taken as Host, and others are not', async () => {
  const { server } = openDoor({}, { advertise: { host: 'Picket-1.example' } })
  const status = async (host: string) => (await server.inject({ url: '/healthz', headers: { host } })).statusCode
  expect([await status('picket-1.example:8080'), await status('evil.example')]).toEqual([200, 403])
})

describe('before the app has started', () => {
  test('it is not ready, says why, and answers nothing else', async () => {
    const app = startingViews(ROLES)
    expect(app.readiness()).toEqual({ ready: false, reasons: ['Picket is starting'] })
    app.waitFor('log.kafka: away')
    expect(app.readiness()).toEqual({ ready: false, reasons: ['log.kafka: away'] })
    expect(() => app.devices.list({ limit: 1, after: null })).toThrow('log.kafka: away; try again')
    await expect(app.request({ id: 'r', kind: 'release', device: 'd', forMs: null, reason: '', incident: '', by: '', at: 0 })).rejects.toThrow('log.kafka: away')
  })

  test('and afterwards it is the app', () => {
    const app = startingViews(ROLES)
    app.become(new Fleet({ devices: [aDevice()], holders: { respond: 'r:1' }, missing: ['x'], elsewhere: [{ partition: 1, owner: 'd:1' }] }))
    expect(app.readiness().ready).toBe(true)
    expect(app.devices.list({ limit: 1, after: null })).toEqual([aDevice()])
    expect([app.holder('respond'), app.devices.missing(), app.devices.elsewhere(), app.devices.partitionOf('p7')]).toEqual(['r:1', ['x'], [{ partition: 1, owner: 'd:1' }], 7])
  })
})
