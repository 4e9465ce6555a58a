/** Rows of a CSV as the messages a device would send: the middle step of `replay`, between the file and MQTT. */
import { PipelineError } from '../core/errors.ts'

/** Names of the time column, the first of them in the header counts; any case. */
const TIME_COLUMNS = ['timestamp', 'datetime', 'time', 'ts'] as const

/** Texts that stand for no value, beside the empty cell. */
const MISSING: ReadonlySet<string> = new Set(['', 'NA', 'N/A', 'NaN', 'nan', 'null', 'NULL'])

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/

/** What the message says of its time: the file's own, the moment it is sent, or nothing. */
export const TIME_MODES = ['file', 'now', 'none'] as const
export type TimeMode = (typeof TIME_MODES)[number]

export interface ReplayRow {
  /** The file's own time, ms since epoch. */
  readonly time: number
  /** Without the time; null is a missing value. */
  readonly values: Readonly<Record<string, number | string | null>>
}

/** Reads the rows under one header. Throws REFUSED where a row doesn't fit: it names the column and what was expected. */
export type RowReader = (cells: readonly string[]) => ReplayRow

interface Column {
  readonly index: number
  readonly name: string
  /** Decided by the first value that is not missing. */
  kind: 'unknown' | 'number' | 'category'
}

/** `ignore`: names of columns that are not sent. Throws BAD_CONFIG for a header without time, without values, or with a name twice. */
export function makeRowReader(header: readonly string[], ignore: readonly string[]): RowReader {
  const names = header.map((name) => name.trim())
  const timeIndex = timeColumn(names)
  const skipped = new Set(ignore)
  const columns = names
    .map((name, index): Column => ({ index, name, kind: 'unknown' }))
    .filter((column) => column.index !== timeIndex && !skipped.has(column.name))
  checkNames(columns)
  return (cells) => {
    if (cells.length !== names.length) throw new PipelineError('REFUSED', `${cells.length} cells, the header has ${names.length}`)
    const time = parseTime(cells[timeIndex]!)
    if (time === null)
      throw new PipelineError('REFUSED', `${names[timeIndex]} is '${cells[timeIndex]}', expected ISO 8601, YYYY-MM-DD hh:mm:ss, or seconds or ms since epoch`)
    return { time, values: Object.fromEntries(columns.map((column) => [column.name, readCell(column, cells[column.index]!.trim())])) }
  }
}

function timeColumn(names: readonly string[]): number {
  const lower = names.map((name) => name.toLowerCase())
  const found = TIME_COLUMNS.map((name) => lower.indexOf(name)).find((index) => index >= 0)
  if (found === undefined) throw new PipelineError('BAD_CONFIG', `no time column among ${names.join(', ')}; one must be called ${TIME_COLUMNS.join(', ')}`)
  return found
}

function checkNames(columns: readonly Column[]): void {
  const seen = new Set<string>(['ts'])
  if (columns.length === 0) throw new PipelineError('BAD_CONFIG', 'no column is left to send beside the time')
  for (const { name, index } of columns) {
    if (name === '') throw new PipelineError('BAD_CONFIG', `column ${index + 1} has no name`)
    if (seen.has(name)) throw new PipelineError('BAD_CONFIG', `column ${index + 1}: '${name}' stands for two things; rename one, or leave it out with --ignore ${name}`)
    seen.add(name)
  }
}

function readCell(column: Column, text: string): number | string | null {
  if (MISSING.has(text)) return null
  const number = NUMBER.test(text) ? Number(text) : NaN
  if (column.kind === 'unknown') column.kind = Number.isFinite(number) ? 'number' : 'category'
  if (column.kind === 'category') return text
  if (!Number.isFinite(number)) throw new PipelineError('REFUSED', `${column.name} is '${text}', expected a number as in the rows before`)
  return number
}

const CALENDAR = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?(?:\s?(Z|[+-]\d{2}:?\d{2}))?$/i

/** Below it a plain number is seconds since epoch (up to the year 5138), from it on ms (since 1973). */
const FIRST_MS = 1e11

/** ms since epoch; null for what is no time. A calendar time without a zone is UTC. */
export function parseTime(text: string): number | null {
  const trimmed = text.trim()
  if (NUMBER.test(trimmed)) {
    const number = Number(trimmed)
    const ms = Math.abs(number) < FIRST_MS ? number * 1000 : number
    return Math.abs(ms) <= 8.64e15 ? ms : null
  }
  const parts = CALENDAR.exec(trimmed)
  if (!parts) return null
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '0', zone = 'Z'] = parts
  const offset = zone.toUpperCase() === 'Z' ? 'Z' : zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone
  const whole = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${offset}`)
  if (Number.isNaN(whole) || Number(day) > daysIn(Number(year), Number(month))) return null
  return whole + Number(`0.${fraction}`) * 1000
}

/** The engine takes 30 February for 1 March. */
function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate()
}
