/** Commits in a real Kafka: fenced, whole or not at all, and never in silence. */
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { PipelineError } from '../../../src/core/errors.ts'
import { openFeeds } from '../../../src/log/kafka/feeds.ts'
import type { Feeds } from '../../../src/log/kafka/feeds.ts'
import { openStateStore } from '../../../src/log/kafka/state-store.ts'
import type { TransactorTuning } from '../../../src/log/kafka/transactor.ts'
import type { StoredRecord, Topic, Write } from '../../../src/log/log.ts'
import type { LogFields } from '../../../src/ops/logger.ts'
import { put } from '../journal/rig.ts'
import { withKafka } from '../../parts/suites.ts'
import type { ReadingRig } from './reading-rig.ts'
import { never, values } from './reading-rig.ts'
import { Line, shareRig } from './writing-rig.ts'

const ends: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

/** Long enough for the end of the transaction before, and no more. */
const BRIEF = { retryMs: 150 }

type Store = ReturnType<typeof openStateStore>

/** One partition of each topic. */
interface Place {
  readonly at: number
  readonly feeds: Feeds
  /** Lines of the stores that somebody should read. */
  readonly loud: readonly string[]
  store(line?: Line, tuning?: Partial<TransactorTuning>, partition?: number): Store
  /** Fenced. */
  owner(line?: Line, tuning?: Partial<TransactorTuning>, partition?: number): Promise<Store>
  rows(store: Store): Promise<Record<string, string>>
  all(topic: Topic, partition?: number): Promise<StoredRecord[]>
  /** What a commit holds as `takeover.ts` makes it: the header last. */
  commit(n: string, ...more: Write[]): Write[]
  /** A page that no compression makes smaller. */
  page(key: string, bytes?: number): Write
}

/** Each test has a partition of its own, and the next. */
const used = new WeakMap<ReadingRig, number>()

async function open(rig: ReadingRig): Promise<Place> {
  const at = used.get(rig) ?? 0
  used.set(rig, at + 2)
  const feeds = openFeeds(rig.options)
  ends.push(() => feeds.close())
  const loud: string[] = []
  const say = (_: LogFields, message: string) => void loud.push(message)
  const quiet = () => undefined
  const store = (line = new Line(), tuning = {}, partition = at) => {
    const options = { ...rig.options, socketFactory: line.open, logger: { debug: quiet, info: quiet, warn: say, error: say } }
    const made = openStateStore({ options, feeds, topic: 'state', partition, transactionalId: `${options.prefix}detect-${partition}`, tuning })
    ends.push(async () => {
      line.mend()
      await made.close()
    })
    return made
  }
  return {
    at,
    feeds,
    loud,
    store,
    async owner(...wanted) {
      const made = store(...wanted)
      await made.fence()
      return made
    },
    async rows(from) {
      const rows: Record<string, string> = {}
      await from.read((key, value) => {
        expect(rows).not.toHaveProperty(key)
        rows[key] = Buffer.from(value).toString()
      })
      return rows
    },
    async all(topic, partition = at) {
      const records: StoredRecord[] = []
      await feeds.readAll(topic, partition, (one) => records.push(one), never)
      return records
    },
    commit: (n, ...more) => [put('state', at, 'page', n), put('incidents', at, n), ...more, put('state', at, 'header', n)],
    page: (key, bytes = 33_000) => ({ topic: 'state', partition: at, key, value: randomBytes(bytes) }),
  }
}

const failure = (promise: Promise<unknown>): Promise<{ code: string; message: string }> =>
  promise.then(() => expect.fail('it did not fail'), (error: { code: string; message: string }) => error)

