/** Who owns and leads in the memory log when tests decide it: owners that don't know they are none, two leaders for a moment. */
import { describe, expect, it } from 'vitest'
import type { Cut } from '../../src/log/log.ts'
import { cut, put, record, text, watch } from '../contract/log/lab.ts'
import { append, setUp } from './memory-setup.ts'

const nowhere: Cut = { next: new Map(), incarnation: '' }

describe('owners of the memory log', () => {
  it('an owner that is not told goes on reading and appending, but its commits are fenced', async () => {
    const { cluster, lab } = setUp()
    const [first, second] = [cluster.connect(), cluster.connect()]
    const old = lab.consume(first)
    const term = await old.term(0)
    const taken = lab.consume(second)
    cluster.assign(0, second, { notice: false })
    expect((await taken.term(0)).restored.epoch).toBe(2)
    await append(first, 'a')
    await lab.until(() => term.slices.length === 1)
    await first.append('incidents', 0, [record('', 'late')])
    expect(term.owned.signal.aborted).toBe(false)
    let drawn = 0
    const writes = (function* () {
      drawn++
      yield put('state', 0, 'late')
    })()
    expect(await lab.failure(term.owned.commit(writes, cut(0, 1)))).toMatchObject({ code: 'FENCED' })
    expect([drawn, cluster.bounds('incidents', 0).high]).toEqual([0, 1])
    cluster.notice(first)
    await lab.until(() => term.closed === 1)
    expect([term.owned.signal.aborted, old.terms.length]).toEqual([true, 1])
  })

  it('an owner that is told closes its task, commit included, and the next takes over at once', async () => {
    const { cluster, lab } = setUp({ takeoverMs: 3_600_000 })
    const [first, second] = [cluster.connect(), cluster.connect()]
    await lab.consume(first, { closing: ({ owned }) => owned.commit([put('state', 0, 'closing')], cut(0, 0)) }).term(0)
    const taken = lab.consume(second)
    cluster.assign(0, second)
    expect([...(await taken.term(0)).rows.keys()]).toEqual(['closing'])
  })

  it('an owner that is told and does not let go is taken over from after the delay', async () => {
    const { cluster, lab } = setUp({ takeoverMs: 1_000 })
    const [first, second] = [cluster.connect(), cluster.connect()]
    await lab.consume(first, { closing: () => new Promise(() => {}) }).term(0)
    const taken = lab.consume(second)
    await lab.harness.advance(0)
    cluster.assign(0, second)
    await lab.harness.advance(999)
    expect(taken.terms).toEqual([])
    await lab.harness.advance(1)
    expect(taken.terms.length).toBe(1)
  })

  it('a partition given to a process that crashes goes to another that waits', async () => {
    const { cluster, lab } = setUp()
    const [first, second] = [cluster.connect(), cluster.connect()]
    const waiting = lab.consume(first)
    await waiting.term(0)
    const taken = lab.consume(second)
    cluster.assign(0, second)
    await taken.term(0)
    second.crash()
    expect((await waiting.term(0, 1)).restored.epoch).toBe(3)
  })

  it.each(['appended', 'flushed'] as const)('a commit fenced half way writes nothing (visible when %s)', async (visible) => {
    const { faults, cluster, lab } = setUp({ visible })
    const [first, second] = [cluster.connect(), cluster.connect()]
    const { owned } = await lab.consume(first).term(0)
    faults.latency = ({ kind, process }) => (kind === 'commit' && process === first.name ? 100 : 0)
    const commit = watch(owned.commit([put('state', 0, 'late'), put('incidents', 0, 'late')], cut(0, 9)))
    await lab.harness.advance(50)
    expect(commit.state).toBe('pending')
    const taken = lab.consume(second)
    cluster.assign(0, second, { notice: false })
    const term = await taken.term(0)
    await lab.until(() => commit.state !== 'pending')
    expect(commit.error).toMatchObject({ code: 'FENCED' })
    expect([term.rows.size, cluster.bounds('incidents', 0).high]).toEqual([0, 0])
    expect(cluster.dump('state', 0).map((one) => one.key)).toEqual(['header', 'header'])
  })

  it('a takeover waits for what the old owner has landed but not flushed', async () => {
    const { faults, cluster, lab } = setUp()
    const [first, second] = [cluster.connect(), cluster.connect()]
    const { owned } = await lab.consume(first).term(0)
    faults.latency = ({ kind }) => (kind === 'flush' ? 100 : 0)
    const commit = watch(owned.commit([put('state', 0, 'row')], cut(0, 0)))
    await lab.harness.advance(1)
    let doneAtRestore = ''
    const taken = lab.consume(second, { fenced: async () => void (doneAtRestore = commit.state) })
    cluster.assign(0, second, { notice: false })
    expect([...(await taken.term(0)).rows.keys()]).toEqual(['row'])
    expect(doneAtRestore).toBe('resolved')
  })

  it('two may lead for a moment, and the later one alone commits', async () => {
    const { cluster, lab } = setUp()
    const [first, second] = [cluster.connect(), cluster.connect()]
    const old = await lab.lead(first, 'respond').led()
    const taken = lab.lead(second, 'respond')
    cluster.assignLeader('respond', second, { notice: false })
    const term = await taken.led()
    expect([old.owned.signal.aborted, term.owned.signal.aborted]).toEqual([false, false])
    expect(await lab.failure(old.owned.commit([put('actions', 0, 'late')], nowhere))).toMatchObject({ code: 'FENCED' })
    await lab.settle(term.owned.commit([put('actions', 0, 'good')], nowhere))
    expect(cluster.dump('actions', 0).map((one) => text(one.value))).toEqual(['good'])
  })

  it('another number of partitions or another key is refused at connect', () => {
    const { cluster } = setUp({ partitions: 2 })
    expect(() => cluster.connect({ partitions: 3 })).toThrow(expect.objectContaining({ code: 'PARTITIONS_CHANGED' }))
    expect(() => cluster.connect({ key: 'site' })).toThrow(expect.objectContaining({ code: 'PARTITIONS_CHANGED' }))
  })

  it('state that was made with other partitions is refused at the takeover', async () => {
    const made = setUp({ partitions: 2 })
    await made.lab.consume(made.cluster.connect()).term(0)
    const { cluster, lab } = setUp({ partitions: 1 })
    cluster.load('state', 0, made.cluster.dump('state', 0))
    const holder = lab.consume(cluster.connect())
    await lab.until(() => holder.ended.state === 'rejected')
    expect(holder.ended.error).toMatchObject({ code: 'PARTITIONS_CHANGED' })
  })
})
