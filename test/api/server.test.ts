/** The HTTP API over a small app in memory: what it answers, and what it refuses. */
import { connect } from 'node:net'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { afterEach, describe, expect, test } from 'vitest'
import { BODY_LIMIT, makeServer, startApi } from '../../src/api/server.ts'
import { PipelineError } from '../../src/core/errors.ts'
import type { LogFields } from '../../src/ops/logger.ts'
import { makePrometheus } from '../../src/ops/prometheus.ts'
import { ManualClock, settle } from '../clock.ts'
import { aDevice, anIncident, Fleet } from './fleet.ts'
import type { FleetOptions } from './fleet.ts'

const NOW = 1_700_000_100_000

const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

function setUp(options: FleetOptions = {}, host = '127.0.0.1') {
  const fleet = new Fleet(options)
  const errors: LogFields[] = []
  const ignore = () => {}
  let ids = 0
  const api = {
    listen: { host, port: 0 },
    app: fleet,
    metrics: makePrometheus({ processMetrics: false }),
    logger: { debug: ignore, info: ignore, warn: ignore, error: (fields: LogFields) => void errors.push(fields) },
    clock: new ManualClock(NOW),
    random: { id: () => `r${++ids}`, fraction: () => 0 },
  }
  const server = makeServer(api)
  open.push(server)
  return { fleet, errors, api, server }
}

const get = (server: FastifyInstance, url: string, more: InjectOptions = {}) => server.inject({ method: 'GET', url, ...more })
const post = (server: FastifyInstance, url: string, payload: unknown) => server.inject({ method: 'POST', url, payload: payload as object })
const refusal = (answer: { json(): unknown }) => (answer.json() as { error: { code: string; message: string } }).error

describe('operations', () => {
  test('/metrics is the exposition of the registry', async () => {
    const { server, api } = setUp()
    api.metrics.counter('picket_things_total', 'Things').add(2)
    const answer = await get(server, '/metrics')
    expect(answer.headers['content-type']).toContain('text/plain')
    expect(answer.body).toContain('picket_things_total 2')
  })

  test('/metrics says what /readyz answers', async () => {
    expect((await get(setUp().server, '/metrics')).body).toContain('picket_ready 1')
    expect((await get(setUp({ readiness: { ready: false, reasons: ['x'] } }).server, '/metrics')).body).toContain('picket_ready 0')
  })

  test('/healthz answers while the event loop turns, ready or not', async () => {
    const { server } = setUp({ readiness: { ready: false, reasons: ['x'] } })
    expect((await get(server, '/healthz')).statusCode).toBe(200)
  })

  test('/readyz is 200 when ready', async () => {
    const answer = await get(setUp().server, '/readyz')
    expect([answer.statusCode, answer.body]).toEqual([200, '{"ready":true}\n'])
  })

  test('/readyz is 503 with a JSON line a reason', async () => {
    const { server } = setUp({ readiness: { ready: false, reasons: ['no configuration in readings/3', 'mqtt: not listening'] } })
    const answer = await get(server, '/readyz')
    expect(answer.statusCode).toBe(503)
    expect(answer.body.trimEnd().split('\n').map((line) => JSON.parse(line) as unknown)).toEqual([
      { ready: false, reason: 'no configuration in readings/3' },
      { ready: false, reason: 'mqtt: not listening' },
    ])
  })

  test('requests are counted by route, not by path', async () => {
    const { server } = setUp({ devices: [aDevice()] })
    await get(server, '/api/v1/devices/p1')
    await get(server, '/api/v1/devices/p2')
    await get(server, '/elsewhere')
    const { body } = await get(server, '/metrics')
    expect(body).toContain('picket_http_requests_total{route="/api/v1/devices/:id",status="200"} 1')
    expect(body).toContain('picket_http_requests_total{route="/api/v1/devices/:id",status="404"} 1')
    expect(body).toContain('picket_http_requests_total{route="none",status="404"} 1')
  })
})

