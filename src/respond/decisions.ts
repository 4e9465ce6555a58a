/** The decisions: what follows from a change of an incident, a person's request, or the end of a lease. No effect happens here. */
import { idOf } from '../core/hash.ts'
import type { Incident } from '../core/incident.ts'
import type { Request } from '../core/request.ts'
import type { Lease } from './enforcer.ts'
import type { Change } from './incident-reader.ts'
import { rungOf } from './ladder.ts'
import type { LineFields } from './ledger.ts'
import { answerMs, enqueue, enqueueNotifications, supersede } from './outbox.ts'
import type { Deciding } from './outbox.ts'
import type { LeaseRow } from './state.ts'

/** A person's quarantine that names no length, ms. */
const QUARANTINE_MS = 600_000
/** A release command may be executed for so long after it was issued, ms: longer than all its attempts take. */
const RELEASE_VALID_MS = 3_600_000

/** What brought a decision about. */
interface Cause {
  /** Id of the incident or request: the effects' ids are made from it. */
  readonly id: string
  /** '' when a person asked. */
  readonly incident: string
  readonly reason: string
  /** When what caused it was received, ms since epoch; null where a clock made it. */
  readonly since: number | null
}

/** `since`: when the device's message that made the change was received, ms since epoch. */
export function decideChange(on: Deciding, change: Change, since: number): void {
  const { incident } = change
  const lease = on.state.leases.get(incident.device)
  const rung = rungOf({ settings: on.settings, incident, isLeased: lease?.state === 'active', notifiers: on.notifiers.length })
  if (rung.rung !== 'observe') tellPeople(on, incident)
  let generation = on.state.incidents.get(incident.id)?.generation ?? 0
  if (rung.rung === 'quarantine') {
    const cause = { id: incident.id, incident: incident.id, reason: incident.summary, since }
    generation = quarantine(on, incident.device, change.partition, rung.forMs, cause) ?? generation
  }
  if (rung.rung === 'held' && lease && generation !== lease.lease.generation) {
    generation = lease.lease.generation
    decided(on, { device: incident.device, incident: incident.id, action: 'quarantine', reason: rung.reason, outcome: 'held' })
  }
  keepIncident(on, change, generation)
}

function tellPeople(on: Deciding, incident: Incident): void {
  if (on.notifiers.length === 0) return
  const reason = `revision ${incident.revision}, ${incident.severity}: ${incident.summary}`
  decided(on, { device: incident.device, incident: incident.id, action: 'notify', reason })
  enqueueNotifications(on, incident)
}

function keepIncident(on: Deciding, { kind, incident, partition, position }: Change, generation: number): void {
  const { incidents } = on.state
  if (kind === 'closed') incidents.delete(incident.id)
  else if (incidents.has(incident.id) || incidents.size < on.limits.incidents) incidents.set(incident.id, { incident, partition, position, generation })
}

/** `since`: append time of its record. Throws nothing: what can't be done is a line in the ledger. */
export function decideRequest(on: Deciding, request: Request, since: number): void {
  if (!on.state.isNewRequest(request.id, on.now())) return on.meters.drops.add(1, { stage: 'request', reason: 'repeated' })
  const { device } = request
  const reason = `${request.reason || request.kind} (asked by ${request.by || 'unknown'})`
  const cause = { id: request.id, incident: '', reason, since }
  const lease = on.state.leases.get(device)
  if (request.kind === 'acknowledge') on.state.record({ at: on.now(), kind: 'note', device, incident: request.incident, action: 'acknowledge', reason })
  else if (request.kind === 'quarantine' && lease?.state === 'active') refused(on, device, request, 'already quarantined')
  else if (request.kind === 'quarantine') quarantine(on, device, on.partitionFor(device), request.forMs ?? QUARANTINE_MS, cause)
  else if (lease?.state === 'active') release(on, lease, cause)
  else refused(on, device, request, lease ? 'being released already' : 'not quarantined')
}

