/** What an operator names has to be known: a slip of the pen must not look like a quarantine. */
import { badRequest, echoed, notFound, unavailable } from './answers.ts'
import { type AskOwner, refuseElsewhere } from './elsewhere.ts'
import type { Views } from './views.ts'

export interface WithId {
  Params: { id: string }
}

/** Throws 400. */
export function readId({ id }: WithId['Params']): string {
  if (id === '') throw badRequest('path: the id is empty, expected one')
  return id
}

/** Whether the name could be looked up; where no process that would know it can be asked, it is taken at its word. */
export type Looked = 'known' | 'unchecked'

/** Looks for a row of the device, here or with who owns its partition, or at least an incident. Throws 404, 503. */
export async function lookUp(app: Views, id: string, askOwner: AskOwner): Promise<Looked> {
  const isKnown = app.devices.get(id) !== null || app.incidents.list({ state: null, device: id, limit: 1, after: null }).length > 0
  if (isKnown) return 'known'
  const partition = app.devices.partitionOf(id)
  const other = app.devices.elsewhere().find((one) => one.partition === partition)
  if (!other) throw unknownDevice(app, id)
  const answer = other.owner === null ? null : await askOwner(other.owner, id)
  if (answer === false) throw notFound(`device '${echoed(id)}': not known to http://${other.owner}, which has its partition`)
  return answer === null ? 'unchecked' : 'known'
}

/** The same for what ends something: a device that is quarantined so long that all else about it is forgotten is known too. */
export async function lookUpQuarantined(app: Views, id: string, askOwner: AskOwner): Promise<Looked> {
  return app.standing()?.isQuarantined(id) ? 'known' : lookUp(app, id, askOwner)
}

/** Where a partition is missing nobody can say that there is no such device. Throws 421 where another process can. */
export function unknownDevice(app: Views, id: string): Error {
  refuseElsewhere(app, id)
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
