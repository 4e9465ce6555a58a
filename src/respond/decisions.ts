/** The decisions over incidents: tell, quarantine, hold back; at once, when there is room again, and when a silence is over. No effect happens here. */
import { SEVERITIES } from '../core/incident.ts'
import type { Incident } from '../core/incident.ts'
import { decided } from './deciding.ts'
import type { Deciding } from './deciding.ts'
import { countGroups, countIn, holdOf, minuteOpensAt } from './governor.ts'
import type { Hold } from './governor.ts'
import type { Change } from './incident-reader.ts'
import { pastOf, rungOf } from './ladder.ts'
import type { HeldReason, Past, Rung } from './ladder.ts'
import { quarantine } from './leases.ts'
import { mutedBy } from './muters.ts'
import { tellPeople } from './notifications.ts'
import type { Response } from './notifier.ts'
import type { IncidentRow } from './state.ts'

/** What is known beside the change itself. */
export interface Outlook {
  /** When the device's message that made the change was received, ms since epoch; null where it is looked at again. */
  readonly since: number | null
  /** A record at hand, not decided yet, closes the incident. */
  readonly closesLater: boolean
  /** Ids of the silences that mute it. */
  readonly silencedBy: readonly string[]
  /** Id of the silence that has ended, because of which it is looked at again; '' otherwise. */
  readonly after: string
}

/** Quarantines begun in one commit out of those that waited. */
const BEGUN_AT_ONCE = 100

export function decideChange(on: Deciding, change: Change, outlook: Outlook): void {
  const row = on.state.incidents.get(change.incident.id)
  if (outlook.silencedBy.length > 0) return mute(on, change, row, outlook.silencedBy)
  const { incident } = change
  // Its silence is over, and was so before its end could be looked at: nobody misses the closing of what they never heard of.
  if (change.kind === 'closed' && row?.muted !== undefined && !row.told) return on.state.incidents.delete(incident.id)
  const rung = rungFor(on, incident, row, pastOf(on.now(), outlook.since, outlook.closesLater))
  const hold = rung.rung === 'quarantine' ? holdOf(on, incident) : null
  const isToldAgain = outlook.after !== '' && row?.told?.revision === incident.revision
  const response = firstHeld(rung, hold, row)
  if (rung.rung !== 'observe') tellPeople(on, incident, { response, after: isToldAgain ? outlook.after : '' })
  let generation = row?.generation ?? 0
  if (rung.rung === 'held') generation = sayHeld(on, incident, row, rung.reason)
  if (hold && !row?.waits) held(on, incident, hold.reason)
  if (rung.rung === 'quarantine' && !hold) generation = quarantine(on, wantedOf(change, rung.forMs), causeOf(incident, outlook.since)) ?? generation
  const told = { revision: incident.revision, at: on.now() }
  const waits = hold ? (row?.waits ?? { since: on.now(), reason: hold.reason }) : undefined
  keep(on, change, { generation, told, waits, released: row?.released })
  if (hold) tryAgain(on, hold)
}

function rungFor(on: Deciding, incident: Incident, row: IncidentRow | undefined, past: Past | null): Rung {
  const isLeased = on.state.leases.get(incident.device)?.state === 'active'
  return rungOf({ settings: on.settings, incident, isLeased, released: row?.released?.severity ?? null, past, notifiers: on.notifiers.length })
}

/** What people should know of it, the first time it is so. That the device is quarantined, or was released by one of them, they know. */
function firstHeld(rung: Rung, hold: Hold | null, row: IncidentRow | undefined): Response | undefined {
  if (hold) return row?.waits ? undefined : { quarantine: 'held', reason: hold.reason }
  if (rung.rung !== 'held' || rung.reason === 'already quarantined' || rung.reason === 'a person released the device') return undefined
  return { quarantine: 'held', reason: rung.reason }
}

/** A line: once an incident and lease or release, for a revision of the past each time. The generation it is about. */
function sayHeld(on: Deciding, incident: Incident, row: IncidentRow | undefined, reason: HeldReason): number {
  const known = row?.generation ?? 0
  const about = { 'already quarantined': on.state.leases.get(incident.device)?.lease.generation, 'a person released the device': row?.released?.generation }
  const generation = reason in about ? about[reason as keyof typeof about] : undefined
  if (generation === undefined || generation !== known) held(on, incident, reason)
  return generation ?? known
}

