/** Log contract: how partitions are taken over, worked through, lost and let go. */
import { expect } from 'vitest'
import { decodeHeader } from '../../../src/log/header.ts'
import type { Log } from '../../../src/log/log.ts'
import type { OpenOptions } from './harness.ts'
import type { Case, Lab, Term } from './lab.ts'
import { cut, passing, put, recordsOf, text } from './lab.ts'

/** What opening with `options`, or the takeover after it, is refused with. */
async function refusal(lab: Lab, options: OpenOptions): Promise<unknown> {
  let log: Log
  try {
    log = await lab.open(options)
  } catch (error) {
    return error
  }
  const holder = lab.consume(log)
  await lab.until(() => holder.ended.state !== 'pending')
  return holder.ended.error
}

export const owning: readonly Case[] = [
  {
    it: 'a consumer gets every partition, each with the first epoch and no rows',
    async run(lab) {
      const holder = lab.consume(await lab.open())
      for (const partition of [0, 1]) {
        const { rows, restored } = await holder.term(partition)
        expect([rows.size, restored.next.size]).toEqual([0, 0])
        expect(restored).toMatchObject({ epoch: 1, incarnation: '', recreated: false })
      }
    },
  },
  {
    it: 'who owns a partition is known by name, and is confirmed as owner until it has let go',
    async run(lab) {
      const log = await lab.open()
      const holder = lab.consume(log)
      const { owned } = await holder.term(1)
      expect(log.holder('readings/1')).toEqual(expect.any(String))
      await lab.settle(owned.confirmed())
      await holder.finish()
      expect(log.holder('readings/1')).toBeNull()
      expect(await lab.failure(owned.confirmed())).toMatchObject({ code: 'FENCED' })
    },
  },
  {
    it: 'the old owner is fenced before the state is read',
    async run(lab) {
      const log = await lab.open()
      const terms: Term[] = []
      const errors: unknown[] = []
      const holder = lab.consume(log, {
        async fenced(owned, partition) {
          const old = terms[0]
          if (!old || partition !== 0) return
          errors.push(await old.owned.commit([put('state', 0, 'late')], cut(0, 0)).catch((error: unknown) => error))
          expect(owned.signal.aborted).toBe(false)
        },
        async process(term) {
          if (terms.length > 0) return
          terms.push(term)
          throw passing()
        },
      })
      await lab.append(log, 'readings', 0, 'a')
      const { rows } = await holder.term(0, 1)
      expect(errors).toMatchObject([{ code: 'FENCED' }])
      expect(rows.size).toBe(0)
    },
  },
  {
    it: 'the header of the next epoch is written after the state was read: a restore that fails leaves the epoch',
    async run(lab) {
      const log = await lab.open()
      const first = lab.consume(log)
      await lab.settle((await first.term(0)).owned.commit([put('state', 0, 'a')], cut(0, 0)))
      await first.finish()
      let tries = 0
      const second = lab.consume(log, {
        async fenced(owned, partition) {
          if (partition !== 0 || tries++ > 0) return
          await owned.restore(() => {
            throw passing()
          })
        },
      })
      expect((await second.term(0)).restored.epoch).toBe(2)
      expect(tries).toBeGreaterThan(1)
    },
  },
  {
    it: 'the header of the new epoch is the last of the state when restore resolves',
    async run(lab) {
      const log = await lab.open()
      const first = lab.consume(log)
      await lab.settle((await first.term(0)).owned.commit([put('state', 0, 'a')], cut(0, 3, 'i')))
      await first.finish()
      const seen: unknown[] = []
      const second = lab.consume(log, {
        async restored(term) {
          if (term.partition !== 0) return
          const records = (await log.read('state', 0, (await log.bounds('state', 0)).low, 1_000))!.records
          const last = records.at(-1)!
          const { epoch, incarnation, next } = decodeHeader(last.value!)
          seen.push(last.key, epoch, incarnation, next['readings/0'])
        },
      })
      await second.term(0)
      await lab.until(() => seen.length > 0)
      expect(seen).toEqual(['header', 2, 'i', 3])
    },
  },
  {
    it: 'each takeover counts the epoch up by one, over crashes and new starts',
    async run(lab) {
      const epochs: number[] = []
      for (let start = 0; start < 4; start++) {
        const log = await lab.open()
        const holder = lab.consume(log)
        epochs.push((await holder.term(0)).restored.epoch)
        await lab.settle(start % 2 ? log.close() : lab.harness.crash(log))
      }
      expect(epochs).toEqual([1, 2, 3, 4])
    },
  },
  {
    it: 'what is appended right after a takeover lands before anything that a slice leads to',
    async run(lab) {
      const log = await lab.open()
      await lab.append(log, 'readings', 0, 'a')
      const holder = lab.consume(log, {
        async restored(term) {
          if (term.partition === 0) await log.append('incidents', 0, [{ key: '', value: Buffer.from('opened') }])
        },
        async process(_, slice) {
          await log.append('incidents', slice.partition, [{ key: '', value: Buffer.from('processed') }])
        },
      })
      await lab.until(() => holder.terms.some((term) => term.slices.length > 0))
      expect(await lab.values(log, 'incidents', 0)).toEqual(['opened', 'processed'])
    },
  },
  {
    it: 'slices come in order, without a gap, one at a time',
    async run(lab) {
      const log = await lab.open()
      await lab.append(log, 'readings', 0, ...Array.from({ length: 20 }, (_, n) => `${n}`))
      const under = [0, 0]
      const most = [0, 0]
      const holder = lab.consume(log, {
        async process(_, { partition }) {
          most[partition] = Math.max(most[partition]!, ++under[partition]!)
          await Promise.resolve()
          under[partition]!--
        },
      })
      const term = await holder.term(0)
      for (let n = 20; n < 40; n++) await lab.append(log, 'readings', 0, `${n}`)
      await lab.until(() => recordsOf(term.slices).length === 40)
      expect(most[0]).toBe(1)
      expect(recordsOf(term.slices).map((one) => one.offset)).toEqual(Array.from({ length: 40 }, (_, n) => n))
      for (const slice of term.slices) expect(slice).toMatchObject({ next: slice.records.at(-1)!.offset + 1, lost: 0, partition: 0 })
    },
  },
  {
    it: 'a task may read what is not yet flushed',
    needs: ['stalled flushes'],
    async run(lab) {
      const log = await lab.open()
      const term = await lab.consume(log).term(0)
      const release = lab.harness.stall!(log)
      await lab.append(log, 'readings', 0, 'a')
      await lab.until(() => term.slices.length === 1)
      release()
    },
  },
  {
    it: 'a task whose place retention has passed is told how many records are lost',
    async run(lab) {
      const log = await lab.open()
      const low = await lab.trimmed(log)
      const term = await lab.consume(log, { from: (one) => (one.partition === 0 ? 5 : 0) }).term(0)
      await lab.until(() => recordsOf(term.slices).length === 200 - low)
      expect(term.slices.map((slice) => slice.lost)).toEqual([low - 5, ...term.slices.slice(1).map(() => 0)])
    },
  },
  {
    it: 'a task that fails with something retriable is dropped unclosed and starts again from its last cut',
    async run(lab) {
      const log = await lab.open()
      let failures = 2
      const holder = lab.consume(log, {
        async process(term, slice) {
          const at = slice.records.at(-1)!
          if (text(at.value) === 'bad' && failures-- > 0) throw passing()
          await term.owned.commit([put('state', 0, 'a', text(at.value))], cut(0, slice.next))
        },
      })
      await lab.append(log, 'readings', 0, 'good')
      await lab.until(() => recordsOf(holder.terms.flatMap((term) => term.slices)).length === 1)
      await lab.append(log, 'readings', 0, 'bad')
      const last = await holder.term(0, 2)
      await lab.until(() => last.slices.length > 0)
      expect(last.restored).toMatchObject({ epoch: 3 })
      expect(last.slices[0]!.records.map((one) => text(one.value))).toEqual(['bad'])
      const dropped = holder.terms.filter((term) => term.partition === 0).slice(0, 2)
      expect(dropped.map((term) => [term.closed, term.owned.signal.aborted])).toEqual([[0, true], [0, true]])
      expect(holder.ended.state).toBe('pending')
    },
  },
  {
    it: 'pauses before a takeover stay small while each term commits something',
    async run(lab) {
      const log = await lab.open()
      await lab.append(log, 'readings', 0, 'a')
      const holder = lab.consume(log, {
        async process({ owned }) {
          await owned.commit([put('state', 0, 'a')], cut(0, 0))
          throw passing()
        },
      })
      await lab.until(() => holder.terms.length > 30, 'thirty takeovers')
    },
  },
  {
    it: 'anything else a task throws ends consume with it',
    async run(lab) {
      const log = await lab.open()
      const error = new Error('a bug')
      const holder = lab.consume(log, {
        async process() {
          throw error
        },
      })
      await lab.append(log, 'readings', 1, 'a')
      await lab.until(() => holder.ended.state === 'rejected')
      expect(holder.ended.error).toBe(error)
    },
  },
  {
    it: 'a stopped consumer finishes its slice, closes its tasks once, and what they commit then counts',
    async run(lab) {
      const log = await lab.open()
      const holder = lab.consume(log, {
        async closing({ owned, partition }) {
          await owned.commit([put('state', partition, 'closing')], cut(partition, 1))
        },
      })
      await lab.append(log, 'readings', 0, 'a')
      await holder.term(1)
      const term = await holder.term(0)
      await lab.until(() => term.slices.length === 1)
      await holder.finish()
      expect(holder.ended.state).toBe('resolved')
      expect(holder.terms.map((one) => one.closed)).toEqual([1, 1])
      const { rows, restored } = await lab.consume(log).term(0)
      expect([[...rows.keys()], restored.epoch]).toEqual([['closing'], 2])
    },
  },
  {
    it: 'close ends consuming as a stop does',
    async run(lab) {
      const log = await lab.open()
      const holder = lab.consume(log, {
        async closing({ owned, partition }) {
          await owned.commit([put('state', partition, 'closing')], cut(partition, 0))
        },
      })
      await holder.term(0)
      await holder.term(1)
      await lab.settle(log.close())
      expect(holder.ended.state).toBe('resolved')
      expect((await lab.consume(await lab.open()).term(1)).rows.has('closing')).toBe(true)
    },
  },
  {
    it: 'another number of partitions is refused, and the refusal names both',
    async run(lab) {
      const log = await lab.open({ partitions: 2 })
      await lab.consume(log).term(0)
      await lab.settle(log.close())
      const error = await refusal(lab, { partitions: 3 })
      expect(error).toMatchObject({ code: 'PARTITIONS_CHANGED', retriable: false })
      expect((error as Error).message).toMatch(/2 partitions.* 3/)
    },
  },
  {
    it: 'another key is refused, and the refusal names both',
    async run(lab) {
      const log = await lab.open({ key: 'device' })
      await lab.consume(log).term(0)
      await lab.settle(log.close())
      const error = await refusal(lab, { key: 'site' })
      expect(error).toMatchObject({ code: 'PARTITIONS_CHANGED' })
      expect((error as Error).message).toMatch(/'device'.*'site'/)
    },
  },
  {
    it: 'a recreated topic is noticed at the takeover',
    async run(lab) {
      const log = await lab.open()
      await lab.append(log, 'readings', 0, 'a', 'b')
      const { owned } = await lab.consume(log).term(0)
      await lab.settle(owned.commit([put('state', 0, 'row')], cut(0, 2, 'the old one')))
      await lab.settle(log.close())
      await lab.settle(lab.harness.recreate())
      const again = await lab.open()
      const { restored, rows } = await lab.consume(again, { from: () => 0 }).term(0)
      expect(restored).toMatchObject({ recreated: true, incarnation: 'the old one' })
      expect([...rows.keys()]).toEqual(['row'])
      expect(await lab.append(again, 'readings', 0, 'c')).toBe(0)
    },
  },
  {
    it: 'a task that wants to start past the end is taken over anew instead of waiting for ever',
    async run(lab) {
      const log = await lab.open()
      let wrong = true
      const holder = lab.consume(log, {
        from: (term) => {
          const from = wrong && term.partition === 0 ? 5 : 0
          if (term.partition === 0) wrong = false
          return from
        },
      })
      const second = await holder.term(0, 1)
      await lab.append(log, 'readings', 0, 'a')
      await lab.until(() => second.slices.length === 1)
    },
  },
  {
    it: 'a crashed process’s partitions go to another that waits, with the next epoch',
    needs: ['many processes'],
    async run(lab) {
      const first = await lab.open()
      const second = await lab.open()
      const holder = lab.consume(first)
      await holder.term(0)
      await holder.term(1)
      const waiting = lab.consume(second)
      await lab.quiet()
      // A log of many processes may have shared them out; what the first has kept is its own while it lives.
      const kept = holder.terms.filter(({ owned }) => !owned.signal.aborted).map(({ partition }) => partition)
      expect(kept.length).toBeGreaterThan(0)
      expect(waiting.terms.filter(({ partition }) => kept.includes(partition))).toEqual([])
      await lab.settle(lab.harness.crash(first))
      for (const partition of kept) expect((await waiting.term(partition)).restored.epoch).toBe(2)
    },
  },
]
