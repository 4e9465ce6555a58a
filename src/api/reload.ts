/** The resources about the configuration: what is in force, how far its last change has come, and the change itself. */
import type { FastifyInstance } from 'fastify'
import type { ConfigView } from '../core/standing.ts'
import { unavailable } from './answers.ts'
import type { ConfigDoor } from './config-door.ts'
import { readBody, readQuery } from './parse.ts'
import { standingOf } from './requests.ts'
import type { ApiOptions } from './server.ts'
import type { Views } from './views.ts'

export function addReload(server: FastifyInstance, { app, config }: ApiOptions): void {
  server.get('/api/v1/config', async (request) => {
    readQuery(request.query, [])
    const { hash, keys } = doorOf(config).running()
    const inForce = app.standing()?.config ?? null
    return { roles: app.roles, hash, inForce: inForce && { version: inForce.version, hash: inForce.hash }, keys }
  })
  server.get('/api/v1/reload', async (request) => {
    readQuery(request.query, [])
    return inForceOf(app)
  })
  server.post('/api/v1/reload', async (request) => {
    readQuery(request.query, [])
    readBody(request.body ?? {}, [])
    inForceOf(app)
    // Led by another process meanwhile: that one is named then.
    return (await doorOf(config).reload('api')) ?? inForceOf(app)
  })
}

/** Throws 421 where another process leads respond, 503 before it is known what is in force. */
function inForceOf(app: Views): ConfigView {
  const { config } = standingOf(app)
  if (!config) throw unavailable(`which configuration is in force is not known yet: ${app.readiness().reasons[0] ?? 'respond has just begun'}`)
  return config
}

/** Throws 503. */
function doorOf(config: ConfigDoor | undefined): ConfigDoor {
  if (!config) throw unavailable('this process has no configuration file')
  return config
}
