/** Record batches that no broker gives on demand: cut off, empty, damaged, of transactions in odd order. */
import { describe, expect, it } from 'vitest'
import { decodeBatches } from '../../../src/log/kafka/record-batch.ts'
import { WireReader, WireWriter } from '../../../src/log/kafka/wire.ts'

interface Written {
  readonly first: number
  /** Of the records; the batch ends at the last offset it was written with. */
  readonly offsets?: readonly number[]
  readonly last?: number
  readonly producer?: number
  readonly attributes?: number
  readonly body?: Buffer
}

const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const LOG_APPEND_TIME = 0x08

function zigzag(value: number): Buffer {
  const bytes: number[] = []
  let rest = value >= 0 ? value * 2 : -value * 2 - 1
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return Buffer.from([...bytes, rest])
}

function field(bytes: Buffer | null): Buffer {
  return bytes ? Buffer.concat([zigzag(bytes.length), bytes]) : zigzag(-1)
}

/** Time delta 5; a header at the end. */
function recordOf(delta: number, key: Buffer | null, value: Buffer | null): Buffer {
  const header = Buffer.concat([zigzag(1), field(Buffer.from('h')), field(Buffer.from('v'))])
  const body = Buffer.concat([Buffer.from([0]), zigzag(5), zigzag(delta), field(key), field(value), header])
  return Buffer.concat([zigzag(body.length), body])
}

function batch({ first, offsets = [first], last = offsets.at(-1) ?? first, producer = -1, attributes = 0, body }: Written): Buffer {
  const records = body ?? Buffer.concat(offsets.map((offset) => recordOf(offset - first, null, Buffer.from(`${offset}`))))
  const rest = new WireWriter().int32(0).int8(2).int32(0).int16(attributes).int32(last - first).int64(1_000).int64(2_000)
  rest.int64(producer).int16(0).int32(0).int32(offsets.length)
  const tail = Buffer.concat([rest.done(), records])
  return Buffer.concat([new WireWriter().int64(first).int32(tail.length).done(), tail])
}

function marker(first: number, producer: number, type: 0 | 1): Buffer {
  const key = new WireWriter().int16(0).int16(type).done()
  return batch({ first, producer, attributes: TRANSACTIONAL | CONTROL, offsets: [first], body: recordOf(0, key, Buffer.alloc(6)) })
}

async function read(bytes: Buffer, from = 0, aborted: { producerId: number; firstOffset: number }[] = []) {
  const { records, next } = await decodeBatches(bytes, from, aborted)
  return { offsets: records.map(({ offset }) => offset), next, records }
}

describe('record batches', () => {
  it('give offset, time, key and value, and skip headers', async () => {
    const { records } = await read(batch({ first: 7, body: recordOf(0, Buffer.from('clé'), null) }))
    expect(records).toEqual([{ offset: 7, time: 1_005, key: 'clé', value: null }])
  })

  it('give the time of appending where the topic asks for it', async () => {
    const { records } = await read(batch({ first: 7, attributes: LOG_APPEND_TIME }))
    expect(records[0]!.time).toBe(2_000)
  })

  it('leave a batch that was cut off to the next fetch', async () => {
    const whole = Buffer.concat([batch({ first: 0, offsets: [0, 1] }), batch({ first: 2 })])
    for (const cut of [1, 20, 60, 70]) {
      expect(await read(whole.subarray(0, whole.length - cut))).toMatchObject({ offsets: [0, 1], next: 2 })
    }
    expect(await read(Buffer.alloc(0), 5)).toMatchObject({ offsets: [], next: 5 })
  })

  it('move on over a batch of which compaction has left nothing, or not its end', async () => {
    expect(await read(batch({ first: 3, offsets: [], last: 9 }), 3)).toMatchObject({ offsets: [], next: 10 })
    expect(await read(batch({ first: 3, offsets: [4], last: 9 }), 3)).toMatchObject({ offsets: [4], next: 10 })
  })

  it('give nothing below the place asked for', async () => {
    expect(await read(batch({ first: 0, offsets: [0, 1, 2] }), 2)).toMatchObject({ offsets: [2], next: 3 })
  })

  it('leave out what was aborted by producer, up to its marker', async () => {
    const bytes = Buffer.concat([
      batch({ first: 0, producer: 1, attributes: TRANSACTIONAL }),
      batch({ first: 1, producer: 2, attributes: TRANSACTIONAL }),
      batch({ first: 2, producer: 1 }),
      marker(3, 2, 1),
      marker(4, 1, 0),
      batch({ first: 5, producer: 1, attributes: TRANSACTIONAL }),
      marker(6, 1, 1),
      batch({ first: 7, producer: 1, attributes: TRANSACTIONAL }),
    ])
    const aborted = [
      { producerId: 1, firstOffset: 7 },
      { producerId: 1, firstOffset: 0 },
    ]
    expect(await read(bytes, 0, aborted)).toMatchObject({ offsets: [1, 2, 5], next: 8 })
  })

  it('of an old format, or damaged, are named by their offset', async () => {
    const old = batch({ first: 4 })
    old.writeInt8(1, 16)
    await expect(read(old)).rejects.toMatchObject({ code: 'BAD_RECORD', message: expect.stringContaining('at offset 4 is of format 1') })
    const short = batch({ first: 4, offsets: [4, 5], body: recordOf(0, null, Buffer.from('x')) })
    const said = { code: 'BAD_RECORD', message: expect.stringContaining('the batch at offset 4 is damaged') }
    await expect(read(short)).rejects.toMatchObject(said)
  })
})

describe('numbers on the wire', () => {
  it('come back as they were written', () => {
    const numbers = [0, -1, 1, 2 ** 31, -(2 ** 31), 2 ** 40 + 3, Number.MAX_SAFE_INTEGER]
    const fixed = numbers.reduce((write, number) => write.int64(number), new WireWriter()).done()
    const reader = new WireReader(fixed)
    expect(numbers.map(() => reader.int64())).toEqual(numbers)
    const small = [0, -1, 1, 63, 64, -64, -65, 2 ** 31, 2 ** 45]
    const varints = new WireReader(Buffer.concat(small.map(zigzag)))
    expect(small.map(() => varints.varint())).toEqual(small)
  })

  it('past the end are an error', () => {
    expect(() => new WireReader(Buffer.alloc(3)).int32()).toThrow(RangeError)
  })
})
