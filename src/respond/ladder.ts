/** The ladder: how far to go for one revision of an incident. Pure; verified rungs beyond the command come later. */
import { SEVERITIES } from '../core/incident.ts'
import type { Cause, Incident, Severity } from '../core/incident.ts'
import { type ClassSettings, settingsFor, type Settings } from '../core/settings.ts'

export type Rung =
  | { readonly rung: 'observe' }
  | { readonly rung: 'notify' }
  | { readonly rung: 'quarantine'; readonly forMs: number }
  /** It would be quarantined but for this; people are told as on `notify`. */
  | { readonly rung: 'held'; readonly reason: HeldReason }

export type HeldReason = 'already quarantined' | 'a person released the device' | Past

/** Why a revision says nothing of the device as it is now, though it says that the incident is open. */
export type Past = 'closed by a later revision at hand' | 'older than 10 minutes'

/** A revision read so long after the message that made it, ms, quarantines nobody: after an outage the device may be well, or its person there. */
const PAST_MS = 600_000

/** Null when the revision tells of now. `since`: when the message that made it was received, ms since epoch; null: it is known to be true now. */
export function pastOf(now: number, since: number | null, closesLater: boolean): Past | null {
  if (closesLater) return 'closed by a later revision at hand'
  return since !== null && now - since > PAST_MS ? 'older than 10 minutes' : null
}

/** A device is not cut off for what says nothing against it: our own losses and bounds, its clock, its absence, or all its peers. */
const NEVER_CUT: ReadonlySet<Cause> = new Set(['silence', 'clock', 'loss', 'capacity', 'common'])

export interface RungQuestion {
  readonly settings: Settings
  readonly incident: Incident
  /** A quarantine of the device that has not begun to end. */
  readonly isLeased: boolean
  /** Severity up to which a person's release holds for this incident; null: none does. */
  readonly released: Severity | null
  readonly past: Past | null
  /** How many ways there are to tell people. */
  readonly notifiers: number
}

type Subject = Pick<Incident, 'device' | 'class' | 'labels'>

/** Null: never, but by a person. */
export function quarantineOf(settings: Settings, { device, class: klass, labels }: Subject): ClassSettings['quarantine'] {
  return settingsFor(settings, { class: klass, site: labels['site'], device }).quarantine
}

export function rungOf({ settings, incident, isLeased, released, past, notifiers }: RungQuestion): Rung {
  const policy = quarantineOf(settings, incident)
  if (!policy || incident.state === 'closed' || NEVER_CUT.has(incident.cause) || !reaches(incident.severity, policy.from))
    return { rung: notifiers > 0 ? 'notify' : 'observe' }
  if (isLeased) return { rung: 'held', reason: 'already quarantined' }
  if (released && reaches(released, incident.severity)) return { rung: 'held', reason: 'a person released the device' }
  return past ? { rung: 'held', reason: past } : { rung: 'quarantine', forMs: policy.forMs }
}

export function reaches(severity: Severity, from: Severity): boolean {
  return SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(from)
}
