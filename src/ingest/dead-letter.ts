/** The dead letter: one refused message as a JSON record of `dead-letters`, for people to read and mend. */
import type { Message } from '../core/message.ts'
import type { Refusal } from './refusal.ts'

/** Bytes of the payload that are kept. */
export const DEAD_LETTER_PAYLOAD_BYTES = 4096
/** UTF-16 units of topic and client that are kept. */
const TEXT_KEPT = 1024

/** Additions only. */
export interface DeadLetter {
  readonly reason: string
  /** What, where, and what was expected. */
  readonly text: string
  readonly source: string
  readonly client: string
  readonly topic: string
  /** base64 of the first 4 KiB. */
  readonly payload: string
  /** Of the whole payload. */
  readonly bytes: number
  /** ms since epoch. */
  readonly arrival: number
}

export function encodeDeadLetter(message: Message, refusal: Refusal): Buffer {
  const { payload, source, client, topic, arrival } = message
  const kept = payload.subarray(0, DEAD_LETTER_PAYLOAD_BYTES)
  const letter: DeadLetter = {
    reason: refusal.reason,
    text: refusal.message,
    source,
    client: client.slice(0, TEXT_KEPT),
    topic: topic.slice(0, TEXT_KEPT),
    payload: Buffer.from(kept.buffer, kept.byteOffset, kept.byteLength).toString('base64'),
    bytes: payload.length,
    arrival,
  }
  return Buffer.from(JSON.stringify(letter), 'utf8')
}
