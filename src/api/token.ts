/** The bearer token at the HTTP door: asked of everything but metrics and health, which hold no secret and are asked by machines. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { unauthorized } from './answers.ts'

const OPEN: ReadonlySet<string> = new Set(['/metrics', '/healthz', '/readyz'])

export function refuseStrangers(server: FastifyInstance, token: string): void {
  const expected = digest(token)
  server.addHook('onRequest', async (request) => {
    if (OPEN.has(request.url.split('?', 1)[0]!)) return
    const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (given === undefined) throw unauthorized('authorization: expected Bearer and the token of auth.api.token; picket takes it from its config, --token or PICKET_TOKEN')
    if (!timingSafeEqual(digest(given), expected)) throw unauthorized('authorization: this is not the token of auth.api.token')
  })
}

/** Of equal length for any token, so that comparing tells nothing. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
