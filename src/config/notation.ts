/** How durations, sizes, addresses, budgets and patterns are written in the config: each a schema whose error says what is allowed. */
import { z } from 'zod'

const MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const BYTES = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 } as const
/** A month is 30 days: a budget is a rate, not a calendar. */
const PERIODS = { day: MS.d, week: 7 * MS.d, month: 30 * MS.d } as const

/** What a value is beyond what zod knows of it: for the JSON Schema and the reference page. */
export interface Notation {
  /** Such as `duration`. */
  readonly type?: string
  /** What is allowed, in the notation itself. */
  readonly range?: string
  readonly unit?: string
}

function noted<Schema extends z.ZodType>(schema: Schema, notation: Notation): Schema {
  return schema.meta({ notation })
}

/** A mapping with these keys and no others. The error of an unknown key is the list of the known ones. */
export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape).join(', ')
  return z.strictObject(shape, { error: (issue) => (issue.code === 'unrecognized_keys' ? known : `a mapping with the keys ${known}`) })
}

export function list<Item extends z.ZodType>(item: Item, limits: { min: number; max: number; of: string }) {
  const error = `a list of ${limits.min} to ${limits.max} ${limits.of}`
  // Not by min and max: zod asks these of a text too, and says twice that it is no list.
  const schema = z.array(item, { error }).refine((items) => items.length >= limits.min && items.length <= limits.max, { error })
  return noted(schema, { type: `list of ${limits.of}`, range: `${limits.min} to ${limits.max}` }).meta({ minItems: limits.min, maxItems: limits.max })
}

export function choice<const Names extends readonly [string, ...string[]]>(names: Names) {
  return z.enum(names, { error: `one of ${names.join(', ')}` })
}

export function flag() {
  return z.boolean({ error: 'true or false' })
}

/** `unit`: what is counted. */
export function count(min: number, max: number, unit = '') {
  const error = `a whole number from ${min} to ${max}`
  return noted(z.int({ error, abort: true }).min(min, { error }).max(max, { error }), { unit })
}

export function number() {
  return z.number({ error: 'a number' })
}

export function text(pattern: RegExp, allowed: string) {
  return noted(z.string({ error: allowed }).regex(pattern, { error: allowed, abort: true }), { range: allowed })
}

/** What a key may hold in which references are replaced; one that was left as it is written is as good as its value. */
export function replaced(pattern: RegExp, allowed: string) {
  return text(new RegExp(`${pattern.source}|\\$\\{[^}]*\\}`), `${allowed}, or \${NAME}`)
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
  const notation = { type: range.what.replace('a ', ''), range: `${range.min} to ${range.max}`, unit: names.join(', ') }
  return noted(text(pattern, error), notation)
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
  return noted(text(ADDRESS, error), { type: 'address', range: error })
    .transform((written): Address => {
      const [, six, four, port] = ADDRESS.exec(written) ?? []
      return { host: six ?? four ?? '', port: Number(port) }
    })
    .refine((value) => value.port <= 65_535, { error })
}

const BROKER = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/

/** Stays as it is written. */
export function brokerAddress() {
  const error = 'host:port with a port from 1 to 65535, such as kafka:9092'
  const isPort = (written: string) => Number(BROKER.exec(written)?.[1]) >= 1 && Number(BROKER.exec(written)?.[1]) <= 65_535
  return noted(text(BROKER, error), { type: 'address', range: error }).refine(isPort, { error })
}

/** Of these schemes, without user and password, which have keys of their own. */
export function url(schemes: readonly string[]) {
  const error = `a URL with one of the schemes ${schemes.join(', ')}`
  return noted(z.url({ protocol: new RegExp(`^(?:${schemes.join('|')})$`), error, abort: true }), { type: 'URL', range: schemes.join(', ') })
    .max(2_048, { error: 'at most 2048 characters' })
    .refine((written) => new URL(written).username + new URL(written).password === '', { error: 'a URL without user and password; username and password are keys of their own' })
    .refine((written) => new URL(written).hostname !== '', { error: `${error} and a host` })
}

