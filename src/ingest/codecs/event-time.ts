/** The event time a payload claims, as ms since epoch or ISO 8601 text; never read in the machine's own time zone. */
import { quoted, Refusal } from '../refusal.ts'

/** As far as ECMAScript's dates reach, ms either side of the epoch. */
const FARTHEST = 8.64e15
const ISO = /^(\d{4})-(\d\d)-(\d\d)[Tt ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d{1,9})?)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):?[0-5]\d)$/

/** ms since epoch, within ±8.64e15. Throws a Refusal. */
export function eventTime(claimed: unknown): number {
  if (typeof claimed === 'number' && Math.abs(claimed) <= FARTHEST) return claimed + 0
  if (typeof claimed === 'string') {
    const time = isoTime(claimed)
    if (time !== null) return time
  }
  throw new Refusal('event_time', `ts is ${shown(claimed)}, expected ms since epoch or ISO 8601 with its zone such as "2026-01-31T08:00:00Z"`)
}

function shown(claimed: unknown): string {
  if (typeof claimed === 'string') return quoted(claimed)
  if (typeof claimed === 'object') return Array.isArray(claimed) ? 'a list' : 'an object'
  return String(claimed)
}

function isoTime(text: string): number | null {
  const match = ISO.exec(text)
  if (!match) return null
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  // Date.parse takes February 30th for March 1st or 2nd.
  if (new Date(Date.UTC(year, month - 1, day)).getUTCDate() !== day) return null
  const time = Date.parse(canonical(text))
  return Number.isNaN(time) ? null : time
}

/** The one form that every engine must read (ECMA-262, date time string format): T, Z, a dot, a colon in the offset. */
function canonical(text: string): string {
  const tidy = text.toUpperCase().replace(' ', 'T').replace(',', '.')
  return tidy.replace(/(T.*[+-]\d\d)(\d\d)$/, '$1:$2')
}
