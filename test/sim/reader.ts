/** An independent reader of the log: the .avsc files and the avsc package, nothing of the product, so that both can't be wrong alike. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import avro from 'avsc'

/** A record as the memory log dumps it. */
export interface Raw {
  readonly key: string
  readonly value: Uint8Array | null
  readonly offset: number
  readonly time: number
}

interface Format {
  readonly type: avro.Type
  readonly marker: Buffer
}

function load(name: string): Format {
  const text = readFileSync(new URL(`../../src/log/schemas/${name}.avsc`, import.meta.url), 'utf8')
  const type = avro.Type.forSchema(JSON.parse(text) as avro.Schema)
  const marker = Buffer.alloc(10)
  marker.writeUInt16BE(0xc301)
  marker.writeBigUInt64LE(fingerprint(JSON.stringify(type.schema())), 2)
  return { type, marker }
}

/** CRC-64-AVRO of the Avro specification. */
function fingerprint(text: string): bigint {
  const empty = 0xc15d213aa4d7a795n
  let crc = empty
  for (const byte of Buffer.from(text, 'utf8')) {
    crc ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ empty : crc >> 1n
  }
  return crc
}

const FRAME = load('frame')
const CONTROL = load('control')
const REVISION = load('revision')
const PAGE = load('page')
const HEADER = load('header')

function isOf(format: Format, bytes: Uint8Array): boolean {
  return format.marker.equals(bytes.subarray(0, 10))
}

function decode<T>(format: Format, bytes: Uint8Array): T {
  if (!isOf(format, bytes)) throw new Error(`a record that is no ${format.type.name}`)
  return format.type.fromBuffer(Buffer.from(bytes.subarray(10))) as T
}

interface FrameColumns {
  source: string
  devices: { name: string; labels: Record<string, string> }[]
  metrics: string[]
  categories: Record<string, string>
  device: Buffer
  time: Buffer
  arrival: Buffer
  start: Buffer
  count: Buffer
  size: Buffer
  payload: Buffer
  shape: Buffer
  flags: Buffer
  metric: Buffer
  kind: Buffer
  value: Buffer
}

/** A message in the log. */
export interface LoggedMessage {
  readonly offset: number
  readonly index: number
  readonly source: string
  readonly device: string
  /** NaN: none. */
  readonly time: number
  readonly arrival: number
  readonly payload: number
  readonly dup: boolean
  readonly retain: boolean
  /** Category values as their texts, others as numbers. */
  readonly metrics: ReadonlyMap<string, number | string>
}

/** Several requirements ask for the same ones. */
const DECODED = new WeakMap<readonly Raw[], readonly LoggedMessage[]>()

export function messagesOf(records: readonly Raw[]): readonly LoggedMessage[] {
  const known = DECODED.get(records)
  if (known) return known
  const found: LoggedMessage[] = []
  DECODED.set(records, found)
  for (const { value, offset } of records) {
    if (value && isOf(FRAME, value)) found.push(...messagesIn(decode<FrameColumns>(FRAME, value), offset))
  }
  return found
}

function messagesIn(frame: FrameColumns, offset: number): LoggedMessage[] {
  return Array.from({ length: frame.flags.length }, (_, index) => {
    const metrics = new Map<string, number | string>()
    const start = frame.start.readInt32LE(4 * index)
    for (let r = start; r < start + frame.count.readInt32LE(4 * index); r++) {
      const value = frame.value.readDoubleLE(8 * r)
      metrics.set(frame.metrics[frame.metric.readInt32LE(4 * r)]!, frame.kind[r] === 2 ? frame.categories[String(value)]! : value)
    }
    return {
      offset,
      index,
      source: frame.source,
      device: frame.devices[frame.device.readInt32LE(4 * index)]!.name,
      time: frame.time.readDoubleLE(8 * index),
      arrival: frame.arrival.readDoubleLE(8 * index),
      payload: frame.payload.readDoubleLE(8 * index),
      dup: (frame.flags[index]! & 1) !== 0,
      retain: (frame.flags[index]! & 2) !== 0,
      metrics,
    }
  })
}

/** Identities a device's row keeps (DESIGN.md section 4). */
const KEPT = 16

