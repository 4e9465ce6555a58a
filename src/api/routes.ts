/** The resources of the API, each read from the app's views or handed to it as a request. */
import type { FastifyInstance } from 'fastify'
import type { Incident } from '../core/incident.ts'
import type { Standing } from '../core/standing.ts'
import type { ApiOptions } from './server.ts'
import { echoed, notFound } from './answers.ts'
import { needRole, partsElsewhere, readingsOf } from './elsewhere.ts'
import { partlyUnknown, readId, unknownDevice } from './known.ts'
import type { WithId } from './known.ts'
import { MAX_ID, readChoice, readPage, readQuery, readText } from './parse.ts'
import { addReload } from './reload.ts'
import { addRequests } from './requests.ts'
import type { ShownIncident, Views } from './views.ts'

export function addRoutes(server: FastifyInstance, options: ApiOptions): void {
  addOperations(server, options)
  addLists(server, options.app)
  addRequests(server, options)
  addReload(server, options)
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
    needRole(app, 'respond', 'respond')
    const standing = app.standing()
    return { incidents: app.incidents.list({ state, device, ...readPage(query) }).map((incident) => shown(standing, incident)) }
  })
  server.get<WithId>('/api/v1/incidents/:id', async (request) => {
    readQuery(request.query, [])
    const id = readId(request.params)
    needRole(app, 'respond', 'respond')
    const incident = app.incidents.get(id)
    if (!incident) throw notFound(`incident '${echoed(id)}': not known, or closed so long ago that it is no longer kept at hand`)
    return shown(app.standing(), incident)
  })
  server.get('/api/v1/devices', async (request) => {
    const query = readQuery(request.query, ['limit', 'after'])
    const page = readPage(query)
    needDetect(app)
    if (app.devices.missing().length > 0) throw partlyUnknown('the list would not be whole', app)
    const elsewhere = partsElsewhere(app)
    return { devices: app.devices.list(page), ...(elsewhere.length > 0 ? { elsewhere } : {}) }
  })
  server.get<WithId>('/api/v1/devices/:id', async (request) => {
    readQuery(request.query, [])
    const id = readId(request.params)
    needRole(app, 'detect', readingsOf(app, id))
    const device = app.devices.get(id)
    if (!device) throw unknownDevice(app, id)
    return device
  })
}

/** Throws 421, with the first process that is known to have devices. */
function needDetect(app: Views): void {
  const some = app.devices.elsewhere().find(({ owner }) => owner !== null)
  needRole(app, 'detect', some ? `readings/${some.partition}` : null)
}

/** With the silences that mute it now, where there are any. */
function shown(standing: Standing | null, incident: Incident): ShownIncident {
  const silencedBy = standing?.silencedBy(incident) ?? []
  return silencedBy.length > 0 ? { ...incident, silencedBy } : incident
}
