/** The event time a payload claims, in the unit its topic names → ms since epoch. */
import type { TimeUnit } from '../../core/topic-rule.ts'
import { quoted, Refusal } from '../refusal.ts'
import { isoTime } from './iso-time.ts'

/** As far as ECMAScript's dates reach, ms either side of the epoch. */
const FARTHEST = 8.64e15
const EXPECTED: Readonly<Record<TimeUnit, string>> = {
  auto: 'seconds, ms or µs since epoch or ISO 8601 such as "2026-01-31T08:00:00Z"',
  ms: 'ms since epoch',
  s: 'seconds since epoch',
  us: 'µs since epoch',
  iso: 'ISO 8601 such as "2026-01-31T08:00:00Z"',
}

/** ms since epoch, within ±8.64e15. `name` of the field. Throws a Refusal. */
export function eventTime(name: string, claimed: unknown, unit: TimeUnit): number {
  const time = typeof claimed === 'number' ? numberTime(claimed, unit) : typeof claimed === 'string' ? textTime(claimed, unit) : null
  if (time !== null && Math.abs(time) <= FARTHEST) return time + 0
  throw new Refusal('event_time', `${name} is ${shown(claimed)}, expected ${EXPECTED[unit]}`)
}

const DIGITS = /^-?\d+(?:\.\d+)?$/

/** Of a user property, which is always text: digits count as a number. Throws a Refusal. */
export function propertyTime(name: string, claimed: string, unit: TimeUnit): number {
  return eventTime(`user property ${quoted(name)}`, DIGITS.test(claimed) ? Number(claimed) : claimed, unit)
}

function textTime(claimed: string, unit: TimeUnit): number | null {
  return unit === 'auto' || unit === 'iso' ? isoTime(claimed) : null
}

function numberTime(claimed: number, unit: TimeUnit): number | null {
  switch (unit) {
    case 'ms':
      return claimed
    case 's':
      return claimed * 1000
    case 'us':
      return claimed / 1000
    case 'iso':
      return null
    case 'auto':
      return likelyTime(claimed)
  }
}

/**
 * Ten digits before the point are seconds (September 2001 to November 2286), sixteen µs of the same years, all else ms.
 * Never refused for being small: a device whose clock starts anew at 0 stays watched, and its clock is found wrong whatever the unit.
 */
function likelyTime(claimed: number): number {
  if (claimed >= 1e9 && claimed < 1e10) return claimed * 1000
  return claimed >= 1e15 && claimed < 1e16 ? claimed / 1000 : claimed
}

function shown(claimed: unknown): string {
  if (typeof claimed === 'string') return quoted(claimed)
  if (claimed !== null && typeof claimed === 'object') return Array.isArray(claimed) ? 'a list' : 'an object'
  return String(claimed)
}
