/** Avro with single-object framing: how every record but JSON ones is written, and read again by newer and older readers. */
import { readFileSync } from 'node:fs'
import avro from 'avsc'
import { errorText, PipelineError } from '../core/errors.ts'
import { boundedType } from './bounded.ts'

const MARKER_BYTES = 10

export interface Schema<T> {
  readonly name: string
  /** Fresh bytes: marker C3 01, fingerprint, body. Throws for a value that doesn't fit: a programmer's error. */
  encode(value: T): Buffer
  /** Throws BAD_RECORD for bytes that are not of this schema or one of its known older writers. */
  decode(bytes: Uint8Array): T
  /** Whether the bytes are framed as this schema or a known older one; tells frames from controls. */
  recognises(bytes: Uint8Array): boolean
}

/** Reads `schemas/FILE` beside this module; `writers` are further files whose data it must still read. */
export function loadSchema<T>(file: string, writers: readonly string[] = []): Schema<T> {
  const read = (name: string) => readFileSync(new URL(`./schemas/${name}`, import.meta.url), 'utf8')
  return makeSchema<T>(read(file), writers.map(read))
}

/** A schema from its JSON text, and those of other writers (older or newer) that it resolves by Avro's rules. */
export function makeSchema<T>(text: string, writers: readonly string[] = []): Schema<T> {
  const type = parse(text)
  const marker = markerOf(type)
  const readers = new Map<string, (body: Buffer) => T>([[marker.toString('latin1'), (body) => type.fromBuffer(body) as T]])
  for (const writer of writers) {
    const other = parse(writer)
    const resolver = type.createResolver(other)
    readers.set(markerOf(other).toString('latin1'), (body) => type.fromBuffer(body, resolver) as T)
  }
  const name = type.name ?? 'record'
  return {
    name,
    encode(value) {
      const body = type.toBuffer(value)
      return Buffer.concat([marker, body], MARKER_BYTES + body.length)
    },
    decode(bytes) {
      const buffer = asBuffer(bytes)
      const reader = readers.get(buffer.toString('latin1', 0, MARKER_BYTES))
      if (!reader) throw new PipelineError('BAD_RECORD', `not a ${name}: unknown schema marker ${buffer.subarray(0, MARKER_BYTES).toString('hex')}`)
      try {
        return reader(buffer.subarray(MARKER_BYTES))
      } catch (cause) {
        throw new PipelineError('BAD_RECORD', `damaged ${name}: ${errorText(cause)}`, { cause })
      }
    },
    recognises: (bytes) => readers.has(asBuffer(bytes).toString('latin1', 0, MARKER_BYTES)),
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function parse(text: string): avro.Type {
  return avro.Type.forSchema(JSON.parse(text) as avro.Schema, { wrapUnions: 'auto', typeHook: boundedType })
}

/** C3 01, then the fingerprint of the schema's canonical form, little-endian (Avro specification, single-object encoding). */
function markerOf(type: avro.Type): Buffer {
  const marker = Buffer.alloc(MARKER_BYTES)
  marker.writeUInt16BE(0xc301, 0)
  marker.writeBigUInt64LE(rabin(Buffer.from(JSON.stringify(type.schema()), 'utf8')), 2)
  return marker
}

const EMPTY = 0xc15d213aa4d7a795n

/** CRC-64-AVRO (Avro specification, schema fingerprints). Used at start only. */
export function rabin(bytes: Uint8Array): bigint {
  let fingerprint = EMPTY
  for (const byte of bytes) {
    let row = (fingerprint ^ BigInt(byte)) & 0xffn
    for (let bit = 0; bit < 8; bit++) row = (row >> 1n) ^ (row & 1n ? EMPTY : 0n)
    fingerprint = (fingerprint >> 8n) ^ row
  }
  return fingerprint
}