function refused(on: Deciding, device: string, request: Request, why: string): void {
  decided(on, { device, incident: '', action: request.kind, reason: `${why}; request ${request.id} by ${request.by || 'unknown'}`, outcome: 'held' })
}

/** The device's lease has come to its end, or a clock says so too early and it stays. */
export function decideLeaseEnd(on: Deciding, device: string): void {
  const row = on.state.leases.get(device)
  if (row?.state !== 'active') return
  if (on.now() < row.lease.until) return on.alarm(`lease/${device}`, row.lease.until)
  release(on, row, { id: row.lease.incident || row.command, incident: row.lease.incident, reason: 'the lease has ended', since: null })
}

/** The new lease's generation; null when there is no room for another. */
function quarantine(on: Deciding, device: string, partition: number, forMs: number, cause: Cause): number | null {
  const old = on.state.leases.get(device)
  if (!old && on.state.leases.size >= on.limits.leases) {
    on.meters.commands.add(1, { kind: 'quarantine', outcome: 'refused' })
    decided(on, { device, incident: cause.incident, action: 'quarantine', reason: `${on.limits.leases} devices are quarantined already`, outcome: 'refused' })
    return null
  }
  const at = on.now()
  const generation = on.state.nextGeneration(at)
  const lease = { device, generation, incident: cause.incident, reason: cause.reason, issuedAt: at, until: at + forMs }
  command(on, { state: 'active', lease, partition, ...effectIds(cause.id, 'quarantine', generation) }, cause)
  on.alarm(`lease/${device}`, lease.until)
  return generation
}

function release(on: Deciding, row: LeaseRow, cause: Cause): void {
  const at = on.now()
  const { device, incident } = row.lease
  const generation = on.state.nextGeneration(at)
  const lease = { device, generation, incident, reason: cause.reason, issuedAt: at, until: at + RELEASE_VALID_MS }
  on.alarm(`lease/${device}`, null)
  command(on, { state: 'releasing', lease, partition: row.partition, ...effectIds(cause.id, 'release', generation) }, cause)
}

function effectIds(cause: string, rung: 'quarantine' | 'release', generation: number): { readonly command: string; readonly control: string } {
  return { command: idOf(cause, rung, generation), control: idOf(cause, `${rung} record`, generation) }
}

/** Puts the device's row in force: the line, the row, and the two effects, in the place of those still under way. */
function command(on: Deciding, row: LeaseRow, cause: Cause): void {
  const { lease } = row
  const kind = row.state === 'active' ? 'quarantine' : 'release'
  const old = on.state.leases.get(lease.device)
  if (old) supersede(on, [old.command, old.control])
  on.state.leases.set(lease.device, row)
  const reason = `${lease.reason}${kind === 'quarantine' ? untilText(lease) : ''}`
  const about = { device: lease.device, incident: lease.incident, command: row.command }
  decided(on, { ...about, action: kind, reason })
  on.tell('info', { ...about, generation: lease.generation }, `${kind} decided: ${reason}`)
  const sent = { id: row.command, kind, lease } as const
  enqueue(on, { kind: 'command', id: row.command, at: lease.issuedAt, tries: 1, due: lease.issuedAt + answerMs(1), command: sent, sent: false, accepted: false, since: cause.since })
  const body = { kind: 'quarantine', device: lease.device, generation: lease.generation, until: kind === 'quarantine' ? lease.until : null } as const
  enqueue(on, { kind: 'control', id: row.control, at: lease.issuedAt, tries: 1, due: lease.issuedAt, partition: row.partition, body })
}

function untilText(lease: Lease): string {
  return `; until ${new Date(lease.until).toISOString()}`
}

function decided(on: Deciding, fields: Omit<LineFields, 'at' | 'kind'>): void {
  on.state.record({ ...fields, at: on.now(), kind: 'decision' })
}
