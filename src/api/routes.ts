/** The resources of the API, each read from the app's views or handed to it as a request. */
import type { FastifyInstance } from 'fastify'
import { duration } from '../config/notation.ts'
import type { Request } from '../core/request.ts'
import type { ApiOptions } from './server.ts'
import { badRequest, echoed, notFound, unavailable } from './answers.ts'
import { MAX_ID, MAX_REASON, readBody, readChoice, readPage, readQuery, readText } from './parse.ts'
import type { Views } from './views.ts'

interface WithId {
  Params: { id: string }
}

export function addRoutes(server: FastifyInstance, options: ApiOptions): void {
  addOperations(server, options)
  addLists(server, options.app)
  addRequests(server, options)
}

function addOperations(server: FastifyInstance, { app, metrics }: ApiOptions): void {
  server.get('/metrics', async (_request, reply) => {
    const { contentType, body } = await metrics.exposition()
    return reply.header('content-type', contentType).send(body)
  })
  // The answer itself is the proof: a stuck event loop gives none.
  server.get('/healthz', async () => ({ alive: true }))
  server.get('/readyz', async (_request, reply) => {
    const { ready, reasons } = app.readiness()
    const lines = ready ? [{ ready }] : reasons.map((reason) => ({ ready, reason }))
    return reply
      .code(ready ? 200 : 503)
      .header('content-type', 'application/x-ndjson; charset=utf-8')
      .send(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  })
}

function addLists(server: FastifyInstance, app: Views): void {
  server.get('/api/v1/incidents', async (request) => {
    const query = readQuery(request.query, ['state', 'device', 'limit', 'after'])
    const state = readChoice(query.state, 'query: state', ['open', 'closed'])
    const device = query.device === null ? null : readText(query.device, 'query: device', MAX_ID)
    return { incidents: app.incidents.list({ state, device, ...readPage(query) }) }
  })
  server.get<WithId>('/api/v1/incidents/:id', async (request) => {
    readQuery(request.query, [])
    const id = readId(request.params)
    const incident = app.incidents.get(id)
    if (!incident) throw notFound(`incident '${echoed(id)}': not known, or closed so long ago that it is no longer kept at hand`)
    return incident
  })
  server.get('/api/v1/devices', async (request) => {
    const query = readQuery(request.query, ['limit', 'after'])
    const page = readPage(query)
    if (app.devices.missing().length > 0) throw partlyUnknown('the list would not be whole', app)
    return { devices: app.devices.list(page) }
  })
  server.get<WithId>('/api/v1/devices/:id', async (request) => {
    readQuery(request.query, [])
    const id = readId(request.params)
    const device = app.devices.get(id)
    if (!device) throw unknownDevice(app, id)
    return device
  })
}

function addRequests(server: FastifyInstance, { app, clock, random }: ApiOptions): void {
  const ask = (wanted: Pick<Request, 'kind' | 'device' | 'forMs' | 'reason'>) =>
    app.request({ ...wanted, id: random.id(), incident: '', by: 'api', at: Math.round(clock.now()) })

  server.post<WithId>('/api/v1/devices/:id/quarantine', async (request, reply) => {
    readQuery(request.query, [])
    const body = readBody(request.body, ['for', 'reason'])
    const forMs = readLength(body.for)
    const reason = readText(body.reason, 'body: reason', MAX_REASON)
    const device = knownDevice(app, readId(request.params))
    return reply.code(202).send({ request: await ask({ kind: 'quarantine', device, forMs, reason }) })
  })
  server.post<WithId>('/api/v1/devices/:id/release', async (request, reply) => {
    readQuery(request.query, [])
    const reason = readText(readBody(request.body, ['reason']).reason, 'body: reason', MAX_REASON)
    const device = knownDevice(app, readId(request.params))
    return reply.code(202).send({ request: await ask({ kind: 'release', device, forMs: null, reason }) })
  })
}

/** Throws 400. */
function readId({ id }: WithId['Params']): string {
  if (id === '') throw badRequest('path: the id is empty, expected one')
  return id
}

/** The id, when the device has a row or at least an incident: a slip of the pen must not look like a quarantine. Throws 404, 503. */
function knownDevice(app: Views, id: string): string {
  const isKnown = app.devices.get(id) !== null || app.incidents.list({ state: null, device: id, limit: 1, after: null }).length > 0
  if (!isKnown) throw unknownDevice(app, id)
  return id
}

/** Where a partition is missing nobody can say that there is no such device. */
function unknownDevice(app: Views, id: string): Error {
  if (app.devices.missing().length > 0) return partlyUnknown(`device '${echoed(id)}': can't be looked up`, app)
  return notFound(`device '${echoed(id)}': not known; GET /api/v1/devices lists those that are`)
}

/** Partitions named in a message. */
const MISSING_NAMED = 4

function partlyUnknown(what: string, app: Views): Error {
  const missing = app.devices.missing()
  const more = missing.length > MISSING_NAMED ? `; ${missing.length - MISSING_NAMED} more in /readyz` : ''
  return unavailable(`${what}: ${missing.slice(0, MISSING_NAMED).join('; ')}${more}`)
}

const LENGTH = duration('1s', '30d')

/** ms. Throws 400. */
function readLength(value: unknown): number {
  const length = LENGTH.safeParse(value)
  if (!length.success) throw badRequest(`body: for is ${JSON.stringify(value)}, expected ${length.error.issues[0]?.message}`)
  return length.data
}
