/** The newest of each key that lives, from a partition in memory: held at once, or read twice. */
import { describe, expect, it } from 'vitest'
import { readNewest } from '../../../src/log/kafka/newest.ts'
import type { StoredRecord, Topic } from '../../../src/log/log.ts'

const RECORDS: readonly (readonly [string, string | null])[] = [['a', '1'], ['b', '1'], ['a', '2'], ['c', null], ['b', null], ['d', '1'], ['b', '3'], ['d', null]]

class Partition {
  reads = 0
  /** Told before the second reading. */
  changed: () => void = () => undefined
  records: StoredRecord[] = RECORDS.map(([key, value], offset) => ({ key, value: value === null ? null : Buffer.from(value), offset: offset * 2, time: 0 }))

  async readAll(_: Topic, __: number, each: (record: StoredRecord) => void, signal: AbortSignal) {
    if (this.reads++ > 0) this.changed()
    for (const record of this.records) if (!signal.aborted) each(record)
  }
}

async function read(partition: Partition, heldBytes: number, signal = new AbortController().signal): Promise<[string, string][]> {
  const found: [string, string][] = []
  const options = { feeds: partition, topic: 'state', partition: 0, signal, heldBytes } as const
  await readNewest(options, (key, value) => found.push([key, Buffer.from(value).toString()]))
  return found
}

describe('reading a compacted partition', () => {
  it.each([
    [1_000, 1],
    [5, 1],
    [4, 2],
    [0, 2],
  ])('holding %i bytes at most gives each key that lives once, with its newest value, in %i readings', async (heldBytes, reads) => {
    const partition = new Partition()
    expect((await read(partition, heldBytes)).toSorted()).toEqual([['a', '2'], ['b', '3']])
    expect(partition.reads).toBe(reads)
  })

  it.each([0, 1_000])('holding %i bytes gives an empty value as such', async (heldBytes) => {
    const partition = new Partition()
    partition.records = [{ key: 'a', value: new Uint8Array(), offset: 0, time: 0 }, { key: 'b', value: Buffer.from('1'), offset: 1, time: 0 }]
    expect(await read(partition, heldBytes)).toEqual([['a', ''], ['b', '1']])
  })

  it('does not pass off a part for the whole when keys vanish between two readings', async () => {
    const partition = new Partition()
    partition.changed = () => partition.records.splice(2, 1)
    await expect(read(partition, 0)).rejects.toMatchObject({ code: 'IO', message: expect.stringContaining('1 keys of state/0') })
  })

  it.each([0, 1_000])('holding %i bytes does not pass off a part for the whole when it is left', async (heldBytes) => {
    const stop = new AbortController()
    const partition = new Partition()
    if (heldBytes > 0) stop.abort()
    else partition.changed = () => stop.abort()
    await expect(read(partition, heldBytes, stop.signal)).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