describe('incidents', () => {
  const incidents = [anIncident({ id: 'a' }), anIncident({ id: 'b', state: 'closed' }), anIncident({ id: 'c', device: 'p2' })]

  test('are listed whole', async () => {
    expect((await get(setUp({ incidents }).server, '/api/v1/incidents')).json()).toEqual({ incidents })
  })

  test.each([
    ['state=open', ['a', 'c']],
    ['state=closed', ['b']],
    ['device=p2', ['c']],
    ['limit=2', ['a', 'b']],
    ['limit=1&after=a', ['b']],
    ['after=c', []],
  ])('are picked by %s', async (query, ids) => {
    const answer = await get(setUp({ incidents }).server, `/api/v1/incidents?${query}`)
    expect(answer.json<{ incidents: { id: string }[] }>().incidents.map((one) => one.id)).toEqual(ids)
  })

  test('are had singly by id', async () => {
    const { server } = setUp({ incidents })
    expect((await get(server, '/api/v1/incidents/b')).json()).toEqual(incidents[1])
    const missing = await get(server, '/api/v1/incidents/zz')
    expect([missing.statusCode, refusal(missing).code]).toEqual([404, 'not_found'])
    expect(refusal(missing).message).toContain("incident 'zz'")
  })

  test('come a hundred at a time unless asked otherwise', async () => {
    const many = Array.from({ length: 101 }, (_, i) => anIncident({ id: `n${i}` }))
    const answer = await get(setUp({ incidents: many }).server, '/api/v1/incidents')
    expect(answer.json<{ incidents: unknown[] }>().incidents).toHaveLength(100)
  })
})

describe('devices', () => {
  test('are listed and paged', async () => {
    const devices = [aDevice({ id: 'a' }), aDevice({ id: 'b' })]
    const { server } = setUp({ devices })
    expect((await get(server, '/api/v1/devices')).json()).toEqual({ devices })
    expect((await get(server, '/api/v1/devices?limit=1&after=a')).json()).toEqual({ devices: [devices[1]] })
  })

  test.each(['hall 1/pump', 'a%2Fb', 'größe', 'x?y', `${'n'.repeat(1024)}`])('have their ids percent-decoded: %s', async (id) => {
    const device = aDevice({ id })
    const answer = await get(setUp({ devices: [device] }).server, `/api/v1/devices/${encodeURIComponent(id)}`)
    expect(answer.json()).toEqual(device)
  })

  test('an unknown one is 404', async () => {
    const answer = await get(setUp().server, '/api/v1/devices/p9')
    expect(answer.statusCode).toBe(404)
    expect(refusal(answer)).toEqual({ code: 'not_found', message: "device 'p9': not known; GET /api/v1/devices lists those that are" })
  })
})

describe('while a partition is not owned', () => {
  const full = 'readings/2 is not owned yet: the disk is full'
  const partly = { devices: [aDevice({ id: 'seen' })], missing: [full] }

  test.each([
    ['GET', '/api/v1/devices/F1', "device 'F1': can't be looked up"],
    ['GET', '/api/v1/devices', 'the list would not be whole'],
    ['POST', '/api/v1/devices/F1/release', "device 'F1': can't be looked up"],
  ] as const)('%s %s is 503 and says which and why', async (method, url, what) => {
    const { server, fleet } = setUp(partly)
    const answer = await server.inject({ method, url, ...(method === 'POST' ? { payload: { reason: 'x' } } : {}) })
    expect([answer.statusCode, refusal(answer)]).toEqual([503, { code: 'unavailable', message: `${what}: ${full}; try again` }])
    expect(fleet.requests).toEqual([])
  })

  test('a device of another one is had as ever', async () => {
    const { server } = setUp(partly)
    expect((await get(server, '/api/v1/devices/seen')).statusCode).toBe(200)
    expect((await post(server, '/api/v1/devices/seen/release', { reason: 'x' })).statusCode).toBe(202)
  })

  test('of many, four are named', async () => {
    const { server } = setUp({ missing: Array.from({ length: 6 }, (_, p) => `readings/${p} is not owned yet`) })
    expect(refusal(await get(server, '/api/v1/devices')).message).toMatch(/readings\/3 is not owned yet; 2 more in \/readyz; try again$/)
  })
})

