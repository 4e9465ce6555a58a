/** The resources that operators change something by: each a request to respond, stored before it is answered; and what respond stands at. */
import type { FastifyInstance } from 'fastify'
import type { Request } from '../core/request.ts'
import type { Standing } from '../core/standing.ts'
import { badRequest, conflict, echoed, notFound, unavailable } from './answers.ts'
import { readEnforcement, readQuarantine, readRelease, readSilence } from './bodies.ts'
import { misdirected, needRole } from './elsewhere.ts'
import { lookUp, lookUpQuarantined, readId } from './known.ts'
import type { Looked } from './known.ts'
import type { WithId } from './known.ts'
import { MAX_ID, MAX_REASON, readPage, readQuery, readText } from './parse.ts'
import type { ApiOptions } from './server.ts'
import type { Views } from './views.ts'

type Ask = (wanted: Pick<Request, 'kind'> & Partial<Request>) => Promise<string>

export function addRequests(server: FastifyInstance, options: ApiOptions): void {
  const { app, clock, random } = options
  const ask: Ask = async (wanted) =>
    app.request({ device: '', forMs: null, reason: '', incident: '', ...wanted, id: random.id(), by: 'api', at: Math.round(clock.now()) })
  addDeviceRequests(server, options, ask)
  addEnforcement(server, app, ask)
  addSilences(server, app, ask)
}

/** Nobody to ask: the name is taken at its word, and the answer says so. */
const nobody = async () => null

function addDeviceRequests(server: FastifyInstance, { app, askOwner = nobody }: ApiOptions, ask: Ask): void {
  server.post<WithId>('/api/v1/devices/:id/quarantine', async (request, reply) => {
    readQuery(request.query, [])
    const { force, ...wanted } = readQuarantine(request.body)
    const device = readId(request.params)
    needRespond(app)
    const looked = await lookUp(app, device, askOwner)
    refuseWhileOff(app.standing())
    if (!force) refuseCrowd(app.standing(), device)
    const id = await ask({ kind: 'quarantine', device, ...wanted, ...(force ? { force } : {}) })
    return reply.code(202).send(accepted(id, looked))
  })
  server.post<WithId>('/api/v1/devices/:id/release', async (request, reply) => {
    readQuery(request.query, [])
    const wanted = readRelease(request.body)
    const device = readId(request.params)
    needRespond(app)
    const looked = await lookUpQuarantined(app, device, askOwner)
    return reply.code(202).send(accepted(await ask({ kind: 'release', device, ...wanted }), looked))
  })
}

function accepted(request: string, looked: Looked): { readonly request: string; readonly unchecked?: true } {
  return looked === 'known' ? { request } : { request, unchecked: true }
}

/** Requests go through the log: any process with the role takes them. Throws 421. */
function needRespond(app: Views): void {
  needRole(app, 'respond', 'respond')
}

/** What respond would only refuse is said at once; it decides again by itself. Throws 409. */
function refuseWhileOff(standing: Standing | null): void {
  if (standing?.enforcement.state === 'off') throw conflict(`enforcement is off (${standing.enforcement.reason}): no further device is quarantined until it is on again`)
}

/** The same; a device that is being released makes none more. Throws 409. */
function refuseCrowd(standing: Standing | null, device: string): void {
  if (!standing || standing.isQuarantined(device)) return
  const { active, atOnce } = standing.quarantines
  if (active >= atOnce) throw conflict(`${active} devices are quarantined, respond.quarantines.atOnce allows ${atOnce}: release one, or go beyond it with force`)
}

function addEnforcement(server: FastifyInstance, app: Views, ask: Ask): void {
  server.get('/api/v1/enforcement', async (request) => {
    readQuery(request.query, [])
    const { enforcement, quarantines } = standingOf(app)
    return { ...enforcement, quarantines }
  })
  server.post('/api/v1/enforcement', async (request, reply) => {
    readQuery(request.query, [])
    const wanted = readEnforcement(request.body)
    needRespond(app)
    const says = app.standing()?.enforcement
    if (wanted.state === 'on' && says?.state === 'off' && says.says === 'config')
      throw conflict(`${says.reason}, which wins over what is asked: change it there and start Picket again`)
    return reply.code(202).send({ request: await ask({ kind: 'enforcement', ...wanted }) })
  })
}

function addSilences(server: FastifyInstance, app: Views, ask: Ask): void {
  server.get('/api/v1/silences', async (request) => {
    const { limit, after } = readPage(readQuery(request.query, ['limit', 'after']))
    const { silences } = standingOf(app)
    const last = silences.findIndex(({ id }) => id === after)
    if (after !== null && last < 0) throw badRequest(`query: after: no silence ${echoed(after)} is in force; start again without it`)
    return { silences: silences.slice(last + 1, last + 1 + limit) }
  })
  server.post('/api/v1/silences', async (request, reply) => {
    readQuery(request.query, [])
    const wanted = readSilence(request.body)
    needRespond(app)
    return reply.code(202).send({ request: await ask({ kind: 'silence', ...wanted }) })
  })
  server.delete<WithId>('/api/v1/silences/:id', async (request, reply) => {
    const query = readQuery(request.query, ['reason'])
    const reason = query.reason === null ? '' : readText(query.reason, 'query: reason', MAX_REASON)
    const silence = readText(readId(request.params), 'path: the id', MAX_ID)
    if (!standingOf(app).silences.some(({ id }) => id === silence)) throw notFound(`silence '${echoed(silence)}': none in force; GET /api/v1/silences lists those that are`)
    return reply.code(202).send({ request: await ask({ kind: 'unsilence', silence, reason }) })
  })
}

/** What only the leader knows. Throws 421 where another process is known to lead, 503 where none is. */
export function standingOf(app: Views): Standing {
  needRespond(app)
  const standing = app.standing()
  if (standing) return standing
  const leader = app.holder('respond')
  if (leader !== null) throw misdirected('another process leads respond', leader)
  throw unavailable('respond is not at work in this process: it is starting, or another leads it')
}
