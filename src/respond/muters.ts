/** The muters: what keeps an incident from being told and acted on, and by which id it says so. Pure. */
import type { Incident } from '../core/incident.ts'
import type { Silence, SilenceMatch } from '../core/standing.ts'

const NOBODY: readonly string[] = []

/** Ids of the silences that mute the incident at `now`, ms since epoch; empty when it is not muted. */
export function mutedBy(silences: Iterable<Silence>, incident: Incident, now: number): readonly string[] {
  let ids: string[] | null = null
  for (const { id, match, until } of silences) if (until > now && fits(match, incident)) (ids ??= []).push(id)
  return ids ?? NOBODY
}

/** Whether the incident is all that the match says. */
export function fits(match: SilenceMatch, incident: Incident): boolean {
  if (match.device !== undefined && match.device !== incident.device) return false
  if (match.class !== undefined && match.class !== incident.class) return false
  if (match.cause !== undefined && match.cause !== incident.cause) return false
  return Object.entries(match.labels ?? {}).every(([name, value]) => Object.hasOwn(incident.labels, name) && incident.labels[name] === value)
}

/** For people: `class pump, site north`. */
export function matchText({ device, class: klass, cause, labels = {} }: SilenceMatch): string {
  const parts = [...Object.entries({ device, class: klass, cause }), ...Object.entries(labels)]
  return parts.filter(([, value]) => value !== undefined).map(([name, value]) => `${name} ${value}`).join(', ')
}
