/** Record batches as a fetch gives them: markers, what was aborted, and what lies below the place asked for fall away here. */
import { PipelineError } from '../../core/errors.ts'
import type { StoredRecord } from '../log.ts'
import { decompress } from './codecs.ts'
import { WireReader } from './wire.ts'

/** A transaction that was aborted: what its producer wrote from `firstOffset` to its marker does not count. */
export interface Aborted {
  readonly producerId: number
  readonly firstOffset: number
}

export interface Decoded {
  readonly records: readonly StoredRecord[]
  /** One past the last offset looked at, markers and aborted records among them; `from` when there was no whole batch. */
  readonly next: number
}

const HEAD_BYTES = 61
/** Of the head: what `length` does not count. */
const BEFORE_LENGTH = 12
const MAGIC_AT = 16
const MAGIC = 2
const COMPRESSION_MASK = 0x07
const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const ABORT_MARKER = 0

interface Batch {
  readonly firstOffset: number
  readonly next: number
  readonly attributes: number
  readonly firstTime: number
  readonly maxTime: number
  readonly producerId: number
  readonly count: number
  /** As they lie in the log: compressed, maybe. */
  readonly body: Buffer
}

/**
 * Whole batches of `bytes`; a last one that was cut off, as fetches cut, is left for the next. `aborted` as the fetch gave it, which
 * must have begun at `from`. Values are views of `bytes`, or of what it decompressed to. Checksums are the broker's business.
 * Throws BAD_RECORD, BAD_CONFIG for a codec that isn't there.
 */
export async function decodeBatches(bytes: Buffer, from: number, aborted: readonly Aborted[]): Promise<Decoded> {
  const records: StoredRecord[] = []
  const ends = new AbortedProducers(aborted)
  let next = from
  for (let at = 0; ; ) {
    const batch = readHead(bytes, at)
    if (!batch) break
    at += HEAD_BYTES + batch.body.length
    const isHidden = await ends.hide(batch)
    if (!isHidden && batch.next > from) readRecords(batch, await decompress(batch.attributes & COMPRESSION_MASK, batch.body), from, records)
    next = Math.max(next, batch.next)
  }
  return { records, next }
}

/** null: no whole batch is left. */
function readHead(bytes: Buffer, at: number): Batch | null {
  if (at + HEAD_BYTES > bytes.length) return null
  const read = new WireReader(bytes, at)
  const firstOffset = read.int64()
  const end = at + BEFORE_LENGTH + read.int32()
  if (end > bytes.length) return null
  const magic = bytes.readInt8(at + MAGIC_AT)
  if (magic !== MAGIC || end < at + HEAD_BYTES) {
    const text = `the batch at offset ${firstOffset} is of format ${magic}, expected ${MAGIC}: it was written for a Kafka before 0.11`
    throw new PipelineError('BAD_RECORD', text)
  }
  read.at = at + MAGIC_AT + 1 + 4
  const attributes = read.int16()
  const next = firstOffset + read.int32() + 1
  const firstTime = read.int64()
  const maxTime = read.int64()
  const producerId = read.int64()
  read.at += 2 + 4
  return { firstOffset, next, attributes, firstTime, maxTime, producerId, count: read.int32(), body: bytes.subarray(read.at, end) }
}

/** Who is within an aborted transaction, batch by batch. */
class AbortedProducers {
  readonly #ahead: Aborted[]
  readonly #within = new Set<number>()

  constructor(aborted: readonly Aborted[]) {
    this.#ahead = [...aborted].sort((a, b) => b.firstOffset - a.firstOffset)
  }

  /** True for markers, and for what was aborted. */
  async hide(batch: Batch): Promise<boolean> {
    for (let first = this.#ahead.at(-1); first && first.firstOffset < batch.next; first = this.#ahead.at(-1)) {
      this.#within.add(first.producerId)
      this.#ahead.pop()
    }
    if ((batch.attributes & CONTROL) !== 0) {
      if (await isAbortMarker(batch)) this.#within.delete(batch.producerId)
      return true
    }
    return (batch.attributes & TRANSACTIONAL) !== 0 && this.#within.has(batch.producerId)
  }
}

async function isAbortMarker(batch: Batch): Promise<boolean> {
  if (batch.count === 0) return false
  const read = new WireReader(await decompress(batch.attributes & COMPRESSION_MASK, batch.body))
  skipToKey(read)
  const length = read.varint()
  // The key is a version and a type, two bytes each.
  return length >= 4 && read.bytes.readInt16BE(read.at + 2) === ABORT_MARKER
}

/** Over length, attributes, time and offset. */
function skipToKey(read: WireReader): void {
  read.varint()
  read.at++
  read.varint()
  read.varint()
}

function readRecords(batch: Batch, body: Buffer, from: number, into: StoredRecord[]): void {
  const read = new WireReader(body)
  const isAppendTime = (batch.attributes & LOG_APPEND_TIME) !== 0
  try {
    for (let left = batch.count; left > 0; left--) {
      const length = read.varint()
      const end = read.at + length
      if (end > body.length) throw new RangeError(`a record of ${length} bytes ends past the batch's ${body.length}`)
      // One byte of attributes, all unused.
      read.at++
      const time = read.varint()
      const offset = batch.firstOffset + read.varint()
      if (offset >= from) {
        const key = field(read)?.toString('utf8') ?? ''
        into.push({ offset, time: isAppendTime ? batch.maxTime : batch.firstTime + time, key, value: field(read) })
      }
      // Headers are nobody's of ours.
      read.at = end
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new PipelineError('BAD_RECORD', `the batch at offset ${batch.firstOffset} is damaged: ${error.message}`, { cause: error })
  }
}

/** A view; null for null. */
function field(read: WireReader): Buffer | null {
  const length = read.varint()
  if (length < 0) return null
  const at = read.at
  read.at += length
  if (read.at > read.bytes.length) throw new RangeError(`${length} bytes at ${at} of ${read.bytes.length}`)
  return read.bytes.subarray(at, read.at)
}