/** The same records without the messages that repeat one of their device's last 16; those without event time only where flagged DUP or RETAIN. */
export function withoutRepeats(records: readonly Raw[]): { records: Raw[]; taken: number } {
  const last = new Map<string, string[]>()
  let taken = 0
  const out = records.map((record) => {
    if (!record.value || !isOf(FRAME, record.value)) return record
    const frame = decode<FrameColumns>(FRAME, record.value)
    const keep = messagesIn(frame, record.offset).filter((message) => {
      const seen = last.get(message.device) ?? []
      last.set(message.device, seen)
      const identity = `${message.time} ${message.payload}`
      if (seen.includes(identity) && (!Number.isNaN(message.time) || message.dup || message.retain)) return false
      seen.push(identity)
      if (seen.length > KEPT) seen.shift()
      return true
    })
    if (keep.length === frame.flags.length) return record
    taken += frame.flags.length - keep.length
    return { ...record, value: Buffer.concat([FRAME.marker, FRAME.type.toBuffer(only(frame, keep.map(({ index }) => index)))]) }
  })
  return { records: out, taken }
}

/** The frame with these messages alone. */
function only(frame: FrameColumns, messages: readonly number[]): FrameColumns {
  const column = (bytes: Buffer, width: number, rows: readonly number[]) =>
    Buffer.concat(rows.map((row) => bytes.subarray(width * row, width * (row + 1))))
  const counts = messages.map((m) => frame.count.readInt32LE(4 * m))
  const readings = messages.flatMap((m, i) => Array.from({ length: counts[i]! }, (_, r) => frame.start.readInt32LE(4 * m) + r))
  const start = Buffer.alloc(4 * messages.length)
  for (let i = 0, at = 0; i < messages.length; at += counts[i++]!) start.writeInt32LE(at, 4 * i)
  return {
    ...frame,
    start,
    device: column(frame.device, 4, messages),
    time: column(frame.time, 8, messages),
    arrival: column(frame.arrival, 8, messages),
    count: column(frame.count, 4, messages),
    size: column(frame.size, 4, messages),
    payload: column(frame.payload, 8, messages),
    shape: column(frame.shape, 8, messages),
    flags: column(frame.flags, 1, messages),
    metric: column(frame.metric, 4, readings),
    kind: column(frame.kind, 1, readings),
    value: column(frame.value, 8, readings),
  }
}

/** Kind of each control record by offset: `Tick`, `Config`, … with its fields. */
export function controlsOf(records: readonly Raw[]): { offset: number; kind: string; fields: Record<string, unknown> }[] {
  return records.flatMap(({ value, offset }) => {
    if (!value || !isOf(CONTROL, value)) return []
    const { body } = decode<{ body: Record<string, Record<string, unknown>> }>(CONTROL, value)
    const [name, fields] = Object.entries(body)[0]!
    return [{ offset, kind: name.replace('picket.', ''), fields }]
  })
}

/** A row of the state: where it stands, what it says, its numbers in hexadecimal by part. */
export interface StateRow {
  readonly kind: string
  readonly row: number
  readonly name: string
  readonly about: string
  readonly numbers: string
  /** The float64 numbers of one part, by its name. */
  readonly float64: (part: string) => number[]
}

interface PageRecord {
  kind: string
  number: number
  parts: { name: string; version: number; float64: number; float32: number }[]
  rows: { slot: number; name: string; about: string }[]
  numbers: Buffer
}

/** The newest record of each key that was not deleted. */
export function live(records: readonly Raw[]): Map<string, Uint8Array> {
  const rows = new Map<string, Uint8Array>()
  for (const { key, value } of records) {
    if (value === null) rows.delete(key)
    else rows.set(key, value)
  }
  return rows
}

/** Every row of a state partition by kind and name, and the header's next offsets. */
export function stateOf(records: readonly Raw[]): { rows: Map<string, StateRow>; next: Record<string, number>; epoch: number } {
  const rows = new Map<string, StateRow>()
  let header = { next: {} as Record<string, number>, epoch: 0 }
  for (const [key, value] of live(records)) {
    if (key === 'header') header = decode(HEADER, value)
    else for (const row of rowsOf(decode<PageRecord>(PAGE, value))) rows.set(`${row.kind}/${row.name}`, row)
  }
  return { rows, ...header }
}

function rowsOf(page: PageRecord): StateRow[] {
  const width = page.parts.reduce((sum, part) => sum + 8 * part.float64 + 4 * part.float32, 0)
  return page.rows.map(({ slot, name, about }, i) => {
    const numbers = page.numbers.subarray(i * width, (i + 1) * width)
    const parts = page.parts.map((part) => `${part.name}.${part.version}`).join(' ')
    const float64 = (name_: string) => {
      const at = page.parts.findIndex((part) => part.name === name_)
      const before = page.parts.slice(0, at).reduce((sum, part) => sum + part.float64, 0)
      return Array.from({ length: page.parts[at]?.float64 ?? 0 }, (_, k) => numbers.readDoubleLE(8 * (before + k)))
    }
    return { kind: page.kind, row: 64 * page.number + slot, name, about, numbers: `${parts}: ${numbers.toString('hex')}`, float64 }
  })
}

