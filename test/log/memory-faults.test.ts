/** What the memory log can be told to do wrong: crashes, half writes, failing flushes; and what it keeps of its records. */
import { describe, expect, it } from 'vitest'
import { settle } from '../clock.ts'
import { cut, put, record, recordsOf, text, watch } from '../contract/log/lab.ts'
import { append, setUp } from './memory-setup.ts'

describe('a crash of the memory log', () => {
  it('loses what was not flushed, and its offsets are used again', async () => {
    const { faults, cluster, values } = setUp()
    const log = cluster.connect()
    await (await append(log, 'a')).flushed
    faults.latency = ({ kind }) => (kind === 'flush' ? 10 : 0)
    await append(log, 'b')
    log.crash()
    expect(values()).toEqual(['a'])
    expect((await append(cluster.connect(), 'c')).offset).toBe(1)
  })

  it('leaves as many whole groups as the faults say, from the front', async () => {
    const { faults, cluster, values } = setUp()
    faults.latency = ({ kind }) => (kind === 'flush' ? 10 : 0)
    faults.survivors = (groups) => groups - 1
    const log = cluster.connect()
    await append(log, 'a', 'b')
    await append(log, 'c', 'd')
    await append(log, 'e', 'f')
    log.crash()
    expect(values()).toEqual(['a', 'b', 'c', 'd'])
  })

  it.each([
    [1, ['incident'], ['1']],
    [0, [], []],
  ])('leaves %i commits: all its topics or none', async (survivors, incidents, rows) => {
    const { faults, cluster, lab } = setUp()
    const log = cluster.connect()
    const { owned } = await lab.consume(log).term(0)
    faults.latency = ({ kind }) => (kind === 'flush' ? 10 : 0)
    faults.survivors = () => survivors
    void owned.commit([put('state', 0, 'row', '1'), put('incidents', 0, 'incident')], cut(0, 0))
    await lab.harness.advance(5)
    log.crash()
    expect(cluster.dump('incidents', 0).map((one) => text(one.value))).toEqual(incidents)
    const next = await lab.consume(cluster.connect()).term(0)
    expect([...next.rows.values()]).toEqual(rows)
  })

  it('brings back the older value of a key whose newer one is lost', async () => {
    const { faults, cluster, lab } = setUp()
    const log = cluster.connect()
    const { owned } = await lab.consume(log).term(0)
    faults.latency = ({ kind }) => (kind === 'flush' ? 10 : 0)
    const older = watch(owned.commit([put('state', 0, 'row', 'older')], cut(0, 0)))
    void owned.commit(Array.from({ length: 300 }, () => put('state', 0, 'row', 'lost')), cut(0, 0))
    await lab.harness.advance(15)
    expect(older.state).toBe('resolved') // and the partition compacted with it
    log.crash()
    expect([...(await lab.consume(cluster.connect()).term(0)).rows]).toEqual([['row', 'older']])
  })

  it('leaves every promise of the process unsettled, and every later call', async () => {
    const { faults, cluster, lab } = setUp()
    faults.latency = () => 10
    const log = cluster.connect()
    const holder = lab.consume(log)
    const before = [append(log, 'a'), log.flushed(), log.read('readings', 0, 0, 1)].map((call) => watch<unknown>(call))
    await lab.harness.advance(5)
    log.crash()
    const never = new AbortController().signal
    const calls = [append(log, 'b'), log.flushed(), log.bounds('readings', 0), log.close(), log.lead('x', async () => {}, never)]
    const after = calls.map((call) => watch<unknown>(call))
    await lab.harness.advance(60_000)
    expect([...before, ...after, holder.ended].map((one) => one.state)).toEqual(Array.from({ length: 9 }, () => 'pending'))
    expect(cluster.bounds('readings', 0).high).toBe(0)
  })

  it('can come from a fault: in the very moment an append would land, or a flush complete', async () => {
    const { faults, cluster, values } = setUp()
    for (const moment of ['append', 'flush']) {
      const log = cluster.connect()
      faults.fail = ({ kind }) => {
        if (kind === moment) log.crash()
        return undefined
      }
      const appended = watch(append(log, moment))
      await settle()
      expect([appended.state === 'pending' || moment === 'flush', values()]).toEqual([true, []])
    }
  })

  it('in the middle of a flush leaves the others’ records to the next flush', async () => {
    const { faults, cluster, lab, values } = setUp()
    const [first, second] = [cluster.connect(), cluster.connect()]
    faults.latency = ({ kind }) => (kind === 'flush' ? 10 : 0)
    faults.fail = ({ kind }) => {
      if (kind !== 'flush' || !second.live) return undefined
      second.crash()
      return 'IO'
    }
    const before = await append(first, 'before')
    await append(second, 'lost')
    await lab.settle(before.flushed)
    expect(values()).toEqual(['before'])
  })

  it('ends what the process had asked for and not yet got', async () => {
    const { faults, cluster, lab, values } = setUp()
    let asked = 0
    faults.latency = ({ kind }) => (kind === 'append' ? 10 : 0)
    faults.fail = () => void asked++
    const log = cluster.connect()
    void append(log, 'a')
    log.crash()
    await lab.harness.advance(20)
    expect([asked, values()]).toEqual([0, []])
  })

  it('leaves what others had appended before', async () => {
    const { faults, cluster, values } = setUp()
    faults.latency = ({ kind }) => (kind === 'flush' ? 10 : 0)
    const [first, second] = [cluster.connect(), cluster.connect()]
    await append(first, 'before')
    await append(second, 'lost')
    second.crash()
    expect(values()).toEqual(['before'])
  })

  it('is told to those who read or derived what is lost: they start anew', async () => {
    const { faults, cluster, lab } = setUp()
    const [writer, other] = [cluster.connect(), cluster.connect()]
    const holder = lab.consume(other)
    const term = await holder.term(0)
    const tail = lab.tail(other, 'readings')
    faults.latency = ({ kind }) => (kind === 'flush' ? 100 : 0)
    await append(writer, 'lost')
    await lab.until(() => term.slices.length + tail.slices.length === 2)
    const derived = watch((await other.append('incidents', 0, [record('', 'derived')])).flushed)
    writer.crash()
    await lab.until(() => tail.ended.state === 'rejected')
    expect(tail.ended.error).toMatchObject({ code: 'RECREATED' })
    expect(derived.error).toMatchObject({ code: 'IO' })
    expect(await lab.failure(term.owned.commit([], cut(0, 1)))).toMatchObject({ code: 'FENCED' })
    expect((await holder.term(0, 1)).restored).toMatchObject({ epoch: 2 })
    expect(term.closed).toBe(0)
  })

  it('is noticed by those who wait after the takeover delay', async () => {
    const { cluster, lab } = setUp({ takeoverMs: 1_000 })
    const [first, second] = [cluster.connect(), cluster.connect()]
    await lab.lead(first, 'respond').led()
    const waiting = lab.lead(second, 'respond')
    first.crash()
    await lab.harness.advance(999)
    expect(waiting.terms).toEqual([])
    await lab.harness.advance(1)
    expect(waiting.terms.length).toBe(1)
  })
})