withKafka('a state store', (kafka) => {
  let rig: ReadingRig

  beforeAll(async () => (rig = await shareRig(kafka.brokers, ['readings', 'incidents', 'actions', 'state'])), 60_000)
  afterAll(() => rig.close())

  it('commits to several topics at once, each in the order drawn, and a new owner reads the newest of each key that lives', async () => {
    const { owner, rows, all, at } = await open(rig)
    const first = await owner()
    expect(await rows(first)).toEqual({})
    await first.transact([put('state', at, 'a', '1'), put('state', at, 'b', '1'), put('actions', at + 1, 'line'), put('state', at, 'header', '1')])
    await first.transact([put('state', at, 'a', null), put('state', at, 'b', '2'), put('state', at, 'c', null), put('state', at, 'header', '2')])
    await first.transact([put('state', at, 'b', null), put('state', at, 'b', '3'), put('actions', at + 1, 'more'), put('state', at, 'header', '3')])
    expect(await rows(await owner())).toEqual({ b: '3', header: '3' })
    expect(values(await all('actions', at + 1))).toEqual(['line', 'more'])
    expect((await all('state')).map(({ key }) => key)).toEqual(['a', 'b', 'header', 'a', 'b', 'c', 'header', 'b', 'b', 'header'])
  })

  it('of a superseded owner throws FENCED, again and again, and writes nothing in any topic', async () => {
    const { owner, rows, all, commit } = await open(rig)
    const old = await owner()
    await old.transact(commit('1'))
    const next = await owner()
    for (let n = 0; n < 2; n++) expect(await failure(old.transact(commit('late')))).toMatchObject({ code: 'FENCED', retriable: true })
    await next.transact(commit('2'))
    expect(values(await all('incidents'))).toEqual(['1', '2'])
    expect(await rows(await owner())).toEqual({ page: '2', header: '2' })
  })

  it('does not say that an empty commit was made: not to an owner, and not to one that was fenced', async () => {
    const { owner, commit } = await open(rig)
    const old = await owner()
    await expect(old.transact([])).rejects.toThrow('a commit writes something')
    await old.transact(commit('the owner may go on'))
    await owner()
    await expect(old.transact([])).rejects.toThrow('a commit writes something')
  })

  it('that is taken over in an open transaction is FENCED, and what it had sent is never seen', async () => {
    const { owner, rows, all, commit } = await open(rig)
    const line = new Line()
    const old = await owner(line)
    await old.transact(commit('1'))
    const held = line.meet('produce', 'hold the answer')
    const torn = failure(old.transact(commit('torn')))
    await held
    const next = await owner()
    expect(await rows(next)).toEqual({ page: '1', header: '1' })
    line.mend()
    expect(await torn).toMatchObject({ code: 'FENCED' })
    await next.transact(commit('2'))
    expect(values(await all('incidents'))).toEqual(['1', '2'])
    expect(await failure(old.transact(commit('late')))).toMatchObject({ code: 'FENCED' })
  })

  it('shows nothing of a commit before it is made, and then all of it', async () => {
    const { feeds, owner, all, at, commit } = await open(rig)
    const line = new Line()
    const store = await owner(line)
    const held = line.meet('endTxn', 'lose the request', 1_000)
    const made = store.transact(commit('1'))
    await held
    const feed = feeds.open('incidents', at, 0)
    const early = new AbortController()
    const seen = feed.next(early.signal)
    await feeds.bounds('incidents', at).then(({ high }) => expect(high).toBe(1))
    early.abort()
    expect(await seen).toBeNull()
    line.mend()
    await made
    expect(values(await all('incidents'))).toEqual(['1'])
    feed.close()
  })

  it('goes on after writes that failed while they were drawn, of which nothing is left', async () => {
    const { owner, rows, all, at, commit, page } = await open(rig)
    const store = await owner()
    const broken = function* (): Iterable<Write> {
      for (let n = 0; n < 40; n++) yield page(`${n}`)
      yield put('incidents', at, 'torn')
      throw new PipelineError('IO', 'made by the test')
    }
    expect(await failure(store.transact(broken()))).toMatchObject({ code: 'IO', message: 'made by the test' })
    await store.transact(commit('1'))
    expect(values(await all('incidents'))).toEqual(['1'])
    expect(await rows(await owner())).toEqual({ page: '1', header: '1' })
  })

  it('writes nothing to readings, and nothing of a commit that asks for it', async () => {
    const { owner, all, at, commit } = await open(rig)
    const store = await owner()
    await expect(store.transact(commit('1', put('readings', at, 'verdict')))).rejects.toThrow('a commit writes nothing to readings')
    await store.transact(commit('2'))
    expect(values(await all('incidents'))).toEqual(['2'])
    expect(await all('readings')).toEqual([])
  })

  it('draws as it sends, at most 900 KB of one partition each', async () => {
    const { owner, rows, at, page } = await open(rig)
    const line = new Line()
    const store = await owner(line)
    let drawn = 0
    const writes = function* (): Iterable<Write> {
      for (; drawn < 100; drawn++) yield page(`${drawn}`)
      yield put('state', at, 'header', '1')
    }
    const held = line.meet('produce', 'hold the answer')
    const made = store.transact(writes())
    await held
    expect(drawn).toBe(27)
    line.mend()
    await made
    expect(line.count('produce')).toBe(4)
    expect(Object.keys(await rows(store)).length).toBe(101)
  })

  it('makes commits that are asked for at once one after the other', async () => {
    const { owner, all, commit } = await open(rig)
    const store = await owner()
    const names = Array.from({ length: 20 }, (_, n) => `${n}`)
    await Promise.all(names.map((n) => store.transact(commit(n))))
    expect(values(await all('incidents'))).toEqual(names)
  })

  it("waits for the end of the transaction before, of which nobody is told", async () => {
    const { loud, owner, commit } = await open(rig)
    const line = new Line()
    const store = await owner(line)
    for (let n = 0; n < 30; n++) await store.transact(commit(`${n}`))
    // Some were asked for again: the broker was not ready yet.
    expect(line.count('addPartitions')).toBeGreaterThan(30)
    expect(loud).toEqual([])
  })

  it('two owners of two partitions do not disturb each other', async () => {
    const { owner, rows, at, commit } = await open(rig)
    const [first, second] = await Promise.all([owner(), owner(new Line(), {}, at + 1)])
    const other = (n: string): Write[] => [put('state', at + 1, 'page', n), put('incidents', at, `of 1: ${n}`), put('state', at + 1, 'header', n)]
    for (let n = 0; n < 5; n++) await Promise.all([first.transact(commit(`${n}`)), second.transact(other(`${n}!`))])
    expect(await rows(await owner())).toEqual({ page: '4', header: '4' })
    expect(await rows(second)).toEqual({ page: '4!', header: '4!' })
  })

  it.each([
    ['produce', 'lose the answer'], ['produce', 'lose the request'], ['endTxn', 'lose the answer'], ['endTxn', 'lose the request'],
    ['addPartitions', 'lose the answer'], ['initProducerId', 'lose the answer'],
  ] as const)('asks again when it has to for a %s to %s, and commits once', async (api, fault) => {
    const { store, owner, rows, all, commit } = await open(rig)
    const line = new Line()
    const own = store(line)
    if (api === 'initProducerId') void line.meet(api, fault)
    await own.fence()
    await own.transact(commit('1'))
    if (api !== 'initProducerId') void line.meet(api, fault)
    await own.transact(commit('2'))
    await own.transact(commit('3'))
    expect(values(await all('incidents'))).toEqual(['1', '2', '3'])
    expect(await rows(await owner())).toEqual({ page: '3', header: '3' })
  })

  it('whose send has an unknown fate undoes the commit, and is no owner any more: its next batch could pass for the lost one', async () => {
    const { owner, rows, all, commit } = await open(rig)
    const line = new Line()
    const store = await owner(line, BRIEF)
    await store.transact(commit('1'))
    void line.meet('produce', 'lose the answer', 1_000)
    expect(await failure(store.transact(commit('2')))).toMatchObject({ code: 'IO', message: expect.stringContaining('nothing was committed') })
    expect(await failure(store.transact(commit('3')))).toMatchObject({ code: 'FENCED' })
    const next = await owner()
    expect(await rows(next)).toEqual({ page: '1', header: '1' })
    await next.transact(commit('4'))
    expect(values(await all('incidents'))).toEqual(['1', '4'])
  })

  it('goes on after a send that the broker refused, and names what is to be changed', async () => {
    const { owner, rows, at, commit, page } = await open(rig)
    const store = await owner()
    const error = await failure(store.transact([put('incidents', at, 'small'), page('large', 1_200_000), put('state', at, 'header', '1')]))
    expect(error.code).toBe('BAD_CONFIG')
    for (const part of ['1200037 bytes', `${rig.name('state')}/${at}`, 'max.message.bytes']) expect(error.message).toContain(part)
    await store.transact(commit('2'))
    expect(await rows(await owner())).toEqual({ page: '2', header: '2' })
  })

  it('is IN_DOUBT when nothing says whether the commit was made; the next owner finds it whole, or nothing of it', async () => {
    const { owner, rows, all, commit } = await open(rig)
    for (const fault of ['lose the answer', 'lose the request'] as const) {
      const line = new Line()
      const store = await owner(line, BRIEF)
      await store.transact(commit(`before ${fault}`))
      void line.meet('endTxn', fault, 1_000)
      expect(await failure(store.transact(commit(fault)))).toMatchObject({ code: 'IN_DOUBT', retriable: true })
      expect(await failure(store.transact(commit('late')))).toMatchObject({ code: 'FENCED' })
      const found = fault === 'lose the answer' ? fault : `before ${fault}`
      expect(await rows(await owner())).toEqual({ page: found, header: found })
    }
    expect(values(await all('incidents'))).toEqual(['before lose the answer', 'lose the answer', 'before lose the request'])
  })

  it('is IN_DOUBT, and not FENCED, when a successor came between two askings for the end', async () => {
    const { owner, rows, commit } = await open(rig)
    const line = new Line()
    const store = await owner(line)
    const lost = line.meet('endTxn', 'lose the answer')
    void line.meet('endTxn', 'lose the request', 1_000)
    const doubtful = failure(store.transact(commit('1')))
    await lost
    const next = await owner()
    line.mend()
    expect(await doubtful).toMatchObject({ code: 'IN_DOUBT' })
    // It was made all the same.
    expect(await rows(next)).toEqual({ page: '1', header: '1' })
  })

  it('is IN_DOUBT when a commit failed and nothing says whether it is undone', async () => {
    const { owner, rows, commit } = await open(rig)
    const line = new Line()
    const store = await owner(line, BRIEF)
    void line.meet('produce', 'lose the answer', 1_000)
    void line.meet('endTxn', 'lose the request', 1_000)
    expect(await failure(store.transact(commit('1')))).toMatchObject({ code: 'IN_DOUBT' })
    expect(await failure(store.transact(commit('2')))).toMatchObject({ code: 'FENCED' })
    expect(await rows(await owner())).toEqual({})
  })

  it('that lost all its connections inside a transaction makes the commit on new ones', async () => {
    const { owner, rows, at, page } = await open(rig)
    const line = new Line()
    const store = await owner(line)
    const writes = function* (): Iterable<Write> {
      for (let n = 0; n < 60; n++) {
        if (n === 40) line.cut()
        yield page(`${n}`)
      }
      yield put('state', at, 'header', '1')
    }
    await store.transact(writes())
    expect(Object.keys(await rows(await owner())).length).toBe(61)
  })

  it('that was closed is CLOSED, and leaves no connection', async () => {
    const { owner, commit } = await open(rig)
    const line = new Line()
    const store = await owner(line)
    await store.transact(commit('1'))
    await store.close()
    await store.close()
    for (const closed of [() => store.transact(commit('2')), () => store.fence(), () => store.read(() => undefined)]) {
      expect(await failure(closed())).toMatchObject({ code: 'CLOSED' })
    }
    await expect.poll(() => line.sockets.size).toBe(0)
  })

  it('tells the bounds of any topic', async () => {
    const { owner, at } = await open(rig)
    const store = await owner()
    expect(await store.bounds('incidents', at)).toEqual({ low: 0, high: 0 })
  })
})
