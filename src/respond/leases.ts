/** Leases: how a device's quarantine begins and ends. No effect happens here: the two of each go into the outbox. */
import { idOf } from '../core/hash.ts'
import { decided } from './deciding.ts'
import type { Deciding } from './deciding.ts'
import type { Lease } from './enforcer.ts'
import { countBegun } from './governor.ts'
import type { Subject } from './governor.ts'
import { quarantineOf, reaches } from './ladder.ts'
import { answerMs, enqueue, supersede } from './outbox.ts'
import type { LeaseRow } from './state.ts'

/** A release command may be executed for so long after it was issued, ms: longer than all its attempts take. */
const RELEASE_VALID_MS = 3_600_000

/** What brought a decision about. */
export interface Cause {
  /** Id of the incident or request: the effects' ids are made from it. */
  readonly id: string
  /** '' when a person asked. */
  readonly incident: string
  readonly reason: string
  /** When what caused it was received, ms since epoch; null where a clock made it. */
  readonly since: number | null
}

export interface Wanted extends Subject {
  /** Of the device in `readings`. */
  readonly partition: number
  readonly forMs: number
}

/** The new lease's generation; null when there is no room for another. Whether it may begin was asked of the governor before. */
export function quarantine(on: Deciding, { device, class: klass, labels, partition, forMs }: Wanted, cause: Cause): number | null {
  const old = on.state.leases.get(device)
  if (!old && on.state.leases.size >= on.limits.leases) {
    on.meters.commands.add(1, { kind: 'quarantine', outcome: 'refused' })
    decided(on, { device, incident: cause.incident, action: 'quarantine', reason: `${on.limits.leases} devices are quarantined already`, outcome: 'refused' })
    return null
  }
  const at = on.now()
  const generation = on.state.nextGeneration(at)
  const lease = { device, generation, incident: cause.incident, reason: cause.reason, issuedAt: at, until: at + forMs }
  countBegun(on)
  command(on, { state: 'active', lease, partition, ...effectIds(cause.id, 'quarantine', generation), class: klass, labels }, cause)
  on.alarm(`lease/${device}`, lease.until)
  return generation
}

/** The release's generation. */
function release(on: Deciding, row: LeaseRow, cause: Cause): number {
  const at = on.now()
  const { device, incident } = row.lease
  const generation = on.state.nextGeneration(at)
  const lease = { device, generation, incident, reason: cause.reason, issuedAt: at, until: at + RELEASE_VALID_MS }
  on.alarm(`lease/${device}`, null)
  command(on, { ...row, state: 'releasing', lease, ...effectIds(cause.id, 'release', generation) }, cause)
  return generation
}

/**
 * A person's release: it holds for what is open about the device now, until that closes or becomes more severe than it is.
 * Whether anything was held by it that would have been quarantined.
 */
export function releaseByPerson(on: Deciding, device: string, cause: Cause): boolean {
  const lease = on.state.leases.get(device)
  const open = on.state.incidents.of(device)
  const isWaiting = open.some(({ waits }) => waits)
  const isToHold = lease?.state === 'releasing' && open.some(({ incident, released }) => !released || !reaches(released.severity, incident.severity))
  if (lease?.state !== 'active' && !isWaiting && !isToHold) return false
  const holds = isWaiting ? 'no quarantine waits for room any more' : 'being released already, and not to be quarantined again'
  if (lease?.state !== 'active') decided(on, { device, incident: '', action: 'release', reason: `${holds}: ${cause.reason}` })
  const generation = lease?.state === 'active' ? release(on, lease, cause) : on.state.nextGeneration(on.now())
  for (const { waits: _, ...row } of open) on.state.incidents.set(row.incident.id, { ...row, released: { severity: row.incident.severity, generation } })
  return true
}

/** At takeover: it ends where its time is over, or where the config does not allow what an incident began. */
export function decideLeaseAtStart(on: Deciding, row: LeaseRow): void {
  const { lease, class: klass, labels = {} } = row
  const isAllowed = lease.incident === '' || klass === undefined || quarantineOf(on.settings, { device: lease.device, class: klass, labels }) !== null
  if (isAllowed || lease.until <= on.now()) return decideLeaseEnd(on, lease.device)
  release(on, row, { id: lease.incident, incident: lease.incident, reason: 'the config says quarantine: never', since: null })
}

/** The device's lease has come to its end, or a clock says so too early and it stays. */
export function decideLeaseEnd(on: Deciding, device: string): void {
  const row = on.state.leases.get(device)
  if (row?.state !== 'active') return
  if (on.now() < row.lease.until) return on.alarm(`lease/${device}`, row.lease.until)
  release(on, row, { id: row.lease.incident || row.command, incident: row.lease.incident, reason: 'the lease has ended', since: null })
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
