/** How the writes of a commit are cut into sends. */
import { describe, expect, it } from 'vitest'
import { cutWrites } from '../../../src/log/kafka/state-writes.ts'
import type { Topic, Write } from '../../../src/log/log.ts'

function write(topic: Topic, partition: number, key: string, bytes: number): Write {
  return { topic, partition, key, value: Buffer.alloc(bytes) }
}

function shape(writes: Iterable<Write>): string[][] {
  return [...cutWrites(writes)].map((batches) => batches.map(({ topic, partition, records }) => `${topic}/${partition} ${records.map(({ key }) => key).join('')}`))
}

describe('the writes of a commit', () => {
  it('go together at its end, each partition once and in the order drawn', () => {
    const writes = [write('state', 0, 'a', 9), write('incidents', 1, 'b', 9), write('state', 1, 'c', 9), write('incidents', 1, 'd', 9), write('state', 0, 'e', 9)]
    expect(shape(writes)).toEqual([['state/0 ae', 'incidents/1 bd', 'state/1 c']])
  })

  it('go before once a partition has 900 KB of them, keys and all', () => {
    const writes = [write('incidents', 0, 'a', 9), write('state', 0, 'b', 449_967), write('state', 0, 'c', 449_967), write('state', 0, 'd', 0), write('state', 0, 'e', 9)]
    expect(shape(writes)).toEqual([['state/0 bc'], ['incidents/0 a', 'state/0 de']])
  })

  it('go alone when larger', () => {
    const writes = [write('state', 0, 'a', 9), write('state', 0, 'b', 1_000_000), write('state', 0, 'c', 9)]
    expect(shape(writes)).toEqual([['state/0 a'], ['state/0 b'], ['state/0 c']])
  })

  it('go once a partition has 2,000 of them', () => {
    const writes = Array.from({ length: 2_001 }, () => write('state', 0, '', 0))
    expect([...cutWrites(writes)].map((batches) => batches.map(({ records }) => records.length))).toEqual([[2_000], [1]])
  })

  it('are drawn only as they are sent, so that not more than 3.6 MB are held over all partitions', () => {
    let drawn = 0
    const writes = function* () {
      for (; drawn < 64; drawn++) yield write('incidents', drawn, 'a', 100_000)
    }
    const cut = cutWrites(writes())
    expect((cut.next().value as unknown[]).length).toBe(36)
    expect(drawn).toBe(35)
    expect((cut.next().value as unknown[]).length).toBe(28)
    expect(cut.next().done).toBe(true)
  })

  it('of a commit without any are no send', () => {
    expect(shape([])).toEqual([])
  })

  it('refuses readings, and a deletion where nothing is deleted', () => {
    expect(() => shape([write('readings', 0, 'a', 1)])).toThrow('a commit writes nothing to readings')
    expect(() => shape([{ topic: 'actions', partition: 0, key: 'a', value: null }])).toThrow('actions keeps every record')
  })
})
