/** ISO 8601 text → ms since epoch, never by the machine's own time zone or a parser's good will. */

/** Date, T or a space, hours and minutes, with seconds, a fraction and an offset as may be. */
const ISO = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?$/
const MINUTE_MS = 60_000
/** The Gregorian calendar repeats after 400 years. `Date.UTC` takes the years 0 to 99 for 1900 to 1999. */
const CYCLE_YEARS = 400
const CYCLE_MS = 146_097 * 86_400_000

/** Without an offset it is UTC. A fraction counts to the nanosecond. null: no such time, or in another form. */
export function isoTime(text: string): number | null {
  const match = ISO.exec(text)
  if (!match) return null
  const [year, month, day, hour, minute] = [Number(match[1]), Number(match[2]), Number(match[3]), Number(match[4]), Number(match[5])]
  const second = Number(match[6] ?? 0)
  const [offsetHour, offsetMinute] = [Number(match[9] ?? 0), Number(match[10] ?? 0)]
  if (hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) return null
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null
  const fraction = match[7] === undefined ? 0 : Number(match[7].padEnd(9, '0')) / 1e6
  const offset = (offsetHour * 60 + offsetMinute) * MINUTE_MS
  const local = Date.UTC(year + CYCLE_YEARS, month - 1, day, hour, minute, second) - CYCLE_MS + fraction
  return match[8] === '-' ? local + offset : local - offset
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}
