/** A message ready for its frame: device, readings, hashes and flags, and how much room it takes. */
import { combine52, hash52, hashText } from '../core/hash.ts'
import { FLAG_DUP, FLAG_QOS1, FLAG_QOS2, FLAG_RETAIN } from '../core/message.ts'
import type { Field, Message, Sample } from '../core/message.ts'
import type { FrameDevice } from '../log/frame.ts'

export interface DecodedSample {
  /** ms since epoch; null: the device claims none. */
  readonly time: number | null
  readonly fields: readonly Field[]
  /** 52-bit hash of payload, topic metric and the sample's place in the payload. */
  readonly payload: number
  /** 52-bit hash of field names and kinds, whatever their order. */
  readonly shape: number
}

/** Its samples are messages of their own in the frame, side by side. */
export interface DecodedMessage {
  readonly source: string
  readonly device: FrameDevice
  /** Equal for devices of equal name and labels. */
  readonly deviceKey: string
  readonly samples: readonly DecodedSample[]
  /** ms since epoch. */
  readonly arrival: number
  /** Bytes of the payload. */
  readonly size: number
  readonly flags: number
}

export function flagsOf(message: Pick<Message, 'dup' | 'retain' | 'qos'>): number {
  const qos = message.qos === 1 ? FLAG_QOS1 : message.qos === 2 ? FLAG_QOS2 : 0
  return (message.dup ? FLAG_DUP : 0) | (message.retain ? FLAG_RETAIN : 0) | qos
}

/** Names whose hash is kept at hand; a device that invents names only costs their hashing. */
const NAMES_KEPT = 65_536

/** Hashes what detect tells repeats and changed shapes by. */
export class SampleHasher {
  private readonly names = new Map<string, number>()

  /** `metric`: from the topic, or null. */
  hash(payload: Uint8Array, metric: string | null, samples: readonly Sample[]): readonly DecodedSample[] {
    const whole = combine52(hash52(payload), this.nameHash(metric ?? ''))
    return samples.map(({ time, fields }, index) => ({ time, fields, payload: combine52(whole, index), shape: this.shape(fields) }))
  }

  /** Fields sorted by the hash of their name and kind rather than by name: the same for any order, and cheaper. */
  private shape(fields: readonly Field[]): number {
    const codes = new Float64Array(fields.length)
    for (let i = 0; i < fields.length; i++) codes[i] = combine52(this.nameHash(fields[i]!.metric), fields[i]!.kind)
    codes.sort()
    let shape = fields.length + 1
    for (let i = 0; i < codes.length; i++) shape = combine52(shape, codes[i]!)
    return shape
  }

  private nameHash(name: string): number {
    const known = this.names.get(name)
    if (known !== undefined) return known
    if (this.names.size >= NAMES_KEPT) this.names.clear()
    const hash = hashText(name)
    this.names.set(name, hash)
    return hash
  }
}
