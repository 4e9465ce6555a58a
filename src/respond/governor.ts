/** The governor: how many quarantines may begin, counted in committed rows only, so that neither a restart nor a takeover forgets one. */
import type { Deciding } from './deciding.ts'
import type { ResponderState } from './state.ts'

/** Whose quarantine is asked about. */
export interface Subject {
  readonly device: string
  readonly class: string
  readonly labels: Readonly<Record<string, string>>
}

/** Why it may not begin now. */
export interface Hold {
  readonly bound: 'enforcement' | 'minute' | 'at once' | 'group'
  readonly reason: string
}

const MINUTE_MS = 60_000
const SECOND_MS = 1_000

/** Null when one more may begin. `groups`: devices quarantined by group, where many are asked about. */
export function holdOf(on: Deciding, subject: Subject, groups?: ReadonlyMap<string, number>): Hold | null {
  if (!on.isEnforcing()) return { bound: 'enforcement', reason: 'enforcement is off' }
  const { perMinute } = on.policy.quarantines
  if (begunLately(on.state.pace, on.now()) >= perMinute) return { bound: 'minute', reason: `${perMinute} quarantines a minute have begun` }
  return crowdOf(on, subject, groups)
}

/** The bounds on how many devices are quarantined at once; those being released count until they are heard of. */
export function crowdOf(on: Deciding, subject: Subject, groups?: ReadonlyMap<string, number>): Hold | null {
  const { leases } = on.state
  const { atOnce, group } = on.policy.quarantines
  // The device is among them already: a quarantine in the place of its release makes none more.
  if (leases.has(subject.device)) return null
  if (leases.size >= atOnce) return { bound: 'at once', reason: `${atOnce} devices are quarantined at once` }
  const name = groupOf(on, subject)
  if (!group || name === undefined || ((groups ?? countGroups(on)).get(name) ?? 0) < group.atOnce) return null
  return { bound: 'group', reason: `${group.atOnce} devices of ${group.by} ${name} are quarantined at once` }
}

/** Devices quarantined now, by group. */
export function countGroups(on: Deciding): Map<string, number> {
  const counts = new Map<string, number>()
  if (!on.policy.quarantines.group) return counts
  for (const row of on.state.leases.values()) countIn(on, counts, { device: row.lease.device, class: row.class ?? '', labels: row.labels ?? {} })
  return counts
}

/** Counts one more. */
export function countIn(on: Deciding, groups: Map<string, number>, subject: Subject): void {
  const name = groupOf(on, subject)
  if (name !== undefined) groups.set(name, (groups.get(name) ?? 0) + 1)
}

/** Undefined where the device is in none. */
function groupOf(on: Deciding, { class: klass, labels }: Subject): string | undefined {
  const by = on.policy.quarantines.group?.by
  if (by === undefined) return undefined
  return by === 'class' ? klass || undefined : Object.hasOwn(labels, by) ? labels[by] : undefined
}

/** To be called with every quarantine that begins, in the same commit. */
export function countBegun(on: Deciding): void {
  const second = Math.floor(on.now() / SECOND_MS)
  const pace = lately(on.state.pace, on.now())
  const count = pace.find(([at]) => at === second)?.[1] ?? 0
  on.state.setPace([...pace.filter(([at]) => at !== second), [second, count + 1]])
}

/** Quarantines of the last minute, of a state's `pace`. */
export function begunLately(pace: ResponderState['pace'], now: number): number {
  return lately(pace, now).reduce((sum, [, count]) => sum + count, 0)
}

/** When one more may begin as far as the minute goes, ms since epoch. */
export function minuteOpensAt(on: Deciding): number {
  const oldestFirst = lately(on.state.pace, on.now()).toSorted(([a], [b]) => a - b)
  let left = begunLately(oldestFirst, on.now())
  for (const [second, count] of oldestFirst) {
    left -= count
    if (left < on.policy.quarantines.perMinute) return lastsUntil(second)
  }
  return on.now()
}

/** Those within a minute of now, on either side: what a clock that was set back has before it counts too, but not for ever. */
function lately(pace: ResponderState['pace'], now: number): ResponderState['pace'] {
  return pace.filter(([second]) => lastsUntil(second) > now && second * SECOND_MS < now + MINUTE_MS)
}

/** A second counts until a minute after its end. */
function lastsUntil(second: number): number {
  return second * SECOND_MS + SECOND_MS + MINUTE_MS
}