describe('a failing memory log', () => {
  it.each(['IO', 'DISK_FULL'] as const)('loses all that was not flushed when a flush fails with %s, and goes on', async (failure) => {
    const { faults, cluster, values } = setUp()
    const log = cluster.connect()
    faults.fail = ({ kind }) => (kind === 'flush' ? failure : undefined)
    const appended = await Promise.all([append(log, 'a'), append(log, 'b')])
    for (const { flushed } of appended) await expect(flushed).rejects.toMatchObject({ code: failure, retriable: true })
    expect(values()).toEqual([])
    delete faults.fail
    const { offset, flushed } = await append(log, 'c')
    await flushed
    expect([offset, values()]).toEqual([0, ['c']])
  })

  it('stores a prefix of whole groups when a flush is half written', async () => {
    const { faults, cluster, values } = setUp()
    const log = cluster.connect()
    faults.fail = ({ kind }) => (kind === 'flush' ? 'HALF' : undefined)
    faults.survivors = () => 1
    const [first, second] = await Promise.all([append(log, 'a'), append(log, 'b', 'c')])
    await first.flushed
    await expect(second.flushed).rejects.toMatchObject({ code: 'IO' })
    expect(values()).toEqual(['a'])
  })

  it('appends nothing when an append fails', async () => {
    const { faults, cluster, values } = setUp()
    faults.fail = ({ kind }) => (kind === 'append' ? 'DISK_FULL' : undefined)
    await expect(append(cluster.connect(), 'a')).rejects.toMatchObject({ code: 'DISK_FULL' })
    expect(values()).toEqual([])
  })

  it('writes nothing when a commit fails, and the owner may try again', async () => {
    const { faults, cluster, lab } = setUp()
    const { owned } = await lab.consume(cluster.connect()).term(0)
    faults.fail = ({ kind }) => (kind === 'commit' ? 'IO' : undefined)
    expect(await lab.failure(owned.commit([put('incidents', 0, 'one')], cut(0, 0)))).toMatchObject({ code: 'IO' })
    expect(cluster.bounds('incidents', 0).high).toBe(0)
    delete faults.fail
    await lab.settle(owned.commit([put('incidents', 0, 'one')], cut(0, 0)))
    expect(cluster.bounds('incidents', 0).high).toBe(1)
  })

  it.each([
    ['DOUBT_STORED', ['row']],
    ['DOUBT_LOST', []],
  ] as const)('leaves a commit in doubt (%s) until the state is taken over again', async (failure, rows) => {
    const { faults, cluster, lab } = setUp()
    const log = cluster.connect()
    const holder = lab.consume(log)
    const { owned } = await holder.term(0)
    faults.fail = ({ kind }) => (kind === 'commit' ? failure : undefined)
    expect(await lab.failure(owned.commit([put('state', 0, 'row')], cut(0, 0)))).toMatchObject({ code: 'IN_DOUBT', retriable: true })
    delete faults.fail
    expect(await lab.failure(owned.commit([], cut(0, 0)))).toMatchObject({ code: 'FENCED' })
    await holder.finish()
    expect([...(await lab.consume(log).term(0)).rows.keys()]).toEqual(rows)
  })

  it('takes a partition over again when its read fails', async () => {
    const { faults, cluster, lab } = setUp()
    const log = cluster.connect()
    const holder = lab.consume(log)
    await holder.term(0)
    let failures = 1
    faults.fail = ({ kind }) => (kind === 'read' && failures-- > 0 ? 'IO' : undefined)
    await append(log, 'a')
    const second = await holder.term(0, 1)
    await lab.until(() => second.slices.length === 1)
  })

  it('keeps the order of appends however long each takes', async () => {
    const { faults, cluster, lab, values } = setUp()
    const latencies = [30, 0, 20, 5]
    faults.latency = ({ kind }) => (kind === 'append' ? latencies.shift()! : 0)
    const log = cluster.connect()
    await lab.settle(Promise.all(['a', 'b', 'c', 'd'].map((value) => append(log, value))))
    expect(values()).toEqual(['a', 'b', 'c', 'd'])
  })

  it('takes as long for each append as the faults say', async () => {
    const { faults, cluster, lab, values } = setUp()
    const latencies = [10, 30]
    faults.latency = ({ kind }) => (kind === 'append' ? latencies.shift()! : 0)
    const log = cluster.connect()
    const both = Promise.all([append(log, 'a'), append(log, 'b')])
    await lab.harness.advance(29)
    expect(values()).toEqual(['a'])
    await lab.settle(both)
    expect(values()).toEqual(['a', 'b'])
  })
})

