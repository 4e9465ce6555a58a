/** The frame: many messages of one partition as one log record, in columns; ingest writes it, detect reads it. */
import { PipelineError } from '../core/errors.ts'
import { KIND_MISSING } from '../core/message.ts'
import { loadSchema } from './schema.ts'

/** Most messages in a frame. */
export const FRAME_MESSAGES = 4096
/** Most readings in a frame; a message has at most as many fields. */
export const FRAME_READINGS = 65_536
/** Most bytes in an encoded frame. */
export const FRAME_BYTES = 512 * 1024

export interface FrameDevice {
  readonly name: string
  /** Named parts of the topic; `class` among them where the pattern has it. */
  readonly labels: Readonly<Record<string, string>>
}

/** `[messages]` and `[readings]` columns; index i of each belongs together. Meanings and units as in `schemas/frame.avsc`. */
export interface Frame {
  readonly source: string
  readonly devices: readonly FrameDevice[]
  readonly metrics: readonly string[]
  /** Text of each category in the frame, by its hash in decimal. */
  readonly categories: Readonly<Record<string, string>>
  readonly device: Int32Array
  readonly time: Float64Array
  readonly arrival: Float64Array
  readonly start: Int32Array
  readonly count: Int32Array
  readonly size: Int32Array
  readonly payload: Float64Array
  readonly shape: Float64Array
  readonly flags: Uint8Array
  readonly metric: Int32Array
  readonly kind: Uint8Array
  readonly value: Float64Array
}

interface FrameRecord {
  source: string
  devices: readonly FrameDevice[]
  metrics: readonly string[]
  categories: Readonly<Record<string, string>>
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

const schema = loadSchema<FrameRecord>('frame.avsc')

export function encodeFrame(frame: Frame): Buffer {
  return schema.encode({
    source: frame.source,
    devices: frame.devices,
    metrics: frame.metrics,
    categories: frame.categories,
    device: bytesOf(frame.device),
    time: bytesOf(frame.time),
    arrival: bytesOf(frame.arrival),
    start: bytesOf(frame.start),
    count: bytesOf(frame.count),
    size: bytesOf(frame.size),
    payload: bytesOf(frame.payload),
    shape: bytesOf(frame.shape),
    flags: bytesOf(frame.flags),
    metric: bytesOf(frame.metric),
    kind: bytesOf(frame.kind),
    value: bytesOf(frame.value),
  })
}

export function isFrame(bytes: Uint8Array): boolean {
  return schema.recognises(bytes)
}

/** Throws BAD_RECORD unless every column has its length and every index its place, so that no reader has to check again. */
export function decodeFrame(bytes: Uint8Array): Frame {
  const record = schema.decode(bytes)
  const frame: Frame = {
    source: record.source,
    devices: record.devices,
    metrics: record.metrics,
    categories: record.categories,
    device: int32Of(record.device),
    time: float64Of(record.time),
    arrival: float64Of(record.arrival),
    start: int32Of(record.start),
    count: int32Of(record.count),
    size: int32Of(record.size),
    payload: float64Of(record.payload),
    shape: float64Of(record.shape),
    flags: record.flags,
    metric: int32Of(record.metric),
    kind: record.kind,
    value: float64Of(record.value),
  }
  checkMessages(frame)
  checkReadings(frame)
  return frame
}

function checkMessages(frame: Frame): void {
  const messages = frame.device.length
  const readings = frame.metric.length
  for (const column of ['time', 'arrival', 'start', 'count', 'size', 'payload', 'shape', 'flags'] as const)
    if (frame[column].length !== messages) throw bad(`column ${column} has ${frame[column].length} values for ${messages} messages`)
  // NUL stands between a device's name and a metric's wherever the two are one text.
  for (const { name } of frame.devices) if (name === '' || name.includes('\u0000')) throw bad('a device without a usable name')
  if (messages > FRAME_MESSAGES) throw bad(`${messages} messages, at most ${FRAME_MESSAGES}`)
  let end = 0
  for (let i = 0; i < messages; i++) {
    if (!(frame.device[i]! >= 0 && frame.device[i]! < frame.devices.length)) throw bad(`message ${i} names no device`)
    if (frame.start[i] !== end || !(frame.count[i]! >= 0)) throw bad(`message ${i} does not start where the one before ends`)
    if (!Number.isFinite(frame.arrival[i])) throw bad(`message ${i} has no arrival time`)
    if (!(Math.abs(frame.time[i]!) <= 8.64e15 || Number.isNaN(frame.time[i]))) throw bad(`message ${i} has an impossible event time`)
    end += frame.count[i]!
  }
  if (end !== readings) throw bad(`${readings} readings, the messages hold ${end}`)
}

function checkReadings(frame: Frame): void {
  const readings = frame.metric.length
  if (readings > FRAME_READINGS) throw bad(`${readings} readings, at most ${FRAME_READINGS}`)
  if (frame.kind.length !== readings || frame.value.length !== readings) throw bad('the readings columns differ in length')
  for (let i = 0; i < readings; i++) {
    if (!(frame.metric[i]! >= 0 && frame.metric[i]! < frame.metrics.length)) throw bad(`reading ${i} names no metric`)
    if (frame.kind[i]! > KIND_MISSING || !Number.isFinite(frame.value[i])) throw bad(`reading ${i} has no value of a known kind`)
  }
}

function bad(what: string): PipelineError {
  return new PipelineError('BAD_RECORD', `damaged frame: ${what}`)
}

function bytesOf(column: Int32Array | Float64Array | Uint8Array): Buffer {
  return Buffer.from(column.buffer, column.byteOffset, column.byteLength)
}

/** Copies: the bytes of a record are not aligned. */
function int32Of(bytes: Buffer): Int32Array {
  if (bytes.length % 4 !== 0) throw bad('a column ends inside a number')
  const out = new Uint8Array(bytes.length)
  out.set(bytes)
  return new Int32Array(out.buffer)
}

function float64Of(bytes: Buffer): Float64Array {
  if (bytes.length % 8 !== 0) throw bad('a column ends inside a number')
  const out = new Uint8Array(bytes.length)
  out.set(bytes)
  return new Float64Array(out.buffer)
}
