/** Records of the log as people and scripts read them: the decoding half of `log read`. Pure. */
import { isPipelineError } from '../core/errors.ts'
import { FLAG_DUP, FLAG_RETAIN, FLAG_TRIMMED, KIND_BOOLEAN, KIND_CATEGORY, KIND_MISSING } from '../core/message.ts'
import { decodeControl, isControl } from '../log/control.ts'
import { decodeFrame } from '../log/frame.ts'
import type { Frame } from '../log/frame.ts'
import { decodeHeader, HEADER_KEY } from '../log/header.ts'
import type { StoredRecord, Topic } from '../log/log.ts'
import { decodePage, rowBytes } from '../log/page.ts'
import type { Page } from '../log/page.ts'
import { decodeIncidentRecord } from '../log/revision.ts'

export type MetricValue = number | boolean | string | null

/** One message of a frame. Times are ms since epoch. */
export interface DecodedMessage {
  readonly offset: number
  readonly index: number
  readonly partition: number
  readonly device: string
  readonly class: string
  /** As the device claims; null when it claims none. */
  readonly time: number | null
  readonly arrival: number
  readonly metrics: Readonly<Record<string, MetricValue>>
  readonly flags: readonly ('dup' | 'retain' | 'trimmed')[]
}

/** Any other record; what it holds beside its place depends on the topic. */
export interface DecodedRecord {
  readonly offset: number
  readonly partition: number
  readonly [field: string]: unknown
}

/** What one record holds, in order; a record that can't be decoded becomes {offset, partition, error}. */
export function decodeRecord(topic: Topic, partition: number, record: StoredRecord): readonly (DecodedMessage | DecodedRecord)[] {
  const place = { offset: record.offset, partition }
  if (record.value === null) return [{ ...place, key: record.key, deleted: true }]
  try {
    if (topic === 'readings') return readingsOf(place, record.value)
    if (topic === 'incidents') return [{ ...place, ...incidentOf(record.value) }]
    if (topic === 'state') return [{ ...place, key: record.key, ...stateOf(record.key, record.value) }]
    return [{ ...place, key: record.key, ...plainOf(record.key, record.value) }]
  } catch (error) {
    if (!isPipelineError(error, 'BAD_RECORD')) throw error
    return [{ ...place, key: record.key, error: error.message }]
  }
}

type Place = Pick<DecodedRecord, 'offset' | 'partition'>

function readingsOf(place: Place, bytes: Uint8Array): readonly (DecodedMessage | DecodedRecord)[] {
  if (!isControl(bytes)) return messagesOf(place, decodeFrame(bytes))
  const { body, ...control } = decodeControl(bytes)
  const { kind, ...fields } = body
  return [{ ...place, control: kind, ...control, ...('bytes' in fields ? { ...fields, bytes: fields.bytes.length } : fields) }]
}

function messagesOf({ offset, partition }: Place, frame: Frame): DecodedMessage[] {
  return Array.from(frame.device, (number, index) => {
    const device = frame.devices[number]!
    const time = frame.time[index]!
    return {
      offset,
      index,
      partition,
      device: device.name,
      class: device.labels['class'] ?? 'default',
      time: Number.isNaN(time) ? null : time,
      arrival: frame.arrival[index]!,
      metrics: metricsOf(frame, index),
      flags: flagsOf(frame.flags[index]!),
    }
  })
}

function metricsOf(frame: Frame, message: number): Record<string, MetricValue> {
  const first = frame.start[message]!
  return Object.fromEntries(
    Array.from({ length: frame.count[message]! }, (_, i) => [frame.metrics[frame.metric[first + i]!]!, valueOf(frame, first + i)] as const),
  )
}

function valueOf(frame: Frame, reading: number): MetricValue {
  const value = frame.value[reading]!
  switch (frame.kind[reading]) {
    case KIND_MISSING:
      return null
    case KIND_BOOLEAN:
      return value !== 0
    case KIND_CATEGORY:
      return frame.categories[String(value)] ?? `#${value}`
    default:
      return value
  }
}

function flagsOf(bits: number): DecodedMessage['flags'] {
  const named = [
    [FLAG_DUP, 'dup'],
    [FLAG_RETAIN, 'retain'],
    [FLAG_TRIMMED, 'trimmed'],
  ] as const
  return named.filter(([bit]) => bits & bit).map(([, name]) => name)
}

function incidentOf(bytes: Uint8Array): Record<string, unknown> {
  const record = decodeIncidentRecord(bytes)
  if (record.kind === 'revision') return { stamp: record.stamp, incident: record.incident }
  return { stamp: record.stamp, opened: record.ids, ...(record.config ? { config: record.config } : {}) }
}

function stateOf(key: string, bytes: Uint8Array): Record<string, unknown> {
  if (key.startsWith(HEADER_KEY)) return { header: decodeHeader(bytes) }
  const page = decodePage(bytes)
  return { page: page.kind, number: page.number, rows: page.rows.map((row, i) => ({ ...row, ...numbersOf(page, i) })) }
}

/** A row's numbers by part: all float64 of the row stand before all its float32. */
function numbersOf(page: Page, index: number): Record<string, unknown> {
  const width = rowBytes(page.parts)
  const view = new DataView(page.numbers.buffer, page.numbers.byteOffset + index * width, width)
  let wide = 0
  let narrow = page.parts.reduce((sum, part) => sum + 8 * part.float64, 0)
  const parts = page.parts.map((part) => {
    const float64 = Array.from({ length: part.float64 }, (_, i) => view.getFloat64(wide + 8 * i, true))
    const float32 = Array.from({ length: part.float32 }, (_, i) => view.getFloat32(narrow + 4 * i, true))
    wide += 8 * part.float64
    narrow += 4 * part.float32
    return [part.name, { version: part.version, float64, float32 }] as const
  })
  return { parts: Object.fromEntries(parts) }
}

/** JSON as it is; what is no JSON as base64. */
function plainOf(key: string, bytes: Uint8Array): Record<string, unknown> {
  if (key.startsWith(HEADER_KEY)) return { header: decodeHeader(bytes) }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  try {
    return { value: JSON.parse(text.toString('utf8')) as unknown }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return { base64: text.toString('base64') }
  }
}

/** A line for people. */
export function decodedLine(decoded: DecodedMessage | DecodedRecord): string {
  if ('metrics' in decoded && 'index' in decoded) {
    const message = decoded as DecodedMessage
    const metrics = Object.entries(message.metrics).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    const flags = message.flags.map((flag) => ` [${flag}]`).join('')
    return `${message.partition}/${message.offset}.${message.index}  ${isoTime(message.time ?? message.arrival)}  ${message.class}  ${message.device}  ${metrics.join(' ')}${flags}`
  }
  const { offset, partition, ...rest } = decoded
  return `${partition}/${offset}  ${JSON.stringify(rest)}`
}

function isoTime(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(ms)
}
