/** What a device published, before and after its payload is decoded: the first thing on a reading's way. */

/** Whom a publisher logged in as. */
export interface Account {
  readonly name: string
  /** Speaks for other devices too. */
  readonly isGateway: boolean
  /** Whether it may speak for the device of this name. */
  mayBe(device: string): boolean
}

/** A message as its source received it. */
export interface Message {
  /** Name of the source in the config. */
  readonly source: string
  /** What the broker knows the publisher by; '' where it doesn't say. */
  readonly client: string
  /** null or left out: nobody logs in there, and anyone may be any device. */
  readonly account?: Account | null
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: 0 | 1 | 2
  readonly dup: boolean
  readonly retain: boolean
  /** Wall clock at receipt, ms since epoch. */
  readonly arrival: number
  /** As the publisher says it (MQTT 5); left out: it says none. */
  readonly contentType?: string
  /** User properties (MQTT 5), the last of each name; left out: none. */
  readonly properties?: ReadonlyMap<string, string>
}

/** Kinds of value, as stored in frames: append only, never renumber. */
export const KIND_NUMBER = 0
export const KIND_BOOLEAN = 1
export const KIND_CATEGORY = 2
export const KIND_MISSING = 3
export type Kind = typeof KIND_NUMBER | typeof KIND_BOOLEAN | typeof KIND_CATEGORY | typeof KIND_MISSING

/** One value of one metric. `value` is finite: the number, 0 or 1, the 52-bit hash of the category's text, or 0 when missing. */
export interface Field {
  readonly metric: string
  readonly kind: Kind
  readonly value: number
  /** The category's text; '' for the other kinds. */
  readonly text: string
}

/** What one payload says at one moment. */
export interface Sample {
  /** Event time claimed by the device, ms since epoch; null when it claims none. */
  readonly time: number | null
  readonly fields: readonly Field[]
}

/** Flags of a message in a frame; bits, append only. */
export const FLAG_DUP = 1
export const FLAG_RETAIN = 2
export const FLAG_QOS1 = 4
export const FLAG_QOS2 = 8
/** Metrics beyond the device's limit were left out of the frame. */
export const FLAG_TRIMMED = 16
