/** Log contract: what read, bounds and tail give, at the edges and past what retention took. */
import { expect } from 'vitest'
import type { Case } from './lab.ts'
import { passing, recordsOf, text } from './lab.ts'

export const reading: readonly Case[] = [
  {
    it: 'an empty partition has equal bounds and nothing to read',
    async run(lab) {
      const log = await lab.open()
      expect(await lab.settle(log.bounds('incidents', 1))).toEqual({ low: 0, high: 0 })
      expect(await lab.settle(log.read('incidents', 1, 0, 10))).toBeNull()
    },
  },
  {
    it: 'read gives at most the asked number of records, and where to go on; null at the end',
    async run(lab) {
      const log = await lab.open()
      await lab.append(log, 'readings', 0, 'a', 'b', 'c')
      const slice = await lab.settle(log.read('readings', 0, 1, 1))
      expect(slice).toMatchObject({ partition: 0, next: 2, lost: 0 })
      expect(slice!.records.map((one) => text(one.value))).toEqual(['b'])
      expect(await lab.settle(log.read('readings', 0, 3, 10))).toBeNull()
      expect(await lab.settle(log.bounds('readings', 0))).toEqual({ low: 0, high: 3 })
    },
  },
  {
    it: 'a read that retention has passed says exactly how many records it lost',
    async run(lab) {
      const log = await lab.open()
      const low = await lab.trimmed(log)
      expect(low).toBeGreaterThan(10)
      expect(low).toBeLessThanOrEqual(150)
      expect(await lab.settle(log.bounds('readings', 0))).toEqual({ low, high: 200 })
      const slice = await lab.settle(log.read('readings', 0, 3, 5))
      expect(slice).toMatchObject({ lost: low - 3, next: low + 5 })
      expect(slice!.records[0]!.offset).toBe(low)
    },
  },
  {
    it: 'retention and a new start leave the bounds as they are',
    async run(lab) {
      const log = await lab.open()
      const low = await lab.trimmed(log)
      await lab.settle(log.close())
      const again = await lab.open()
      expect(await lab.settle(again.bounds('readings', 0))).toEqual({ low, high: 200 })
    },
  },
  {
    it: 'tail gives all partitions from the oldest record on, then what comes',
    async run(lab) {
      const log = await lab.open()
      await lab.append(log, 'incidents', 0, 'a', 'b')
      const tail = lab.tail(log, 'incidents')
      await lab.until(() => recordsOf(tail.slices).length === 2)
      await lab.append(log, 'incidents', 1, 'c')
      await lab.append(log, 'incidents', 0, 'd')
      await lab.until(() => recordsOf(tail.slices).length === 4)
      const of = (partition: number) => {
        const slices = tail.slices.filter((slice) => slice.partition === partition)
        return recordsOf(slices).map((one) => text(one.value))
      }
      expect(of(0)).toEqual(['a', 'b', 'd'])
      expect(of(1)).toEqual(['c'])
    },
  },
  {
    it: 'tail starts at the positions it is given, old ones too',
    async run(lab) {
      const log = await lab.open()
      await lab.append(log, 'incidents', 0, 'a', 'b', 'c')
      await lab.append(log, 'incidents', 1, 'x', 'y')
      const tail = lab.tail(log, 'incidents', new Map([[0, 1], [1, 2]]))
      await lab.append(log, 'incidents', 1, 'z')
      await lab.until(() => recordsOf(tail.slices).length === 3)
      await lab.quiet()
      expect(recordsOf(tail.slices).map((one) => text(one.value)).toSorted()).toEqual(['b', 'c', 'z'])
    },
  },
  {
    it: 'tail sees what is not yet flushed',
    needs: ['stalled flushes'],
    async run(lab) {
      const log = await lab.open()
      const tail = lab.tail(log, 'incidents')
      const release = lab.harness.stall!(log)
      await lab.append(log, 'incidents', 0, 'a')
      await lab.until(() => tail.slices.length === 1)
      release()
    },
  },
  {
    it: 'slices of a tail follow each other without a gap, one at a time',
    async run(lab) {
      const log = await lab.open()
      let under = 0
      let most = 0
      const tail = lab.tail(log, 'readings', new Map(), async () => {
        most = Math.max(most, ++under)
        await Promise.resolve()
        under--
      })
      for (let n = 0; n < 30; n++) await lab.append(log, 'readings', n % 2, `${n}`)
      await lab.until(() => recordsOf(tail.slices).length === 30)
      expect(most).toBe(1)
      for (const partition of [0, 1]) {
        let next = 0
        for (const slice of tail.slices.filter((one) => one.partition === partition)) {
          expect(slice.records[0]!.offset).toBe(next)
          next = slice.next
        }
        expect(next).toBe(15)
      }
    },
  },
  {
    it: 'a tail that retention has passed says how many records it lost, once',
    async run(lab) {
      const log = await lab.open()
      const low = await lab.trimmed(log)
      const tail = lab.tail(log, 'readings', new Map([[0, 4]]))
      await lab.until(() => recordsOf(tail.slices).length === 200 - low)
      expect(tail.slices.map((slice) => slice.lost).reduce((a, b) => a + b)).toBe(low - 4)
      expect(tail.slices[0]!.lost).toBe(low - 4)
    },
  },
  {
    it: 'a tail from past the end is refused with RECREATED',
    async run(lab) {
      const log = await lab.open()
      await lab.append(log, 'incidents', 0, 'a')
      const tail = lab.tail(log, 'incidents', new Map([[0, 2]]))
      await lab.until(() => tail.ended.state !== 'pending')
      expect(tail.ended.error).toMatchObject({ code: 'RECREATED' })
    },
  },
  {
    it: 'what the reader throws ends the tail with it',
    async run(lab) {
      const log = await lab.open()
      const error = passing()
      const tail = lab.tail(log, 'incidents', new Map(), async () => {
        throw error
      })
      await lab.append(log, 'incidents', 0, 'a')
      await lab.until(() => tail.ended.state === 'rejected')
      expect(tail.ended.error).toBe(error)
    },
  },
  {
    it: 'an aborted tail resolves and gives nothing more',
    async run(lab) {
      const log = await lab.open()
      const tail = lab.tail(log, 'incidents')
      tail.stop.abort()
      await lab.until(() => tail.ended.state === 'resolved')
      await lab.append(log, 'incidents', 0, 'a')
      await lab.quiet()
      expect(tail.slices).toEqual([])
    },
  },
]
