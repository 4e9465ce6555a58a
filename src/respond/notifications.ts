/** Notifications: what people are told of an incident, with what else is open about its device, a revision at a time or gathered. */
import { idOf } from '../core/hash.ts'
import type { Incident } from '../core/incident.ts'
import { decided } from './deciding.ts'
import type { Deciding } from './deciding.ts'
import type { Group, Notice, Response } from './notifier.ts'
import { drop, enqueue } from './outbox.ts'
import type { NotifyEntry } from './state.ts'

/** Open incidents named in a group. */
const OPEN_NAMED = 50
/** Revisions in one notification: with so many it does not wait for more. */
const GATHERED_MOST = 32
/** Notices without an outcome, of all notifiers. */
const NOTICES_MOST = 100

export interface Telling {
  readonly response: Response | undefined
  /** Id of the silence after which a revision is told that was told before; '' for any other. */
  readonly after: string
}

/** A line in the ledger, and one notification a notifier, or none of those the outbox has no room for. */
export function tellPeople(on: Deciding, incident: Incident, { response, after }: Telling): void {
  if (on.notifiers.length === 0) return
  const held = response ? `; quarantine held: ${response.reason}` : ''
  const reason = `revision ${incident.revision}, ${incident.severity}: ${incident.summary}${held}`
  decided(on, { device: incident.device, incident: incident.id, action: 'notify', reason })
  const group = groupOf(on, incident)
  for (const { name, gatherMs } of on.notifiers) {
    const id = after === '' ? idOf('notify', incident.id, incident.revision, name) : idOf('notify', incident.id, incident.revision, name, after)
    const entry: NotifyEntry = { ...base(on, id), kind: 'notify', notifier: name, incident, group, ...(response ? { response } : {}) }
    if (gatherMs > 0) gather(on, entry, gatherMs)
    else if (hasRoom(on)) enqueue(on, entry)
    else drop(on, entry, full(on))
  }
}

/** Something about no incident, once by its `id`. */
export function sayNotice(on: Deciding, id: string, notice: Notice): void {
  for (const { name } of on.notifiers) {
    const entry = { ...base(on, idOf('notice', id, name)), kind: 'notice', notifier: name, notice } as const
    if (on.state.outbox.count('notice') < NOTICES_MOST) enqueue(on, entry)
    else drop(on, entry, `${NOTICES_MOST} notices wait already`)
  }
}

function base(on: Deciding, id: string) {
  return { id, at: on.now(), tries: 1, due: on.now() }
}

/** Into the device's notification that is not under way yet, or into a new one, which begins when its time is over or it is full. */
function gather(on: Deciding, entry: NotifyEntry, gatherMs: number): void {
  const open = on.state.outbox.gatheringFor(entry.notifier, entry.incident.device)
  if (!open && !hasRoom(on)) return drop(on, entry, full(on))
  const { id, at, due } = open ?? { ...entry, due: entry.at + gatherMs }
  const incidents = [...(open?.incidents ?? []), entry.incident]
  const response = entry.response ?? open?.response
  const gathered = { ...entry, id, at, due, tries: 0, incidents, ...(response ? { response } : {}) }
  const isFull = incidents.length >= GATHERED_MOST
  on.alarm(`outbox/${id}`, isFull ? null : due)
  if (isFull) enqueue(on, { ...gathered, tries: 1, due: on.now() })
  else on.state.outbox.set(id, gathered)
}

function hasRoom(on: Deciding): boolean {
  return on.state.outbox.count('notify') < on.limits.notifications
}

function full(on: Deciding): string {
  return `${on.limits.notifications} notifications wait already`
}

/** As it is after this revision. */
function groupOf(on: Deciding, incident: Incident): Group {
  const { device } = incident
  const others = on.state.incidents.of(device).map((row) => row.incident).filter(({ id }) => id !== incident.id)
  const open = (incident.state === 'open' ? [...others, incident] : others).toSorted((a, b) => a.openedAt - b.openedAt || (a.id < b.id ? -1 : 1))
  return { id: idOf('group', device), device, open: open.slice(0, OPEN_NAMED).map(({ id, cause, severity }) => ({ id, cause, severity })) }
}
