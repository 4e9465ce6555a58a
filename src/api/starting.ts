/** The app as the API sees it before there is one: not ready, with the reason, until the real one takes its place. */
import type { Role } from '../core/role.ts'
import { readinessOf } from '../ops/health.ts'
import { unavailable } from './answers.ts'
import type { Views } from './views.ts'

export interface StartingViews extends Views {
  /** Why it has not started yet, for `/readyz`. */
  waitFor(reason: string): void
  become(app: Views): void
}

export function startingViews(roles: readonly Role[]): StartingViews {
  let reason = 'Picket is starting'
  let app: Views | null = null
  /** Throws 503. */
  const started = (): Views => {
    if (!app) throw unavailable(reason)
    return app
  }
  return {
    roles,
    incidents: { list: (query) => started().incidents.list(query), get: (id) => started().incidents.get(id) },
    devices: {
      list: (page) => started().devices.list(page),
      get: (id) => started().devices.get(id),
      missing: () => started().devices.missing(),
      elsewhere: () => started().devices.elsewhere(),
      partitionOf: (id) => started().devices.partitionOf(id),
    },
    holder: (place) => started().holder(place),
    request: async (request) => started().request(request),
    standing: () => started().standing(),
    readiness: () => app?.readiness() ?? readinessOf([reason]),
    waitFor(why) {
      reason = why
    },
    become(real) {
      app = real
    },
  }
}
