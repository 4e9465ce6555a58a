/** What an operator names has to be known: a slip of the pen must not look like a quarantine. */
import { badRequest, echoed, notFound, unavailable } from './answers.ts'
import type { Views } from './views.ts'

export interface WithId {
  Params: { id: string }
}

/** Throws 400. */
export function readId({ id }: WithId['Params']): string {
  if (id === '') throw badRequest('path: the id is empty, expected one')
  return id
}

/** The id, when the device has a row or at least an incident. Throws 404, 503. */
export function knownDevice(app: Views, id: string): string {
  const isKnown = app.devices.get(id) !== null || app.incidents.list({ state: null, device: id, limit: 1, after: null }).length > 0
  if (!isKnown) throw unknownDevice(app, id)
  return id
}

/** The same for what ends something: a device that is quarantined so long that all else about it is forgotten is known too. */
export function knownOrQuarantined(app: Views, id: string): string {
  return app.standing()?.isQuarantined(id) ? id : knownDevice(app, id)
}

/** Where a partition is missing nobody can say that there is no such device. */
export function unknownDevice(app: Views, id: string): Error {
  if (app.devices.missing().length > 0) return partlyUnknown(`device '${echoed(id)}': can't be looked up`, app)
  return notFound(`device '${echoed(id)}': not known; GET /api/v1/devices lists those that are`)
}

/** Partitions named in a message. */
const MISSING_NAMED = 4

export function partlyUnknown(what: string, app: Views): Error {
  const missing = app.devices.missing()
  const more = missing.length > MISSING_NAMED ? `; ${missing.length - MISSING_NAMED} more in /readyz` : ''
  return unavailable(`${what}: ${missing.slice(0, MISSING_NAMED).join('; ')}${more}`)
}