describe('what operators ask', () => {
  const known = { devices: [aDevice({ id: 'hall/p1' })] }

  test('a quarantine is 202 with the id of the stored request', async () => {
    const { server, fleet } = setUp(known)
    const answer = await post(server, '/api/v1/devices/hall%2Fp1/quarantine', { for: '10m', reason: 'bearing' })
    expect([answer.statusCode, answer.json()]).toEqual([202, { request: 'r1' }])
    expect(fleet.requests).toEqual([{ id: 'r1', kind: 'quarantine', device: 'hall/p1', forMs: 600_000, incident: '', reason: 'bearing', by: 'api', at: NOW }])
  })

  test('a release is 202 with the id of the stored request', async () => {
    const { server, fleet } = setUp(known)
    const answer = await post(server, '/api/v1/devices/hall%2Fp1/release', { reason: 'mended' })
    expect(answer.statusCode).toBe(202)
    expect(fleet.requests).toEqual([{ id: 'r1', kind: 'release', device: 'hall/p1', forMs: null, incident: '', reason: 'mended', by: 'api', at: NOW }])
  })

  test('nothing is answered before the request is durable', async () => {
    let flush = () => {}
    let arrive = () => {}
    const arrived = new Promise<void>((resolve) => (arrive = resolve))
    const { server } = setUp({ ...known, store: () => (arrive(), new Promise((resolve) => (flush = resolve))) })
    let answered = false
    const answer = post(server, '/api/v1/devices/hall%2Fp1/release', { reason: 'mended' }).then((it) => ((answered = true), it))
    await arrived
    await settle()
    expect(answered).toBe(false)
    flush()
    expect((await answer).statusCode).toBe(202)
  })

  test('a device known only from its incidents can be quarantined, an unknown one is 404', async () => {
    const { server, fleet } = setUp({ incidents: [anIncident({ device: 'noisy' })] })
    expect((await post(server, '/api/v1/devices/noisy/quarantine', { for: '1m', reason: 'rubbish' })).statusCode).toBe(202)
    expect((await post(server, '/api/v1/devices/typo/quarantine', { for: '1m', reason: 'rubbish' })).statusCode).toBe(404)
    expect((await post(server, '/api/v1/devices/typo/release', { reason: 'rubbish' })).statusCode).toBe(404)
    expect(fleet.requests).toHaveLength(1)
  })

  test.each([
    [{ for: '10m' }, 'reason is missing'],
    [{ reason: 'x' }, 'for is missing'],
    [{ for: 'soon', reason: 'x' }, 'for is "soon", expected a duration from 1s to 30d'],
    [{ for: 600, reason: 'x' }, 'for is 600, expected a duration'],
    [{ for: '31d', reason: 'x' }, 'expected a duration from 1s to 30d'],
    [{ for: '0s', reason: 'x' }, 'expected a duration from 1s to 30d'],
    [{ for: '10m', reason: ' ' }, 'reason: expected a text of 1 to 500 characters'],
    [{ for: '10m', reason: 'x'.repeat(501) }, 'reason: expected a text of 1 to 500 characters'],
    [{ for: '10m', reason: 'two\nlines' }, 'reason: expected a text without control characters'],
    [{ for: '10m', reason: 'x', until: 5 }, "unknown key 'until', expected for, reason or force"],
    [[], 'expected a JSON object'],
  ])('a quarantine of %j is 400', async (body, message) => {
    const { server, fleet } = setUp(known)
    const answer = await post(server, '/api/v1/devices/hall%2Fp1/quarantine', body)
    expect([answer.statusCode, refusal(answer).code]).toEqual([400, 'bad_request'])
    expect(refusal(answer).message).toContain(message)
    expect(fleet.requests).toEqual([])
  })

  test('a body that is no JSON, is empty, or means __proto__ is 400', async () => {
    const { server } = setUp(known)
    for (const payload of ['{"for":', '', '{"__proto__":{},"for":"1m","reason":"x"}']) {
      const answer = await server.inject({ method: 'POST', url: '/api/v1/devices/hall%2Fp1/quarantine', payload, headers: { 'content-type': 'application/json' } })
      expect([answer.statusCode, refusal(answer).code]).toEqual([400, 'bad_request'])
    }
  })

  test('a body that is not declared as JSON is 415', async () => {
    const { server } = setUp(known)
    for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
      const answer = await server.inject({ method: 'POST', url: '/api/v1/devices/hall%2Fp1/release', payload: '{"reason":"x"}', headers: { 'content-type': type } })
      expect([answer.statusCode, refusal(answer)]).toEqual([415, { code: 'unsupported_media_type', message: 'content-type: expected application/json' }])
    }
  })

  test('a body beyond the limit is 413', async () => {
    const answer = await post(setUp(known).server, '/api/v1/devices/hall%2Fp1/release', { reason: 'x'.repeat(BODY_LIMIT) })
    expect([answer.statusCode, refusal(answer)]).toEqual([413, { code: 'too_large', message: 'body: larger than 16384 bytes' }])
  })

  test('a log that is out of space for now is 503, and in the log of the process', async () => {
    const { server, errors } = setUp({ ...known, store: () => Promise.reject(new PipelineError('DISK_FULL', 'the disk is full')) })
    const answer = await post(server, '/api/v1/devices/hall%2Fp1/release', { reason: 'x' })
    expect([answer.statusCode, refusal(answer)]).toEqual([503, { code: 'unavailable', message: 'the disk is full; try again' }])
    expect(errors).toHaveLength(1)
  })

  test('what the app refuses is 400', async () => {
    const { server } = setUp({ ...known, store: () => Promise.reject(new PipelineError('REFUSED', 'request: no')) })
    expect(refusal(await post(server, '/api/v1/devices/hall%2Fp1/release', { reason: 'x' }))).toEqual({ code: 'bad_request', message: 'request: no' })
  })

  test('an unexpected error is 500, its text kept to the log of the process', async () => {
    const { server, errors } = setUp({ ...known, store: () => Promise.reject(new TypeError('secret inside')) })
    const answer = await post(server, '/api/v1/devices/hall%2Fp1/release', { reason: 'x' })
    expect([answer.statusCode, refusal(answer).code]).toEqual([500, 'internal'])
    expect(answer.body).not.toContain('secret')
    expect(errors[0]?.['error']).toBeInstanceOf(TypeError)
  })
})

