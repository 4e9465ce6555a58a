/** Whatever is sent to the API: a 4xx that says why, never a 5xx, and a request is stored only when it is a good one. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ApiError } from '../../src/api/answers.ts'
import { readEnforcement, readQuarantine, readRelease, readSilence } from '../../src/api/bodies.ts'
import { readChoice, readPage, readQuery, readText } from '../../src/api/parse.ts'
import { isPipelineError } from '../../src/core/errors.ts'
import { checkRequest, decodeRequest, encodeRequest } from '../../src/core/request.ts'
import { openDoor } from './door.ts'
import { aDevice, anIncident } from './fleet.ts'

/** Inputs a parser; CI runs this file once on each version of Node. */
const INPUTS = 100_000
/** The whole way through the server takes longer. */
const REQUESTS = 300
/** Seconds on a machine that is busy with other things too. */
const TIMEOUT_MS = 60_000

const KEYS = ['for', 'reason', 'force', 'state', 'release', 'match', 'device', 'class', 'cause', 'labels', 'id', 'kind', 'forMs', 'at', 'by', 'silence', '__proto__', 'constructor']
const GOOD = [
  { for: '10m', reason: 'x' },
  { for: '10m', reason: 'x', force: true },
  { reason: 'x' },
  { state: 'off', reason: 'x', release: true },
  { match: { device: 'p1', labels: { site: 'north' } }, for: '2h', reason: 'x' },
  { id: 'a', kind: 'silence', match: { cause: 'limit' }, forMs: 5_000, reason: 'x', by: 'ana', at: 1 },
  { id: 'a', kind: 'enforcement', state: 'off', at: 1 },
]
const anything = fc.oneof(fc.jsonValue(), fc.string(), fc.constantFrom('10m', '30d', '1s', 'on', 'off', 'quarantine', 'enforcement', 'silence', 'unsilence', true, false, null, 0, -1, 1e308))
/** A good body with some of it changed, bodies of known keys, and anything at all. */
const body = fc.oneof(
  fc.tuple(fc.constantFrom(...GOOD), fc.dictionary(fc.constantFrom(...KEYS), anything, { maxKeys: 3 })).map(([good, change]) => ({ ...good, ...change })),
  fc.dictionary(fc.constantFrom(...KEYS), anything, { maxKeys: 6 }),
  anything,
)
const queries = fc.dictionary(fc.oneof(fc.constantFrom('limit', 'after', 'state', 'device', 'reason', '__proto__'), fc.string()), fc.oneof(fc.string(), fc.array(fc.string())), { maxKeys: 4 })

/** True for a result, false for a refusal with a reason; anything else fails. */
function isTaken(read: () => unknown): boolean {
  try {
    read()
    return true
  } catch (error) {
    const isNamed = (error instanceof ApiError && error.status >= 400 && error.status < 500) || isPipelineError(error, 'REFUSED', 'BAD_RECORD')
    // Not by `expect`, which would take most of the time.
    if (!isNamed || (error as Error).message.length > 500) throw error
    return false
  }
}

const BODIES = { quarantine: readQuarantine, release: readRelease, enforcement: readEnforcement, silence: readSilence, 'stored request': storedRequest } as const

/** One that is taken is the same after the log. */
function storedRequest(value: unknown): void {
  const request = checkRequest(value)
  const again = encodeRequest(decodeRequest(encodeRequest(request)))
  if (!again.equals(encodeRequest(request))) throw new Error(`${again} was ${JSON.stringify(value)}`)
}

test('any body is read or refused by each that reads one', { timeout: TIMEOUT_MS }, () => {
  const taken = new Map<string, number>()
  const readByEach = (value: unknown) => {
    for (const [what, read] of Object.entries(BODIES)) if (isTaken(() => read(value))) taken.set(what, (taken.get(what) ?? 0) + 1)
  }
  fc.assert(fc.property(body, readByEach), { numRuns: INPUTS })
  // The inputs are worth something: each reader takes some and refuses some.
  for (const what of Object.keys(BODIES)) expect(taken.get(what)).toBeGreaterThan(100)
  for (const count of taken.values()) expect(count).toBeLessThan(INPUTS - 100)
})

test('any bytes are a stored request or refused as a record', { timeout: TIMEOUT_MS }, () => {
  fc.assert(fc.property(fc.oneof(fc.uint8Array(), fc.json().map((text) => Buffer.from(text))), (bytes) => void isTaken(() => decodeRequest(bytes))), { numRuns: INPUTS })
})

test('any query is read or refused', { timeout: TIMEOUT_MS }, () => {
  const read = (query: unknown) => {
    const known = readQuery(query, ['limit', 'after', 'state', 'device'])
    readPage(known)
    readChoice(known.state, 'query: state', ['open', 'closed'])
    if (known.device !== null) readText(known.device, 'query: device', 1024)
  }
  fc.assert(fc.property(queries, (query) => void isTaken(() => read(query))), { numRuns: INPUTS })
})

const PATHS = [
  ['GET', '/metrics'], ['GET', '/healthz'], ['GET', '/readyz'],
  ['GET', '/api/v1/incidents'], ['GET', '/api/v1/incidents/ID'], ['GET', '/api/v1/devices'], ['GET', '/api/v1/devices/ID'],
  ['POST', '/api/v1/devices/ID/quarantine'], ['POST', '/api/v1/devices/ID/release'],
  ['GET', '/api/v1/enforcement'], ['POST', '/api/v1/enforcement'],
  ['GET', '/api/v1/silences'], ['POST', '/api/v1/silences'], ['DELETE', '/api/v1/silences/ID'],
] as const

describe('anything sent to', () => {
  test.each(PATHS)('%s %s is answered below 500, with a reason where it is refused', async (method, path) => {
    const { fleet, server } = openDoor({ devices: [aDevice()], incidents: [anIncident()] })
    const sent = fc.record({
      id: fc.oneof(fc.constantFrom('p1', 'i1', '', '%', '%00', '..', '%2e%2e%2f'), fc.string().map(encode)),
      query: fc.oneof(fc.constant(''), queries.map((all) => `?${new URLSearchParams(Object.entries(all).map(([key, value]): [string, string] => [key, String(value)]))}`), fc.string().map((text) => `?${encode(text)}`)),
      payload: fc.oneof(body.map((value) => JSON.stringify(value) ?? ''), fc.string(), fc.constant('['.repeat(10_000)), fc.constant('x'.repeat(20_000))),
      type: fc.constantFrom('application/json', 'application/json; charset=utf-8', 'text/plain', 'application/x-www-form-urlencoded', ''),
    })
    await fc.assert(
      fc.asyncProperty(sent, async ({ id, query, payload, type }) => {
        const stored = fleet.requests.length
        const answer = await server.inject({ method, url: `${path.replace('ID', id)}${query}`, headers: { 'content-type': type }, ...(method === 'GET' ? {} : { payload }) })
        expect(answer.statusCode).toBeLessThan(500)
        if (answer.statusCode >= 400) expect((answer.json() as { error: { message: string } }).error.message).not.toBe('')
        expect(fleet.requests.length - stored).toBe(answer.statusCode === 202 ? 1 : 0)
        for (const request of fleet.requests.splice(0)) expect(decodeRequest(encodeRequest(request))).toEqual(request)
      }),
      { numRuns: REQUESTS },
    )
  })
})

function encode(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, ''))
}
