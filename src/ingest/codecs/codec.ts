/** Chooses the codec of a payload: from bytes to samples, or the refusal that becomes a dead letter. */
import { isUtf8 } from 'node:buffer'
import type { Sample } from '../../core/message.ts'
import type { IngestLimits } from '../limits.ts'
import { Refusal } from '../refusal.ts'
import { decodeJson } from './json.ts'
import { decodeNumber } from './number.ts'

/** The first byte of a JSON number after white space. */
const NUMBER_START = /^[ \t\r\n]*[-0-9]/

/** `metric`: from the topic, or null. At least one sample. Throws a Refusal. */
export function decodePayload(payload: Uint8Array, metric: string | null, limits: IngestLimits): readonly Sample[] {
  if (payload.length > limits.payloadBytes)
    throw new Refusal('payload_size', `payload has ${payload.length} bytes, at most ${limits.payloadBytes} are allowed`)
  if (!isUtf8(payload)) throw new Refusal('encoding', 'payload is not UTF-8, expected a JSON object or a number')
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8')
  return [NUMBER_START.test(text) ? decodeNumber(text, metric) : decodeJson(text, metric, limits)]
}