describe('what is refused everywhere', () => {
  test.each([
    ['/api/v1/devices?limit=0', "limit is '0', expected a whole number from 1 to 1000"],
    ['/api/v1/devices?limit=1001', "limit is '1001'"],
    ['/api/v1/devices?limit=1e2', "limit is '1e2'"],
    ['/api/v1/devices?limit=', "limit is ''"],
    ['/api/v1/devices?limit=1&limit=2', 'limit is given 2 times, expected once'],
    ['/api/v1/devices?after=', 'after: expected a text'],
    ['/api/v1/devices?state=odd', "unknown key 'state', expected limit or after"],
    ['/api/v1/incidents?state=ajar', "state is 'ajar', expected open or closed"],
    ['/api/v1/incidents?device=', 'device: expected a text'],
    ['/api/v1/incidents/a?x=1', "unknown key 'x', expected none"],
    ['/api/v1/incidents?__proto__=1', 'unknown key'],
  ])('%s is 400', async (url, message) => {
    const answer = await get(setUp().server, url)
    expect([answer.statusCode, refusal(answer).code]).toEqual([400, 'bad_request'])
    expect(refusal(answer).message).toContain(message)
  })

  test.each(['/api/v1/devices/%E0%A4%A', '/api/v1/devices/%ff', '/%ff'])('a path that is no percent-encoding of UTF-8 is 400 as JSON: %s', async (path) => {
    const answer = await get(setUp().server, path)
    expect([answer.statusCode, refusal(answer).code]).toEqual([400, 'bad_request'])
  })

  test.each([
    ['GET', '/api/v1/devices/'],
    ['GET', '/api/v1/incidents/'],
    ['POST', '/api/v1/devices//release'],
  ] as const)('an empty id is 400: %s %s', async (method, url) => {
    const answer = await setUp().server.inject({ method, url, ...(method === 'POST' ? { payload: { reason: 'x' } } : {}) })
    expect([answer.statusCode, refusal(answer).message]).toEqual([400, 'path: the id is empty, expected one'])
  })

  test.each(['/api/v1/devices/', '/api/v1/incidents/', '/elsewhere/'])('a 404 echoes a hundred characters at most: %s', async (path) => {
    const { message } = refusal(await get(setUp().server, `${path}${'n'.repeat(900)}`))
    expect(message).toMatch(/n{80,100}…/)
    expect(message).not.toMatch(/n{101}/)
  })

  test('of a key that stands twice in a body the last counts, as in JSON.parse', async () => {
    const { server, fleet } = setUp({ devices: [aDevice()] })
    const payload = '{"reason":"first","reason":"last"}'
    await server.inject({ method: 'POST', url: '/api/v1/devices/p1/release', payload, headers: { 'content-type': 'application/json' } })
    expect(fleet.requests.map(({ reason }) => reason)).toEqual(['last'])
  })

  test('an id beyond the limit is 400 as JSON', async () => {
    const answer = await get(setUp().server, `/api/v1/devices/${'n'.repeat(1025)}`)
    expect(answer.statusCode).toBeGreaterThanOrEqual(400)
    expect(refusal(answer).message).not.toBe('')
  })

  test.each([
    ['GET', '/api/v2'],
    ['POST', '/api/v1/devices'],
    ['DELETE', '/api/v1/devices/p1'],
  ] as const)('%s %s is 404', async (method, url) => {
    const answer = await setUp().server.inject({ method, url })
    expect(answer.statusCode).toBe(404)
    expect(refusal(answer).message).toContain(`${method} ${url}: no such resource`)
  })

  test('on loopback a Host that is not this machine is refused', async () => {
    const { server } = setUp({ devices: [aDevice()] })
    const answer = await get(server, '/api/v1/devices', { headers: { host: 'evil.example:8080' } })
    expect([answer.statusCode, refusal(answer).code]).toEqual([403, 'host_refused'])
    for (const host of ['localhost:8080', '127.0.0.1', '[::1]:8080', 'LOCALHOST'])
      expect((await get(server, '/api/v1/devices', { headers: { host } })).statusCode).toBe(200)
  })

  test('on an outer address any Host is taken', async () => {
    const { server } = setUp({}, '0.0.0.0')
    expect((await get(server, '/healthz', { headers: { host: 'picket.example' } })).statusCode).toBe(200)
  })
})

