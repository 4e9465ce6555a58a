/** The hashes: Kafka's partitions by its own test vectors, and ids that can't run into each other. */
import { describe, expect, it } from 'vitest'
import { combine52, hash52, hashText, idOf, murmur2, partitionOf } from '../../src/core/hash.ts'
import { seeded } from '../detect/seeded.ts'

describe('murmur2', () => {
  // org.apache.kafka.common.utils.UtilsTest#testMurmur2; the last five, one of each length of tail, from akka's Murmur2Spec.
  it.each([
    ['21', -973_932_308],
    ['foobar', -790_332_482],
    ['a-little-bit-long-string', -985_981_536],
    ['a-little-bit-longer-string', -1_486_304_829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
    ['abc', 479_470_107],
    ['1', -1_993_445_489],
    ['12', 126_087_238],
    ['123', -267_702_483],
    ['1234', -1_614_185_708],
    ['12345', -1_188_365_604],
  ])('of %s is what Kafka says', (key, hash) => {
    expect(murmur2(key)).toBe(hash)
  })

  it('is of the key’s UTF-8 bytes', () => {
    expect(murmur2('ä')).toBe(murmur2(Buffer.from([0xc3, 0xa4]).toString('utf8')))
    expect(murmur2('ä')).not.toBe(murmur2('a'))
  })
})

describe('the partition of a key', () => {
  it('is the positive hash modulo the partitions, as Kafka’s default partitioner has it', () => {
    expect(partitionOf('abc', 12)).toBe(479_470_107 % 12)
    expect(partitionOf('21', 12)).toBe((-973_932_308 & 0x7fffffff) % 12)
    expect(partitionOf('', 1)).toBe(0)
  })

  it('spreads devices evenly', () => {
    const counts = [0, 0, 0, 0]
    for (let i = 0; i < 4_000; i++) counts[partitionOf(`device-${i}`, 4)]!++
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150)
  })
})

describe('a 52-bit hash', () => {
  it('is a whole number from 1 that a float64 holds', () => {
    const random = seeded(1)
    for (let i = 0; i < 2_000; i++) {
      for (const hash of [hash52(Buffer.from(`${random.fraction()}`)), combine52(random.whole(0, 2 ** 52), random.whole(0, 2 ** 52))]) {
        expect(Number.isSafeInteger(hash) && hash >= 1 && hash < 2 ** 52).toBe(true)
      }
    }
  })

  it.each([
    ['of like payloads', (i: number) => hash52(Buffer.from(`{"vibration":${(i / 1_000).toFixed(3)},"temperature":21.5}`))],
    ['of counted texts', (i: number) => hashText(String(i))],
    ['of the same payload at times a millisecond apart', (i: number) => combine52(1_700_000_000_000 + i, 123_456_789_012)],
    ['of samples of one payload', (i: number) => combine52(987_654_321_098, i)],
  ])('is never met twice in 200,000 %s', (_, hash) => {
    const seen = new Set(Array.from({ length: 200_000 }, (_unused, i) => hash(i)))
    expect(seen.size).toBe(200_000)
  })

  it('takes a seed, and the order of what is combined', () => {
    expect(hash52(Buffer.from('a'), 1)).not.toBe(hash52(Buffer.from('a'), 2))
    expect(combine52(1, 2)).not.toBe(combine52(2, 1))
  })
})

describe('an id', () => {
  it('is 24 hex digits, the same for the same parts', () => {
    expect(idOf('first', 3, 17, 0, 'pump-1', 'limit')).toMatch(/^[0-9a-f]{24}$/)
    expect(idOf('first', 3, 17, 0, 'pump-1', 'limit')).toBe(idOf('first', 3, 17, 0, 'pump-1', 'limit'))
  })

  it('tells parts that would run together apart', () => {
    const ids = [idOf('ab', 'c'), idOf('a', 'bc'), idOf('abc'), idOf('', 'abc'), idOf('abc', ''), idOf('1:a', 'b'), idOf('a', '1:b')]
    expect(new Set(ids).size).toBe(ids.length)
  })
})