/** Path of a file. */
export function file() {
  return path('file')
}

export function path(of: string) {
  return text(/^[^\u0000-\u001f]{1,4096}$/, `the path of a ${of}`)
}

/** Whether only this machine can reach what listens there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

const BUDGET = /^(\d+(?:\.\d+)?) per (day|week|month)$/

export function budget() {
  const error = 'N per day, N per week or N per month with N above 0 and at most 1000, such as 1 per month'
  return noted(text(BUDGET, error), { type: 'rate', range: 'above 0 to 1000', unit: 'per day, per week, per month' })
    .transform((written) => {
      const [, alarms, period] = BUDGET.exec(written) ?? []
      return { alarms: Number(alarms), perMs: PERIODS[period as keyof typeof PERIODS] }
    })
    .refine((value) => value.alarms > 0 && value.alarms <= 1_000, { error })
}

const PART_NAME = '[a-z][a-z0-9_]{0,31}'
const LEVEL = String.raw`(?:\{${PART_NAME}\}|[^/{}+#\u0000]+)`
const PATTERN = new RegExp(String.raw`^(?!\$|picket(?:/|$))(?:${LEVEL}/)*(?:${LEVEL}|\{${PART_NAME}\+\})$`)
const PIECE = String.raw`(?:\{${PART_NAME}\}|\{(?:payload|property)\.[^{}\u0000-\u001f]{1,128}\}|[^{}\u0000-\u001f])`
const TEMPLATE = new RegExp(`^${PIECE}{1,256}$`)
const TEMPLATE_WITH_PART = new RegExp(String.raw`^(?=.*\{)${PIECE}{1,256}$`)

const PATTERN_EXAMPLE = 'such as telemetry/{class}/{device}'
const PATTERN_ALLOWED = `levels of plain text or {name} (a-z, 0-9, _), the last also {name+}, joined by /, not under $ or picket/, ${PATTERN_EXAMPLE}`
export const TOPIC_ALLOWED = `${PATTERN_ALLOWED}, or a mapping with the keys pattern, codec, time, device, class`

export function topicPattern() {
  return noted(text(PATTERN, PATTERN_ALLOWED), { type: 'topic pattern', range: PATTERN_EXAMPLE })
}

export function deviceTemplate() {
  return text(TEMPLATE_WITH_PART, 'text with at least one {name} of the topics, {payload.field} or {property.name}, such as {site}/{device}')
}

/** Of a device or class under one topic, which may be one and the same for all. */
export function nameTemplate() {
  return text(TEMPLATE, 'text that may have {name} of the topic, {payload.field} and {property.name} in it, such as {site}/{payload.meter}')
}

/** A field of a payload, dotted where it is nested. */
export function fieldName() {
  return text(/^[^\u0000-\u001f]{1,128}$/, 'the name of a field of the payload, such as ts or meta.time')
}

/** Names of sites: what a topic level can be. */
export function siteName() {
  return text(/^[^/+#\u0000-\u001f]{1,128}$/, 'a name of 1 to 128 characters without /, + and #')
}

/** Names of devices: what a template can make. */
export function deviceName() {
  return text(/^[^\u0000-\u001f]{1,1024}$/, 'a name of 1 to 1024 characters')
}

export function timezone() {
  const error = 'an IANA time zone, such as Europe/Berlin'
  return text(/^[A-Za-z][A-Za-z0-9_+-]{0,31}(?:\/[A-Za-z0-9_+-]{1,31}){0,2}$/, error).refine(isTimezone, { error })
}

function isTimezone(name: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: name }))
  } catch {
    return false
  }
}

/** Names of classes and metrics: what a topic level can be. */
export function levelName() {
  return text(/^[^\s/+#\u0000]{1,128}$/, 'a name of 1 to 128 characters without white space, /, + and #')
}
