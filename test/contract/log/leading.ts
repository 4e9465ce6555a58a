/** Log contract: leading a name, alone, and losing it. */
import { expect } from 'vitest'
import type { Case } from './lab.ts'
import { aborted, passing, put } from './lab.ts'
import type { Cut } from '../../../src/log/log.ts'

const nowhere: Cut = { next: new Map(), incarnation: '' }

export const leading: readonly Case[] = [
  {
    it: 'of two candidates one leads, and the other when the first has gone, with the next epoch',
    async run(lab) {
      const log = await lab.open()
      const first = lab.lead(log, 'respond')
      expect((await first.led()).restored.epoch).toBe(1)
      const second = lab.lead(log, 'respond')
      await lab.quiet()
      expect(second.terms).toEqual([])
      await first.finish()
      expect((await second.led()).restored.epoch).toBe(2)
    },
  },
  {
    it: 'at most one of two leaders can commit: the one that took over last',
    async run(lab) {
      const log = await lab.open()
      const first = lab.lead(log, 'respond')
      const old = await first.led()
      await lab.settle(old.owned.commit([put('leases', 0, 'lease/a', '1')], nowhere))
      await first.finish()
      const second = await lab.lead(log, 'respond').led()
      const error = await lab.failure(old.owned.commit([put('leases', 0, 'lease/a', 'late'), put('actions', 0, 'late')], nowhere))
      expect(error).toMatchObject({ code: 'FENCED' })
      expect([...second.rows]).toEqual([['lease/a', '1']])
      expect(await lab.values(log, 'actions', 0)).toEqual([])
      await lab.settle(second.owned.commit([put('actions', 0, 'good')], nowhere))
      expect(await lab.values(log, 'actions', 0)).toEqual(['good'])
    },
  },
  {
    it: 'respond finds in leases what was committed last, after a crash too',
    async run(lab) {
      const log = await lab.open()
      const { owned } = await lab.lead(log, 'respond').led()
      const place: Cut = { next: new Map([['incidents/1', 0]]), incarnation: '' }
      await lab.settle(owned.commit([put('leases', 0, 'lease/a'), put('leases', 0, 'outbox/1')], place))
      await lab.settle(owned.commit([put('leases', 0, 'outbox/1', null), put('actions', 0, 'line')], place))
      await lab.settle(lab.harness.crash(log))
      const again = await lab.open()
      const { rows, restored } = await lab.lead(again, 'respond').led()
      expect([...rows.keys()]).toEqual(['lease/a'])
      expect(restored).toMatchObject({ epoch: 2, recreated: false })
      expect([...restored.next]).toEqual([['incidents/1', 0]])
      expect(await lab.values(again, 'actions', 0)).toEqual(['line'])
    },
  },
  {
    it: 'names are led independently of each other and of the partitions',
    async run(lab) {
      const log = await lab.open()
      const partition = await lab.consume(log).term(0)
      const respond = await lab.lead(log, 'respond').led()
      const source = await lab.lead(log, 'source/field').led()
      await lab.settle(respond.owned.commit([put('leases', 0, 'a')], nowhere))
      await lab.settle(partition.owned.commit([put('state', 0, 'a')], nowhere))
      expect([respond, source, partition].map((term) => term.owned.signal.aborted)).toEqual([false, false, false])
    },
  },
  {
    it: 'a leader other than respond has no state, its epoch counts up, and to commit is a bug',
    async run(lab) {
      const log = await lab.open()
      const first = lab.lead(log, 'source/field')
      const { restored, rows, owned } = await first.led()
      expect([rows.size, restored.next.size]).toEqual([0, 0])
      expect(await lab.failure(owned.commit([], nowhere))).not.toHaveProperty('code')
      await first.finish()
      const { restored: after } = await lab.lead(log, 'source/field').led()
      expect(after.epoch).toBeGreaterThan(restored.epoch)
    },
  },
  {
    it: 'a leader whose run ends, or fails with something retriable, leads again after a pause',
    async run(lab) {
      const log = await lab.open()
      const holder = lab.lead(log, 'respond', {
        async restored({ restored, owned }) {
          if (restored.epoch === 2) throw passing()
          if (restored.epoch === 3) await aborted(owned.signal)
        },
      })
      expect((await holder.led(2)).restored.epoch).toBe(3)
      expect(holder.ended.state).toBe('pending')
      await holder.finish()
      expect(holder.ended.state).toBe('resolved')
    },
  },
  {
    it: 'anything else the run throws ends lead with it',
    async run(lab) {
      const log = await lab.open()
      const error = new Error('a bug')
      const holder = lab.lead(log, 'respond', {
        async restored() {
          throw error
        },
      })
      await lab.until(() => holder.ended.state === 'rejected')
      expect(holder.ended.error).toBe(error)
    },
  },
  {
    it: 'a stopped leader’s signal aborts, what it commits on its way out counts, and lead resolves after its run',
    async run(lab) {
      const log = await lab.open()
      const holder = lab.lead(log, 'respond', {
        async closing({ owned }) {
          await owned.commit([put('leases', 0, 'closing')], nowhere)
        },
      })
      const term = await holder.led()
      await holder.finish()
      expect([term.owned.signal.aborted, term.closed, holder.ended.state]).toEqual([true, 1, 'resolved'])
      expect([...(await lab.lead(log, 'respond').led()).rows.keys()]).toEqual(['closing'])
    },
  },
  {
    it: 'who leads is known by name, and is confirmed as leader until it has gone',
    async run(lab) {
      const log = await lab.open()
      expect(log.holder('respond')).toBeNull()
      const holder = lab.lead(log, 'respond')
      const source = lab.lead(log, 'source/field')
      const terms = [await holder.led(), await source.led()]
      expect([log.holder('respond'), log.holder('source/field'), log.holder('readings/0')]).toEqual([expect.any(String), log.holder('respond'), null])
      for (const { owned } of terms) await lab.settle(owned.confirmed())
      await holder.finish()
      await source.finish()
      expect([log.holder('respond'), log.holder('source/field')]).toEqual([null, null])
      for (const { owned } of terms) expect(await lab.failure(owned.confirmed())).toMatchObject({ code: 'FENCED' })
    },
  },
  {
    it: 'a candidate that is stopped while it waits resolves without leading',
    async run(lab) {
      const log = await lab.open()
      await lab.lead(log, 'respond').led()
      const waiting = lab.lead(log, 'respond')
      await lab.quiet()
      await waiting.finish()
      expect([waiting.ended.state, waiting.terms.length]).toEqual(['resolved', 0])
    },
  },
  {
    it: 'close ends leading: the run is told, and its last commit counts',
    async run(lab) {
      const log = await lab.open()
      const holder = lab.lead(log, 'respond', {
        async closing({ owned }) {
          await owned.commit([put('leases', 0, 'closing')], nowhere)
        },
      })
      await holder.led()
      await lab.settle(log.close())
      expect(holder.ended.state).toBe('resolved')
      expect((await lab.lead(await lab.open(), 'respond').led()).rows.has('closing')).toBe(true)
    },
  },
  {
    it: 'a crashed leader’s name goes to another process that waits',
    needs: ['many processes'],
    async run(lab) {
      const first = await lab.open()
      const second = await lab.open()
      await lab.lead(first, 'respond').led()
      const waiting = lab.lead(second, 'respond')
      await lab.quiet()
      expect(waiting.terms).toEqual([])
      await lab.settle(lab.harness.crash(first))
      expect((await waiting.led()).restored.epoch).toBe(2)
    },
  },
]
