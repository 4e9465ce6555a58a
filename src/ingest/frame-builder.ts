/** Gathers decoded messages of one source and partition into the columns of a frame, within the frame's limits. */
import { assert } from '../core/assert.ts'
import { KIND_CATEGORY } from '../core/message.ts'
import type { Field } from '../core/message.ts'
import { FRAME_BYTES, FRAME_MESSAGES, FRAME_READINGS } from '../log/frame.ts'
import type { Frame, FrameDevice } from '../log/frame.ts'
import type { DecodedMessage, DecodedSample } from './decoded.ts'

/** Marker, lengths of the columns and dictionaries, with room to spare. */
const BASE_BYTES = 512
/** device, start, count, size 4 each, time, arrival, payload, shape 8 each, flags 1. */
const MESSAGE_BYTES = 49
/** metric 4, kind 1, value 8. */
const READING_BYTES = 13
/** Of a 52-bit hash in decimal, as a map's key. */
const HASH_BYTES = 18

/** Most bytes Avro needs for a text: three a UTF-16 unit and the length. */
function textBytes(text: string): number {
  return 3 * text.length + 5
}

function deviceBytes(device: FrameDevice): number {
  let bytes = textBytes(device.name) + 10
  for (const [name, value] of Object.entries(device.labels)) bytes += textBytes(name) + textBytes(value)
  return bytes
}

function fieldBytes(field: Field): number {
  return READING_BYTES + textBytes(field.metric) + (field.kind === KIND_CATEGORY ? HASH_BYTES + textBytes(field.text) : 0)
}

/** Messages, readings and, at most, bytes a message takes in an empty frame. */
export interface Room {
  readonly messages: number
  readonly readings: number
  readonly bytes: number
}

export function roomOf(message: DecodedMessage): Room {
  let readings = 0
  let bytes = BASE_BYTES + deviceBytes(message.device)
  for (const sample of message.samples) {
    readings += sample.fields.length
    bytes += MESSAGE_BYTES
    for (const field of sample.fields) bytes += fieldBytes(field)
  }
  return { messages: message.samples.length, readings, bytes }
}

/** Whether a frame can hold it at all. */
export function fitsAFrame(room: Room): boolean {
  return room.messages <= FRAME_MESSAGES && room.readings <= FRAME_READINGS && room.bytes <= FRAME_BYTES
}

/** One frame in the making. */
export class FrameBuilder {
  readonly source: string
  readonly #most: number
  private bytes = BASE_BYTES
  private readonly devices = new Map<string, number>()
  private readonly deviceList: FrameDevice[] = []
  private readonly metrics = new Map<string, number>()
  private readonly categories = new Map<string, string>()
  private readonly device: number[] = []
  private readonly time: number[] = []
  private readonly arrival: number[] = []
  private readonly start: number[] = []
  private readonly count: number[] = []
  private readonly size: number[] = []
  private readonly payload: number[] = []
  private readonly shape: number[] = []
  private readonly flags: number[] = []
  private readonly metric: number[] = []
  private readonly kind: number[] = []
  private readonly value: number[] = []

  /** `most`: messages, at most as many as a frame may have. */
  constructor(source: string, most = FRAME_MESSAGES) {
    this.source = source
    this.#most = most
  }

  /** Of its first message; '' while there is none. */
  get firstDevice(): string {
    return this.deviceList[0]?.name ?? ''
  }

  get messages(): number {
    return this.device.length
  }

  /** Whether a message, with all its samples, still has a place. */
  fits(message: DecodedMessage, room: Room): boolean {
    return (
      message.source === this.source &&
      this.messages + room.messages <= this.#most &&
      this.metric.length + room.readings <= FRAME_READINGS &&
      this.bytes + room.bytes <= FRAME_BYTES
    )
  }

  add(message: DecodedMessage): void {
    const device = this.deviceIndex(message)
    for (const sample of message.samples) this.addSample(device, message, sample)
  }

  build(): Frame {
    assert(this.bytes <= FRAME_BYTES, `a frame of up to ${this.bytes} bytes`)
    return {
      source: this.source,
      devices: this.deviceList,
      metrics: [...this.metrics.keys()],
      categories: Object.fromEntries(this.categories),
      device: Int32Array.from(this.device),
      time: Float64Array.from(this.time),
      arrival: Float64Array.from(this.arrival),
      start: Int32Array.from(this.start),
      count: Int32Array.from(this.count),
      size: Int32Array.from(this.size),
      payload: Float64Array.from(this.payload),
      shape: Float64Array.from(this.shape),
      flags: Uint8Array.from(this.flags),
      metric: Int32Array.from(this.metric),
      kind: Uint8Array.from(this.kind),
      value: Float64Array.from(this.value),
    }
  }

  private addSample(device: number, message: DecodedMessage, sample: DecodedSample): void {
    this.device.push(device)
    this.time.push(sample.time ?? Number.NaN)
    this.arrival.push(message.arrival)
    this.start.push(this.metric.length)
    this.count.push(sample.fields.length)
    this.size.push(message.size)
    this.payload.push(sample.payload)
    this.shape.push(sample.shape)
    this.flags.push(message.flags)
    this.bytes += MESSAGE_BYTES
    for (const field of sample.fields) {
      this.metric.push(this.metricIndex(field.metric))
      this.kind.push(field.kind)
      this.value.push(field.value)
      this.bytes += READING_BYTES
      if (field.kind === KIND_CATEGORY) this.addCategory(field)
    }
  }

  private deviceIndex(message: DecodedMessage): number {
    const known = this.devices.get(message.deviceKey)
    if (known !== undefined) return known
    this.bytes += deviceBytes(message.device)
    this.devices.set(message.deviceKey, this.deviceList.length)
    return this.deviceList.push(message.device) - 1
  }

  private metricIndex(metric: string): number {
    const known = this.metrics.get(metric)
    if (known !== undefined) return known
    this.bytes += textBytes(metric)
    this.metrics.set(metric, this.metrics.size)
    return this.metrics.size - 1
  }

  private addCategory(field: Field): void {
    const hash = String(field.value)
    if (this.categories.has(hash)) return
    this.bytes += HASH_BYTES + textBytes(field.text)
    this.categories.set(hash, field.text)
  }
}
