/** The HTTP door of a running Picket: its health, metrics, incidents and devices, and what operators ask of it. */
import type { Socket } from 'node:net'
import { fastify } from 'fastify'
import type { FastifyInstance } from 'fastify'
import { isLoopback } from '../config/notation.ts'
import { errorText, PipelineError } from '../core/errors.ts'
import type { Clock } from '../ops/clock.ts'
import type { Logger } from '../ops/logger.ts'
import type { PrometheusMetrics } from '../ops/prometheus.ts'
import type { Random } from '../ops/random.ts'
import { ApiError, badRequest, echoed, errorAnswer, notFound } from './answers.ts'
import type { ConfigDoor } from './config-door.ts'
import type { AskOwner } from './elsewhere.ts'
import { refuseStrangers } from './token.ts'
import { addRoutes } from './routes.ts'
import type { Views } from './views.ts'

/** Largest request body, bytes. */
export const BODY_LIMIT = 16 * 1024
/** Most characters of an id in a path, once decoded. */
const PATH_PART_LIMIT = 1024
/** A client gets so long to send its request, ms. */
const REQUEST_TIMEOUT_MS = 10_000

export interface ApiOptions {
  readonly listen: { readonly host: string; readonly port: number }
  /** Under which name others reach it; null or left out: under that it listens on. */
  readonly advertise?: { readonly host: string } | null
  /** What requests must bear, but for metrics and health; null or left out: nothing. */
  readonly token?: string | null
  /** Left out: there are no other processes. */
  readonly askOwner?: AskOwner
  readonly app: Views
  /** Left out: there is no file to read again. */
  readonly config?: ConfigDoor
  readonly metrics: PrometheusMetrics
  readonly logger: Logger
  readonly clock: Clock
  /** Names the requests. */
  readonly random: Random
}

export interface Api {
  /** As it listens: the port is the real one where 0 was asked for. */
  readonly address: { readonly host: string; readonly port: number }
  /** Takes no new requests, answers those under way, resolves when the last is answered. */
  close(): Promise<void>
}

/** Listens. Throws BAD_CONFIG when the address can't be had. */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { host, port } = options.listen
  const server = makeServer(options)
  try {
    await server.listen({ host, port })
  } catch (cause) {
    await server.close()
    throw new PipelineError('BAD_CONFIG', `listen.http ${host}:${port}: ${whyNot(cause)}; give another, such as --set listen.http=127.0.0.1:18080`, { cause })
  }
  const bound = server.server.address()
  return {
    address: { host, port: bound !== null && typeof bound === 'object' ? bound.port : port },
    close: async () => void (await server.close()),
  }
}

function whyNot(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  if (code === 'EADDRINUSE') return 'another process listens there'
  if (code === 'EACCES') return 'not allowed to listen there'
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return 'not an address of this machine'
  return errorText(error)
}

/** The server before it listens; tests send to it by `inject`. */
export function makeServer(options: ApiOptions): FastifyInstance {
  const { listen, advertise = null, token = null, metrics, logger } = options
  const server = fastify({
    logger: false,
    // Node's own answer to a request without Host has no body; ours is below.
    http: { requireHostHeader: false },
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: PATH_PART_LIMIT },
    clientErrorHandler: refuseBadHttp,
    frameworkErrors: (error, _request, reply) => {
      const { status, body } = errorAnswer(error, BODY_LIMIT)
      reply.raw.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body))
    },
  })
  server.removeContentTypeParser('text/plain')
  refuseMissingHost(server)
  if (isLoopback(listen.host)) refuseForeignHosts(server, [listen.host, ...(advertise ? [advertise.host] : [])])
  if (token !== null) refuseStrangers(server, token)
  server.setErrorHandler((error, request, reply) => {
    const { status, body } = errorAnswer(error, BODY_LIMIT)
    if (status === 401) reply.header('www-authenticate', 'Bearer')
    // What a route itself says of a state, such as unavailable, is an answer: the log has it from where it began.
    if (status >= 500 && !(error instanceof ApiError)) logger.error({ error, method: request.method, url: request.url }, 'request failed')
    return reply.code(status).send(body)
  })
  server.setNotFoundHandler((request) => {
    throw notFound(`${request.method} ${echoed(request.url.split('?')[0] ?? '')}: no such resource; docs/commands.md lists them`)
  })
  countRequests(server, metrics)
  tellReadiness(options)
  addRoutes(server, options)
  return server
}

/** What is no HTTP at all, or takes too long to arrive: answered where the socket still takes an answer, then closed. */
function refuseBadHttp(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code !== 'ECONNRESET' && socket.writable) {
    const { body } = errorAnswer(badRequest(`no HTTP request that can be read: ${error.message}`), BODY_LIMIT)
    const text = JSON.stringify(body)
    socket.write(`HTTP/1.1 400 Bad Request\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`)
  }
  socket.destroySoon()
}

function countRequests(server: FastifyInstance, metrics: PrometheusMetrics): void {
  const requests = metrics.counter('picket_http_requests_total', 'HTTP requests answered', ['route', 'status'])
  const seconds = metrics.histogram('picket_http_request_seconds', 'Time to answer an HTTP request', ['route'])
  server.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    requests.add(1, { route, status: String(reply.statusCode) })
    seconds.observe(reply.elapsedTime / 1000, { route })
  })
}

/** What `/readyz` answers, for who reads `/metrics` only. */
function tellReadiness({ app, metrics }: ApiOptions): void {
  const ready = metrics.gauge('picket_ready', '1 while /readyz answers 200, 0 while something speaks against it')
  metrics.beforeScrape(async () => ready.set(app.readiness().ready ? 1 : 0))
}

/** HTTP 1.1 demands it (RFC 9112, 3.2). */
function refuseMissingHost(server: FastifyInstance): void {
  server.addHook('onRequest', async (request) => {
    if (request.raw.httpVersion === '1.1' && request.headers.host === undefined) throw badRequest('host: the header is missing')
  })
}

/** Against DNS rebinding: a web page whose name was pointed at 127.0.0.1 sends its own name as Host. */
function refuseForeignHosts(server: FastifyInstance, own: readonly string[]): void {
  const allowed = new Set(['localhost', '127.0.0.1', '[::1]', ...own.map((host) => (host.includes(':') ? `[${host}]` : host).toLowerCase())])
  server.addHook('onRequest', async (request) => {
    const host = (request.headers.host ?? '').replace(/:\d*$/, '').toLowerCase()
    if (!allowed.has(host)) throw new ApiError(403, 'host_refused', `host: '${host}' is not this machine, expected localhost or ${own.join(' or ')}`)
  })
}