/** An incident as the log tells it; `revisions` by number. */
export interface ToldIncident {
  readonly id: string
  readonly device: string
  readonly class: string
  readonly cause: string
  readonly openedAt: number
  readonly revisions: ToldRevision[]
}

interface ToldRevision {
  readonly revision: number
  readonly state: string
  readonly severity: string
  readonly closedBy: string | null
  /** The whole JSON. */
  readonly text: string
}

interface Mark {
  incarnation: string
  epoch: number
  offset: number
  index: number
  n: number
}

interface RevisionRecord extends Omit<Mark, 'n'> {
  body: { 'picket.Revision'?: { n: number; incident: string }; 'picket.StillOpen'?: { ids: string[] } }
}

/** What a reader of one incidents partition that keeps a mark (DESIGN.md section 2) comes to hold. */
export function incidentsOf(records: readonly Raw[]): { incidents: Map<string, ToldIncident>; superseded: string[] } {
  const incidents = new Map<string, ToldIncident>()
  const opened = new Map<string, Mark>()
  const superseded: string[] = []
  let mark: Mark = { incarnation: '', epoch: 0, offset: -1, index: 0, n: -1 }
  for (const { value } of records) {
    const record = decode<RevisionRecord>(REVISION, value!)
    if (record.incarnation !== mark.incarnation) mark = { incarnation: record.incarnation, epoch: 0, offset: -1, index: 0, n: -1 }
    if (record.epoch < mark.epoch) continue
    mark = { ...mark, epoch: record.epoch }
    const still = record.body['picket.StillOpen']
    if (still) {
      for (const [id, at] of opened) {
        if (order(at, { ...record, n: Infinity }) > 0 || still.ids.includes(id)) continue
        opened.delete(id)
        superseded.push(id)
      }
      continue
    }
    const { n, incident } = record.body['picket.Revision']!
    const stamp = { ...record, n }
    if (order(stamp, mark) <= 0) continue
    mark = { incarnation: record.incarnation, epoch: record.epoch, offset: record.offset, index: record.index, n }
    const told = take(incidents, incident)
    if (told.state === 'closed') opened.delete(told.id)
    else if (!opened.has(told.id)) opened.set(told.id, stamp)
  }
  return { incidents, superseded }
}

/** The newest epoch among records of an incidents partition. */
export function epochsOf(records: readonly Raw[]): { newest: number } {
  return { newest: records.reduce((newest, { value }) => Math.max(newest, decode<RevisionRecord>(REVISION, value!).epoch), 0) }
}

function order(a: Omit<Mark, 'incarnation' | 'epoch'>, b: Omit<Mark, 'incarnation' | 'epoch'>): number {
  return a.offset - b.offset || a.index - b.index || a.n - b.n
}

/** Adds one revision's JSON. */
export function take(incidents: Map<string, ToldIncident>, text: string): { id: string; state: string } {
  const { id, device, class: klass, cause, openedAt, ...rest } = JSON.parse(text) as Omit<ToldIncident, 'revisions'> & Omit<ToldRevision, 'text'>
  const { revision, state, severity, closedBy } = rest
  const told = incidents.get(id) ?? { id, device, class: klass, cause, openedAt, revisions: [] }
  incidents.set(id, told)
  told.revisions.push({ revision, state, severity, closedBy, text })
  return { id, state }
}

/** The first thing wrong with the ledger's chain of hashes (each line's SHA-256 over its canonical JSON without `hash`), or null. */
export function brokenLink(lines: readonly string[]): string | null {
  let prev = '0'.repeat(64)
  for (const [i, text] of lines.entries()) {
    const { hash, ...body } = JSON.parse(text) as Record<string, unknown>
    if (body['seq'] !== i + 1) return `line ${i + 1} of the ledger says that it is line ${String(body['seq'])}`
    if (body['prev'] !== prev) return `line ${i + 1} of the ledger does not follow the one before`
    const sorted = JSON.stringify(Object.fromEntries(Object.entries(body).sort(([a], [b]) => (a < b ? -1 : 1))))
    prev = createHash('sha256').update(sorted).digest('hex')
    if (hash !== prev) return `line ${i + 1} of the ledger was changed`
  }
  return null
}