describe('records of the memory log', () => {
  it('seen only when flushed, where the log says so: a crash then disturbs no reader', async () => {
    const { faults, cluster, lab, values } = setUp({ visible: 'flushed' })
    const [writer, other] = [cluster.connect(), cluster.connect()]
    faults.latency = ({ kind }) => (kind === 'flush' ? 100 : 0)
    const tail = lab.tail(other, 'readings')
    const lost = watch(append(writer, 'lost'))
    await lab.harness.advance(50)
    expect([lost.state, values()]).toEqual(['pending', []])
    writer.crash()
    await lab.settle(append(other, 'a'))
    await lab.until(() => tail.slices.length === 1)
    expect([lost.state, values()]).toEqual(['pending', ['a']])
  })

  it('are cut into slices as the policy says', async () => {
    const { cluster, lab } = setUp({ slices: () => 1 })
    const log = cluster.connect()
    await append(log, 'a', 'b', 'c')
    const term = await lab.consume(log).term(0)
    await lab.until(() => recordsOf(term.slices).length === 3)
    expect(term.slices.map((slice) => slice.records.length)).toEqual([1, 1, 1])
  })

  it('that are superseded are dropped from the state', async () => {
    const { cluster, lab } = setUp()
    const { owned } = await lab.consume(cluster.connect()).term(0)
    for (let n = 0; n < 1_000; n++) await lab.settle(owned.commit([put('state', 0, 'row', `${n}`)], cut(0, 0)))
    expect(cluster.dump('state', 0).length).toBeLessThan(300)
  })

  it('have append times that never go back, though the clock does', async () => {
    const { clock, cluster } = setUp()
    const log = cluster.connect()
    await append(log, 'a')
    clock.step(-5_000)
    await append(log, 'b')
    const [first, second] = cluster.dump('readings', 0)
    expect(second!.time).toBe(first!.time)
  })

  it('loaded from a dump keep offsets and append times', async () => {
    const { clock, cluster } = setUp()
    const log = cluster.connect()
    for (const value of ['a', 'b']) {
      await append(log, value)
      await clock.advance(7)
    }
    const copy = setUp().cluster
    copy.load('readings', 0, cluster.dump('readings', 0))
    expect(copy.dump('readings', 0)).toEqual(cluster.dump('readings', 0))
  })
})
