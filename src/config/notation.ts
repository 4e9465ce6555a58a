/** How durations, sizes, addresses, budgets and patterns are written in the config: each a schema whose error says what is allowed. */
import { z } from 'zod'

const MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const BYTES = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 } as const
/** A month is 30 days: a budget is a rate, not a calendar. */
const PERIODS = { day: MS.d, week: 7 * MS.d, month: 30 * MS.d } as const

/** A mapping with these keys and no others. The error of an unknown key is the list of the known ones. */
export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape).join(', ')
  return z.strictObject(shape, { error: (issue) => (issue.code === 'unrecognized_keys' ? known : `a mapping with the keys ${known}`) })
}

export function list<Item extends z.ZodType>(item: Item, limits: { min: number; max: number; of: string }) {
  const error = `a list of ${limits.min} to ${limits.max} ${limits.of}`
  // Not by min and max: zod asks these of a text too, and says twice that it is no list.
  return z.array(item, { error }).refine((items) => items.length >= limits.min && items.length <= limits.max, { error })
}

export function choice<const Names extends readonly [string, ...string[]]>(names: Names) {
  return z.enum(names, { error: `one of ${names.join(', ')}` })
}

export function flag() {
  return z.boolean({ error: 'true or false' })
}

export function count(min: number, max: number) {
  const error = `a whole number from ${min} to ${max}`
  return z.int({ error }).min(min, { error }).max(max, { error })
}

export function number() {
  return z.number({ error: 'a number' })
}

export function text(pattern: RegExp, allowed: string) {
  return z.string({ error: allowed }).regex(pattern, { error: allowed })
}

/** Milliseconds of `10m`; `min` and `max` in the same notation. */
export function duration(min: string, max: string) {
  return quantity(MS, { min, max, what: 'a duration', example: '10m' })
}

/** Bytes of `64MiB`. */
export function size(min: string, max: string) {
  return quantity(BYTES, { min, max, what: 'a size', example: '64KiB' })
}

function quantity(units: Readonly<Record<string, number>>, range: { min: string; max: string; what: string; example: string }) {
  const names = Object.keys(units)
  const pattern = new RegExp(`^\\d+(?:\\.\\d+)?(?:${names.join('|')})$`)
  const amount = (written: string) => {
    const unit = names.find((name) => written.endsWith(name) && /[\d.]$/.test(written.slice(0, -name.length))) ?? ''
    return Math.round(Number(written.slice(0, written.length - unit.length)) * (units[unit] ?? Number.NaN))
  }
  const [least, most] = [amount(range.min), amount(range.max)]
  const error = `${range.what} from ${range.min} to ${range.max} with one of the units ${names.join(', ')}, such as ${range.example}`
  return text(pattern, error)
    .transform(amount)
    .refine((value) => value >= least && value <= most, { error })
}

export interface Address {
  readonly host: string
  /** 0: the system chooses one. */
  readonly port: number
}

const ADDRESS = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/

export function address() {
  const error = 'host:port with a port from 0 to 65535, such as 127.0.0.1:8080 or "[::1]:8080"'
  return text(ADDRESS, error)
    .transform((written): Address => {
      const [, six, four, port] = ADDRESS.exec(written) ?? []
      return { host: six ?? four ?? '', port: Number(port) }
    })
    .refine((value) => value.port <= 65_535, { error })
}

/** Whether only this machine can reach what listens there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

const BUDGET = /^(\d+(?:\.\d+)?) per (day|week|month)$/

export function budget() {
  const error = 'N per day, N per week or N per month with N above 0 and at most 1000, such as 1 per month'
  return text(BUDGET, error)
    .transform((written) => {
      const [, alarms, period] = BUDGET.exec(written) ?? []
      return { alarms: Number(alarms), perMs: PERIODS[period as keyof typeof PERIODS] }
    })
    .refine((value) => value.alarms > 0 && value.alarms <= 1_000, { error })
}

const PART_NAME = '[a-z][a-z0-9_]{0,31}'
const PART = new RegExp(`\\{(${PART_NAME})\\}`, 'g')
const LEVEL = String.raw`(?:\{${PART_NAME}\}|[^/{}+#\u0000]+)`
const PATTERN = new RegExp(`^(?!\\$|picket/)${LEVEL}(?:/${LEVEL})*$`)
const TEMPLATE = new RegExp(String.raw`^(?=.*\{)(?:\{${PART_NAME}\}|[^{}\u0000])+$`)

export function topicPattern() {
  const example = 'such as telemetry/{class}/{device}'
  return text(PATTERN, `levels of plain text or {name} (a-z, 0-9, _), joined by /, not under $ or picket/, ${example}`)
}

export function deviceTemplate() {
  return text(TEMPLATE, 'text with at least one {name} of the topics, such as {site}/{device}')
}

/** Names of the `{parts}` in order. */
export function partsOf(template: string): string[] {
  return [...template.matchAll(PART)].map((match) => match[1]!)
}

/** Names of classes and metrics: what a topic level can be. */
export function levelName() {
  return text(/^[^\s/+#\u0000]{1,128}$/, 'a name of 1 to 128 characters without white space, /, + and #')
}