describe('startApi', () => {
  test('listens, says on which port, and no longer does after close', async () => {
    const api = await startApi(setUp().api)
    const url = `http://127.0.0.1:${api.address.port}/healthz`
    expect((await fetch(url)).status).toBe(200)
    await api.close()
    await expect(fetch(url)).rejects.toThrow()
  })

  test('answers what is no HTTP with an error of the usual form, and goes on', async () => {
    const api = await startApi(setUp().api)
    open.push(api)
    const socket = connect(api.address.port, '127.0.0.1')
    socket.end('RUBBISH\r\n\r\n')
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ error: { code: 'bad_request', message: expect.stringContaining('no HTTP request') } })
    expect((await fetch(`http://127.0.0.1:${api.address.port}/healthz`)).status).toBe(200)
  })

  test('answers a request without Host with an error of the usual form', async () => {
    const api = await startApi(setUp().api)
    open.push(api)
    const socket = connect(api.address.port, '127.0.0.1')
    socket.end('GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n')
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('{"error":{"code":"bad_request","message":"host: the header is missing"}}')
  })

  test('names an address that is taken, and the way out', async () => {
    const first = await startApi(setUp().api)
    open.push(first)
    const { api } = setUp()
    await expect(startApi({ ...api, listen: first.address })).rejects.toThrow(
      `listen.http 127.0.0.1:${first.address.port}: another process listens there; give another, such as --set listen.http=`,
    )
  })
})
