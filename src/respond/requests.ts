/** What people ask, decided once an id: what can't be done is a line in the ledger that says why. */
import type { Request } from '../core/request.ts'
import { decided } from './deciding.ts'
import type { Deciding } from './deciding.ts'
import { decideEnforcement } from './enforcement.ts'
import { crowdOf } from './governor.ts'
import { quarantine, releaseByPerson } from './leases.ts'
import { decideSilence, decideUnsilence } from './silences.ts'

/** A person's quarantine that names no length, ms. */
const QUARANTINE_MS = 600_000

/** `since`: append time of its record. */
export function decideRequest(on: Deciding, request: Request, since: number): void {
  if (!on.state.isNewRequest(request.id, on.now())) return on.meters.drops.add(1, { stage: 'request', reason: 'repeated' })
  switch (request.kind) {
    case 'quarantine':
      return decideQuarantine(on, request, since)
    case 'release':
      return decideRelease(on, request, since)
    case 'enforcement':
      return decideEnforcement(on, request)
    case 'silence':
      return decideSilence(on, request, since)
    case 'unsilence':
      return decideUnsilence(on, request)
    default:
      on.state.record({ at: on.now(), kind: 'note', device: request.device, incident: request.incident, action: 'acknowledge', reason: reasonOf(request) })
  }
}

/** Of any class. It counts like any other, but no minute holds it back, and with `force` no crowd. */
function decideQuarantine(on: Deciding, request: Request, since: number): void {
  const { device, force } = request
  const forMs = request.forMs ?? QUARANTINE_MS
  const { class: klass = '', labels = {} } = on.state.incidents.of(device)[0]?.incident ?? {}
  const subject = { device, class: klass, labels }
  if (on.state.leases.get(device)?.state === 'active') return refused(on, request, 'already quarantined')
  if (!on.isEnforcing()) return refused(on, request, 'enforcement is off')
  if (since + forMs <= on.now()) return refused(on, request, 'it would be over before it was read')
  const crowd = force ? null : crowdOf(on, subject)
  if (crowd) return refused(on, request, `${crowd.reason}; force goes beyond`)
  const cause = { id: request.id, incident: '', reason: reasonOf(request), since }
  quarantine(on, { ...subject, partition: on.partitionFor(device), forMs }, cause)
}

function decideRelease(on: Deciding, request: Request, since: number): void {
  const isDone = releaseByPerson(on, request.device, { id: request.id, incident: '', reason: reasonOf(request), since })
  if (!isDone) refused(on, request, on.state.leases.has(request.device) ? 'being released already' : 'not quarantined')
}

function reasonOf({ kind, reason, by }: Request): string {
  return `${reason || kind} (asked by ${by || 'unknown'})`
}

function refused(on: Deciding, { id, kind, device, by }: Request, why: string): void {
  decided(on, { device, incident: '', action: kind, reason: `${why}; request ${id} by ${by || 'unknown'}`, outcome: 'held' })
}
