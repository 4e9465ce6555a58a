/** Log contract: what an append and its flush promise. */
import { expect } from 'vitest'
import type { Case } from './lab.ts'
import { record, text, watch } from './lab.ts'

export const appending: readonly Case[] = [
  {
    it: 'appends to one partition keep the order of the calls',
    async run(lab) {
      const log = await lab.open()
      const calls = Array.from({ length: 60 }, (_, n) => log.append('readings', n % 2, [record('', `${n}`)]))
      await lab.settle(Promise.all(calls))
      expect(await lab.values(log, 'readings', 0)).toEqual(calls.map((_, n) => `${n}`).filter((_, n) => n % 2 === 0))
      expect(await lab.values(log, 'readings', 1)).toEqual(calls.map((_, n) => `${n}`).filter((_, n) => n % 2 === 1))
    },
  },
  {
    it: 'offsets are consecutive from 0, and an append tells that of its first record',
    async run(lab) {
      const log = await lab.open()
      expect(await lab.append(log, 'readings', 0, 'a', 'b', 'c')).toBe(0)
      expect(await lab.append(log, 'readings', 1, 'x')).toBe(0)
      expect(await lab.append(log, 'readings', 0, 'd')).toBe(3)
      expect((await lab.all(log, 'readings', 0)).map((one) => one.offset)).toEqual([0, 1, 2, 3])
    },
  },
  {
    it: 'keys and values come back byte for byte',
    async run(lab) {
      const log = await lab.open()
      const bytes = Uint8Array.from({ length: 256 }, (_, n) => n)
      const records = [record('', ''), { key: 'größe/µ', value: bytes }]
      await lab.settle(log.append('dead-letters', 0, records))
      const stored = await lab.all(log, 'dead-letters', 0)
      expect(stored.map((one) => one.key)).toEqual(['', 'größe/µ'])
      expect(stored.map((one) => [...(one.value ?? [])])).toEqual([[], [...bytes]])
    },
  },
  {
    it: 'an append time never goes back within a partition',
    async run(lab) {
      const log = await lab.open()
      for (let n = 0; n < 5; n++) {
        await lab.append(log, 'readings', 0, `${n}`)
        await lab.harness.advance(7)
      }
      const times = (await lab.all(log, 'readings', 0)).map((one) => one.time)
      expect(times).toEqual(times.toSorted((a, b) => a - b))
      expect(times[4]! - times[0]!).toBeGreaterThanOrEqual(28)
    },
  },
  {
    it: 'what is appended can be read before it is flushed',
    needs: ['stalled flushes'],
    async run(lab) {
      const log = await lab.open()
      const release = lab.harness.stall!(log)
      const appended = await lab.settle(log.append('readings', 0, [record('a', 'a')]))
      const flushed = watch(appended.flushed)
      expect(await lab.values(log, 'readings', 0)).toEqual(['a'])
      await lab.quiet()
      expect(flushed.state).toBe('pending')
      release()
      await lab.until(() => flushed.state === 'resolved')
    },
  },
  {
    it: 'flushes complete in the order of the appends, over all topics',
    async run(lab) {
      const log = await lab.open()
      const done: number[] = []
      const places = [['readings', 0], ['incidents', 1], ['dead-letters', 0], ['actions', 0], ['readings', 1]] as const
      const appends = Array.from({ length: 20 }, async (_, n) => {
        const [topic, partition] = places[n % places.length]!
        const { flushed } = await log.append(topic, partition, [record('', `${n}`)])
        await flushed
        done.push(n)
      })
      await lab.settle(Promise.all(appends))
      expect(done).toEqual(done.toSorted((a, b) => a - b))
    },
  },
  {
    it: 'flushed() waits for everything appended before it',
    needs: ['stalled flushes'],
    async run(lab) {
      const log = await lab.open()
      const release = lab.harness.stall!(log)
      const first = watch((await lab.settle(log.append('readings', 0, [record('', 'a')]))).flushed)
      const second = watch((await lab.settle(log.append('incidents', 1, [record('', 'b')]))).flushed)
      const all = watch(log.flushed())
      await lab.quiet()
      expect(all.state).toBe('pending')
      release()
      await lab.until(() => all.state === 'resolved')
      expect([first.state, second.state]).toEqual(['resolved', 'resolved'])
    },
  },
  {
    it: 'flushed() of an idle log resolves',
    async run(lab) {
      const log = await lab.open()
      await lab.settle(log.flushed())
    },
  },
  {
    it: 'close leaves nothing appended unflushed',
    async run(lab) {
      const log = await lab.open()
      const appended = await lab.settle(log.append('readings', 1, [record('', 'a'), record('', 'b')]))
      const flushed = watch(appended.flushed)
      await lab.settle(log.close())
      expect(flushed.state).toBe('resolved')
      const again = await lab.open()
      expect(await lab.values(again, 'readings', 1)).toEqual(['a', 'b'])
    },
  },
  {
    it: 'a closed log refuses further appends with CLOSED',
    async run(lab) {
      const log = await lab.open()
      await lab.settle(log.close())
      expect(await lab.failure(log.append('readings', 0, [record('', 'a')]))).toMatchObject({ code: 'CLOSED' })
    },
  },
  {
    it: 'what was flushed survives a crash, and offsets go on behind what is left',
    async run(lab) {
      const log = await lab.open()
      const { flushed } = await lab.settle(log.append('readings', 0, [record('', 'a'), record('', 'b')]))
      await lab.settle(flushed)
      await lab.append(log, 'readings', 0, 'perhaps lost')
      await lab.settle(lab.harness.crash(log))
      const again = await lab.open()
      const kept = await lab.all(again, 'readings', 0)
      expect(kept.slice(0, 2).map((one) => text(one.value))).toEqual(['a', 'b'])
      expect(await lab.append(again, 'readings', 0, 'c')).toBe(kept.length)
    },
  },
]
