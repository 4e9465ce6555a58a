/** The ladder: how far to go for one revision of an incident. Pure; verified rungs beyond the command come later. */
import { SEVERITIES } from '../core/incident.ts'
import type { Cause, Incident, Severity } from '../core/incident.ts'
import type { ClassSettings, Settings } from '../core/settings.ts'

export type Rung =
  | { readonly rung: 'observe' }
  | { readonly rung: 'notify' }
  | { readonly rung: 'quarantine'; readonly forMs: number }
  /** It would be quarantined, were there not a lease already; people are told as on `notify`. */
  | { readonly rung: 'held'; readonly reason: 'already quarantined' }

/** A device is not cut off for what says nothing against it: our own losses and bounds, its clock, its absence, or all its peers. */
const NEVER_CUT: ReadonlySet<Cause> = new Set(['silence', 'clock', 'loss', 'capacity', 'common'])

export interface RungQuestion {
  readonly settings: Settings
  readonly incident: Incident
  /** A quarantine of the device that has not begun to end. */
  readonly isLeased: boolean
  /** How many ways there are to tell people. */
  readonly notifiers: number
}

export function rungOf({ settings, incident, isLeased, notifiers }: RungQuestion): Rung {
  const policy = classOf(settings, incident.class).quarantine
  if (policy && incident.state === 'open' && !NEVER_CUT.has(incident.cause) && reaches(incident.severity, policy.from))
    return isLeased ? { rung: 'held', reason: 'already quarantined' } : { rung: 'quarantine', forMs: policy.forMs }
  return { rung: notifiers > 0 ? 'notify' : 'observe' }
}

function reaches(severity: Severity, from: Severity): boolean {
  return SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(from)
}

/** The class's settings, or those of `default` for a class not named. */
function classOf(settings: Settings, name: string): ClassSettings {
  const named = Object.hasOwn(settings.classes, name) ? settings.classes[name] : undefined
  return named ?? settings.classes['default']!
}