function held(on: Deciding, { id, device }: Incident, reason: string): void {
  on.meters.commands.add(1, { kind: 'quarantine', outcome: 'held' })
  decided(on, { device, incident: id, action: 'quarantine', reason, outcome: 'held' })
}

/** Nobody is told and nobody quarantined; a closing that people would miss is owed to them. */
function mute(on: Deciding, change: Change, row: IncidentRow | undefined, ids: readonly string[]): void {
  const { incident, kind } = change
  const muted = ids.join(' ')
  for (const { name } of on.notifiers) on.meters.notifications.add(1, { notifier: name, outcome: 'silenced' })
  if (row?.muted !== muted) decided(on, { device: incident.device, incident: incident.id, action: 'notify', reason: `silenced by ${muted}`, outcome: 'held' })
  if (kind === 'closed' && row?.told) {
    if (on.state.owed.size < on.limits.incidents) on.state.owed.set(incident.id, { incident })
    else on.meters.drops.add(1, { stage: 'respond', reason: 'owed-full' })
  }
  keep(on, change, { generation: row?.generation ?? 0, told: row?.told, waits: row?.waits, released: row?.released, muted })
}

type Memory = { readonly [K in 'told' | 'waits' | 'released' | 'muted']?: IncidentRow[K] | undefined } & Pick<IncidentRow, 'generation'>

function keep(on: Deciding, { kind, incident, partition, position }: Change, { generation, ...memory }: Memory): void {
  const { incidents } = on.state
  if (kind === 'closed') return incidents.delete(incident.id)
  if (!incidents.has(incident.id) && incidents.size >= on.limits.incidents) return
  const known = Object.fromEntries(Object.entries(memory).filter(([, value]) => value !== undefined))
  incidents.set(incident.id, { incident, partition, position, generation, ...known })
}

/** Something may have made room: the most severe first, then those that wait longest. */
export function decideWaiting(on: Deciding): void {
  if (!on.isEnforcing() || !on.isAbreast()) return
  const rows = on.state.incidents.waiting().toSorted(byUrgency)
  const silences = on.state.silences.values()
  const groups = countGroups(on)
  let begun = 0
  for (const row of rows) {
    const { incident } = row
    if (mutedBy(silences, incident, on.now()).length > 0) continue
    const rung = rungFor(on, incident, row, null)
    const hold = rung.rung === 'quarantine' ? holdOf(on, incident, groups) : null
    if (hold?.bound === 'group') continue
    if (hold) return tryAgain(on, hold)
    if (begun === BEGUN_AT_ONCE) return on.alarm('waiting', on.now())
    const isBegun = rung.rung === 'quarantine' && begin(on, row, rung.forMs)
    if (isBegun) countIn(on, groups, incident)
    if (isBegun) begun++
    else stopWaiting(on, row, row.generation)
  }
}

function begin(on: Deciding, row: IncidentRow, forMs: number): boolean {
  const generation = quarantine(on, wantedOf(row, forMs), causeOf(row.incident, null))
  if (generation !== null) stopWaiting(on, row, generation)
  return generation !== null
}

function stopWaiting(on: Deciding, { waits: _, ...row }: IncidentRow, generation: number): void {
  on.state.incidents.set(row.incident.id, { ...row, generation })
}

function byUrgency(a: IncidentRow, b: IncidentRow): number {
  const severity = (row: IncidentRow) => SEVERITIES.indexOf(row.incident.severity)
  return severity(b) - severity(a) || a.waits!.since - b.waits!.since
}

/** The end of a lease, and `on`, ring by themselves. */
function tryAgain(on: Deciding, { bound }: Hold): void {
  if (bound === 'minute') on.alarm('waiting', minuteOpensAt(on))
}

function wantedOf({ incident, partition }: Pick<IncidentRow, 'incident' | 'partition'>, forMs: number) {
  return { device: incident.device, class: incident.class, labels: incident.labels, partition, forMs }
}

function causeOf({ id, summary }: Incident, since: number | null) {
  return { id, incident: id, reason: summary, since }
}
