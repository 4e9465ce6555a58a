/** Log contract: what a commit promises, and what of the state a later owner finds. */
import { expect } from 'vitest'
import { decodeHeader } from '../../../src/log/header.ts'
import type { Log, Write } from '../../../src/log/log.ts'
import type { Case, Lab } from './lab.ts'
import { cut, passing, put, text } from './lab.ts'

/** Takes partition 0 over once more, in the same process, behind the back of the one that holds it. */
async function overtake(lab: Lab, log: Log) {
  let fail = false
  const holder = lab.consume(log, {
    async process() {
      if (!fail) return
      fail = false
      throw passing()
    },
  })
  const old = await holder.term(0)
  return {
    old,
    async now() {
      fail = true
      await lab.append(log, 'readings', 0, 'the record that fails')
      return holder.term(0, 1)
    },
  }
}

export const committing: readonly Case[] = [
  {
    it: 'a commit writes to several topics at once, the header last in its state',
    async run(lab) {
      const log = await lab.open()
      const { owned } = await lab.consume(log).term(0)
      const others = [put('incidents', 0, 'one'), put('actions', 0, 'line'), put('requests', 1, 'verdict')]
      const writes = [put('state', 0, 'series/0', 'rows'), ...others]
      await lab.settle(owned.commit(writes, cut(0, 7)))
      expect(await lab.values(log, 'incidents', 0)).toEqual(['one'])
      expect(await lab.values(log, 'actions', 0)).toEqual(['line'])
      expect(await lab.values(log, 'requests', 1)).toEqual(['verdict'])
      const state = await lab.all(log, 'state', 0)
      expect(state.slice(-2).map((one) => one.key)).toEqual(['series/0', 'header'])
      const header = decodeHeader(state.at(-1)!.value!)
      expect(header).toMatchObject({ incarnation: 'a', epoch: 1, partitions: 2, key: 'device', next: { 'readings/0': 7 } })
    },
  },
  {
    it: 'a commit that resolved survives a crash, with all that was appended before it',
    async run(lab) {
      const log = await lab.open()
      const { owned } = await lab.consume(log).term(0)
      await lab.append(log, 'incidents', 0, 'before')
      await lab.settle(owned.commit([put('state', 0, 'series/0'), put('actions', 0, 'line')], cut(0, 0)))
      await lab.settle(lab.harness.crash(log))
      const again = await lab.open()
      expect(await lab.values(again, 'incidents', 0)).toEqual(['before'])
      expect(await lab.values(again, 'actions', 0)).toEqual(['line'])
      const { rows } = await lab.consume(again).term(0)
      expect([...rows]).toEqual([['series/0', 'series/0']])
    },
  },
  {
    it: 'a commit is not done before it is durable',
    needs: ['stalled flushes'],
    async run(lab) {
      const log = await lab.open()
      const { owned } = await lab.consume(log).term(0)
      const release = lab.harness.stall!(log)
      let done = false
      const commit = owned.commit([put('state', 0, 'series/0')], cut(0, 0)).then(() => (done = true))
      await lab.quiet()
      expect(done).toBe(false)
      release()
      await lab.settle(commit)
    },
  },
  {
    it: 'restore gives the newest value of each key that lives, and not the header',
    async run(lab) {
      const log = await lab.open()
      const { owned } = await lab.consume(log).term(0)
      await lab.settle(owned.commit([put('state', 0, 'a', '1'), put('state', 0, 'b', '1'), put('state', 0, 'c', '1')], cut(0, 0)))
      await lab.settle(owned.commit([put('state', 0, 'a', '2'), put('state', 0, 'b', null)], cut(0, 0)))
      await lab.settle(owned.commit([put('state', 0, 'd', '3'), put('state', 0, 'c', null), put('state', 0, 'c', '4')], cut(0, 0)))
      await lab.settle(log.close())
      const { rows } = await lab.consume(await lab.open()).term(0)
      expect([...rows].toSorted()).toEqual([['a', '2'], ['c', '4'], ['d', '3']])
    },
  },
  {
    it: 'restore after a crash finds the last commit: rows, place, incarnation',
    async run(lab) {
      const log = await lab.open()
      await lab.append(log, 'readings', 0, '0', '1', '2', '3', '4')
      const { owned } = await lab.consume(log).term(0)
      for (let n = 0; n < 5; n++) {
        await lab.settle(owned.commit([put('state', 0, 'a', `${n}`), put('state', 0, `n/${n}`)], cut(0, n, 'made now')))
      }
      await lab.settle(lab.harness.crash(log))
      const { rows, restored } = await lab.consume(await lab.open()).term(0)
      expect([...rows].toSorted()).toEqual([['a', '4'], ...[0, 1, 2, 3, 4].map((n) => [`n/${n}`, `n/${n}`])])
      expect([...restored.next]).toEqual([['readings/0', 4]])
      expect(restored).toMatchObject({ incarnation: 'made now', epoch: 2, recreated: false })
    },
  },
  {
    it: 'a key rewritten a thousand times is one row',
    async run(lab) {
      const log = await lab.open()
      const { owned } = await lab.consume(log).term(0)
      const value = 'x'.repeat(500)
      for (let n = 0; n < 100; n++) {
        const writes = Array.from({ length: 10 }, (_, k) => put('state', 0, 'a', `${value}${n * 10 + k}`))
        await lab.settle(owned.commit([...writes, put('state', 0, 'b', `${n}`)], cut(0, 0)))
      }
      await lab.settle(log.close())
      const { rows } = await lab.consume(await lab.open()).term(0)
      expect([...rows].toSorted()).toEqual([['a', `${value}999`], ['b', '99']])
    },
  },
  {
    it: 'a commit without writes moves the place alone',
    async run(lab) {
      const log = await lab.open()
      await lab.append(log, 'readings', 0, 'a', 'b')
      const { owned } = await lab.consume(log).term(0)
      await lab.settle(owned.commit([], cut(0, 2)))
      await lab.settle(log.close())
      const { restored } = await lab.consume(await lab.open()).term(0)
      expect(restored.next.get('readings/0')).toBe(2)
    },
  },
  {
    it: 'a key of the log’s own is refused and nothing of that commit is written',
    async run(lab) {
      const log = await lab.open()
      const { owned } = await lab.consume(log).term(0)
      const error = await lab.failure(owned.commit([put('incidents', 0, 'one'), put('state', 0, 'header/2')], cut(0, 0)))
      expect(error).toBeInstanceOf(Error)
      expect(await lab.values(log, 'incidents', 0)).toEqual([])
    },
  },
  {
    it: 'writes that fail while they are drawn leave nothing behind, and the owner may go on',
    async run(lab) {
      const log = await lab.open()
      const { owned } = await lab.consume(log).term(0)
      const broken = function* (): Iterable<Write> {
        yield put('incidents', 0, 'one')
        throw passing()
      }
      expect(await lab.failure(owned.commit(broken(), cut(0, 0)))).toMatchObject({ code: 'IO' })
      expect(await lab.values(log, 'incidents', 0)).toEqual([])
      await lab.settle(owned.commit([put('incidents', 0, 'two')], cut(0, 0)))
      expect(await lab.values(log, 'incidents', 0)).toEqual(['two'])
    },
  },
  {
    it: 'the commit of a fenced owner throws FENCED, again and again, and writes nothing in any topic',
    async run(lab) {
      const log = await lab.open()
      const { old, now } = await overtake(lab, log)
      const next = await now()
      for (let n = 0; n < 2; n++) {
        const late = [put('state', 0, 'late'), put('incidents', 0, 'late'), put('actions', 0, 'late')]
        const error = await lab.failure(old.owned.commit(late, cut(0, 9)))
        expect(error).toMatchObject({ code: 'FENCED', retriable: true })
      }
      await lab.settle(next.owned.commit([put('state', 0, 'good')], cut(0, 1)))
      await lab.settle(log.close())
      const again = await lab.open()
      expect(await lab.values(again, 'incidents', 0)).toEqual([])
      expect(await lab.values(again, 'actions', 0)).toEqual([])
      const { rows, restored } = await lab.consume(again).term(0)
      expect([...rows.keys()]).toEqual(['good'])
      expect(restored.next.get('readings/0')).toBe(1)
    },
  },
  {
    it: 'a late append of a fenced owner lands although its commit does not: its readers drop it by its epoch',
    async run(lab) {
      const log = await lab.open()
      const { old, now } = await overtake(lab, log)
      await now()
      expect(await lab.failure(old.owned.commit([put('incidents', 0, 'commit')], cut(0, 0)))).toMatchObject({ code: 'FENCED' })
      await lab.append(log, 'incidents', 0, 'append')
      expect(await lab.values(log, 'incidents', 0)).toEqual(['append'])
    },
  },
  {
    it: 'a commit that a takeover meets half way is there as a whole, or not at all and FENCED',
    async run(lab) {
      const log = await lab.open()
      const { old, now } = await overtake(lab, log)
      const writes = Array.from({ length: 300 }, (_, n) => put(n % 2 ? 'state' : 'incidents', 0, `late/${n}`))
      const overtaking = now()
      const error = await lab.failure(old.owned.commit(writes, cut(0, 9)))
      const next = await overtaking
      const incidents = await lab.all(log, 'incidents', 0)
      if (error) expect(error).toMatchObject({ code: 'FENCED' })
      expect([next.rows.size, incidents.length]).toEqual(error ? [0, 0] : [150, 150])
      await lab.quiet()
      const landed = (await lab.all(log, 'state', 0)).filter((one) => one.key !== 'header').map((one) => text(one.value))
      expect(landed.length).toBe(next.rows.size)
    },
  },
]
