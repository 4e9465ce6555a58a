/** The header: the record that says where a task's or leader's state stands; `takeover.ts` alone writes it, with every commit. */
import { loadSchema } from './schema.ts'

/** Key of the header in `state/p` or `leases/0`; no other state key may start with it. */
export const HEADER_KEY = 'header'

export interface Header {
  /** Of the readings the state was made from; '' where none is known. */
  readonly incarnation: string
  /** Of the owner that wrote it, from 1. */
  readonly epoch: number
  readonly partitions: number
  /** `log.key` the readings were partitioned by. */
  readonly key: string
  /** Next offset to read, by `topic/partition`. */
  readonly next: Readonly<Record<string, number>>
}

const schema = loadSchema<Header>('header.avsc')

export function encodeHeader(header: Header): Buffer {
  return schema.encode(header)
}

/** Throws BAD_RECORD. */
export function decodeHeader(bytes: Uint8Array): Header {
  return schema.decode(bytes)
}
