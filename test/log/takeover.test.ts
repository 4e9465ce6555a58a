/** The takeover's order and what its header says, on a store that writes down what is asked of it. */
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/core/errors.ts'
import { decodeHeader, encodeHeader } from '../../src/log/header.ts'
import type { Header } from '../../src/log/header.ts'
import type { Cut, Topic, Write } from '../../src/log/log.ts'
import { leadWithoutState, takeOver } from '../../src/log/takeover.ts'
import type { StateStore, TakeoverOptions } from '../../src/log/takeover.ts'
import { cut, put } from '../contract/log/lab.ts'

/** A state partition in a map; `high` of every topic as given. */
class RecordingStore implements StateStore {
  readonly calls: string[] = []
  readonly state = new Map<string, Uint8Array>()
  readonly written: Write[] = []
  high: Partial<Record<Topic, number>> = {}
  failure: PipelineError | undefined

  constructor(header?: Partial<Header>) {
    if (header) this.state.set('header', encodeHeader({ incarnation: 'i', epoch: 4, partitions: 2, key: 'device', next: {}, ...header }))
  }

  async fence() {
    this.calls.push('fence')
  }

  async read(each: (key: string, value: Uint8Array) => void) {
    this.calls.push('read')
    for (const [key, value] of this.state) each(key, value)
  }

  async transact(writes: Iterable<Write>) {
    const drawn = [...writes]
    this.calls.push(`transact ${drawn.map((write) => write.key).join(' ')}`)
    if (this.failure) throw this.failure
    this.written.push(...drawn)
  }

  async bounds(topic: Topic) {
    this.calls.push('bounds')
    return { low: 0, high: this.high[topic] ?? 0 }
  }

  header(): Header {
    return decodeHeader(this.written.at(-1)!.value!)
  }
}

const ignore = () => {}

function options(store: StateStore, more: Partial<TakeoverOptions> = {}): TakeoverOptions {
  return { store, topic: 'state', partition: 0, partitions: 2, key: 'device', signal: new AbortController().signal, progress: ignore, ...more }
}

describe('a takeover', () => {
  it('tells of progress with each commit that landed, but not with its own', async () => {
    const store = new RecordingStore()
    let progress = 0
    const owned = await takeOver(options(store, { progress: () => progress++ }))
    await owned.restore(ignore)
    expect(progress).toBe(0)
    await owned.commit([], { next: new Map(), incarnation: '' })
    expect(progress).toBe(1)
    store.failure = new PipelineError('IN_DOUBT', 'no answer')
    await expect(owned.commit([], { next: new Map(), incarnation: '' })).rejects.toBe(store.failure)
    expect(progress).toBe(1)
  })

  it('is confirmed by its adapter, or by its signal where the log is the process’s own', async () => {
    const asked: string[] = []
    const confirmed = async () => void asked.push('confirmed')
    await (await takeOver(options(new RecordingStore(), { confirmed }))).confirmed()
    expect(asked).toEqual(['confirmed'])
    const stop = new AbortController()
    const owned = await takeOver(options(new RecordingStore(), { signal: stop.signal }))
    await owned.confirmed()
    stop.abort()
    await expect(owned.confirmed()).rejects.toMatchObject({ code: 'FENCED' })
  })

  it('names the keys of its adapter when the layout has changed', async () => {
    const names = { partitions: 'log.kafka.partitions', anew: 'another log.kafka.prefix' }
    const owned = await takeOver(options(new RecordingStore({ partitions: 3 }), { names }))
    await expect(owned.restore(ignore)).rejects.toThrow(/set log\.kafka\.partitions back to 3, or start with an empty log by another log\.kafka\.prefix/)
  })

  it('fences, reads, then commits the header, in this order', async () => {
    const store = new RecordingStore({ epoch: 4 })
    const owned = await takeOver(options(store))
    expect(store.calls).toEqual(['fence'])
    await owned.restore(ignore)
    expect(store.calls.slice(0, 3)).toEqual(['fence', 'read', 'transact header'])
  })

  it('counts the epoch up and leaves place and incarnation as they were', async () => {
    const store = new RecordingStore({ epoch: 4, next: { 'readings/0': 7 } })
    store.high = { readings: 7 }
    const restored = await (await takeOver(options(store))).restore(ignore)
    expect(restored).toEqual({ epoch: 5, incarnation: 'i', next: new Map([['readings/0', 7]]), recreated: false })
    expect(store.header()).toMatchObject({ epoch: 5, incarnation: 'i', partitions: 2, key: 'device', next: { 'readings/0': 7 } })
  })

  it('of an empty state starts with epoch 1 and knows no place', async () => {
    const restored = await (await takeOver(options(new RecordingStore()))).restore(ignore)
    expect(restored).toEqual({ epoch: 1, incarnation: '', next: new Map(), recreated: false })
  })

  it('gives the rows and keeps the header to itself', async () => {
    const store = new RecordingStore({})
    store.state.set('series/0', Buffer.from('rows'))
    const keys: string[] = []
    await (await takeOver(options(store))).restore((key) => keys.push(key))
    expect(keys).toEqual(['series/0'])
  })

  it.each([
    ['readings/0', 7, 6, true],
    ['readings/0', 7, 7, false],
    ['readings/0', 7, 8, false],
  ] as const)('with the place %s at %i in a topic that ends at %i: recreated %s', async (place, next, high, recreated) => {
    const store = new RecordingStore({ next: { [place]: next } })
    store.high = { readings: high }
    expect(await (await takeOver(options(store))).restore(ignore)).toMatchObject({ recreated })
  })

  it('knows the topics of its places, and passes over those it doesn’t know', async () => {
    const store = new RecordingStore({ next: { 'dead-letters/1': 3, 'a topic of later/0': 9 } })
    store.high = { 'dead-letters': 3 }
    expect(await (await takeOver(options(store))).restore(ignore)).toMatchObject({ recreated: false })
    const shorter = new RecordingStore({ next: { 'dead-letters/1': 3 } })
    shorter.high = { 'dead-letters': 2 }
    expect(await (await takeOver(options(shorter))).restore(ignore)).toMatchObject({ recreated: true })
  })

  it.each([
    [{ partitions: 3 }, 'the log was made with 2 partitions, the config asks for 3: set log.embedded.partitions back to 2, or start with an empty log by another log.embedded.path'],
    [{ key: 'site' }, "the log was made with devices named by 'device', the config names them by 'site': set sources.0.device back to 'device', or start with"],
  ])('asked for %o refuses, says what to do, and writes nothing', async (more, message) => {
    const store = new RecordingStore({})
    const owned = await takeOver(options(store, more))
    const refusal = { code: 'PARTITIONS_CHANGED', retriable: false, message: expect.stringContaining(message) }
    await expect(owned.restore(ignore)).rejects.toMatchObject(refusal)
    expect(store.written).toEqual([])
  })

  it('whose rows can’t be taken leaves the epoch', async () => {
    const store = new RecordingStore({})
    store.state.set('series/0', Buffer.from('rows'))
    const owned = await takeOver(options(store))
    const refuse = () => {
      throw new PipelineError('BAD_RECORD', 'not a page')
    }
    await expect(owned.restore(refuse)).rejects.toMatchObject({ code: 'BAD_RECORD' })
    expect(store.written).toEqual([])
  })
})

describe('an owner', () => {
  async function owner(store = new RecordingStore(), more: Partial<TakeoverOptions> = {}) {
    const owned = await takeOver(options(store, more))
    await owned.restore(ignore)
    return owned
  }

  it('adds the header at the cut to each commit, last, under its epoch', async () => {
    const store = new RecordingStore({ epoch: 4 })
    const owned = await owner(store)
    await owned.commit([put('state', 0, 'series/0'), put('incidents', 0, 'one')], cut(0, 9, 'new'))
    const written = store.written.slice(1).map((write) => `${write.topic}/${write.partition} ${write.key}`)
    expect(written).toEqual(['state/0 series/0', 'incidents/0 one', 'state/0 header'])
    expect(store.header()).toMatchObject({ epoch: 5, incarnation: 'new', next: { 'readings/0': 9 } })
  })

  it('that leads respond keeps its header in leases', async () => {
    const store = new RecordingStore()
    await owner(store, { topic: 'leases' })
    expect(store.written).toMatchObject([{ topic: 'leases', partition: 0, key: 'header' }])
  })

  it.each([
    ['a key of the header’s', put('state', 0, 'header/1')],
    ['a deletion where nothing is deleted', put('incidents', 0, 'a', null)],
  ])('refuses %s', async (_, write) => {
    const store = new RecordingStore()
    const owned = await owner(store)
    await expect(owned.commit([write], cut(0, 0))).rejects.toThrow('assertion failed')
    expect(store.written.length).toBe(1)
  })

  it('refuses to commit before it has restored, and to restore twice', async () => {
    const owned = await takeOver(options(new RecordingStore()))
    await expect(owned.commit([], cut(0, 0))).rejects.toThrow('commit comes after restore')
    await owned.restore(ignore)
    await expect(owned.restore(ignore)).rejects.toThrow('restore is called once')
  })

  it.each(['FENCED', 'IN_DOUBT'] as const)('commits nothing more after %s', async (code) => {
    const store = new RecordingStore()
    const owned = await owner(store)
    store.failure = new PipelineError(code, 'made by the test')
    await expect(owned.commit([], cut(0, 0))).rejects.toBe(store.failure)
    store.failure = undefined
    await expect(owned.commit([], cut(0, 0))).rejects.toMatchObject({ code: 'FENCED' })
    expect(store.written.length).toBe(1)
  })

  it('may try again after a full disk', async () => {
    const store = new RecordingStore()
    const owned = await owner(store)
    store.failure = new PipelineError('DISK_FULL', 'made by the test')
    await expect(owned.commit([], cut(0, 0))).rejects.toBe(store.failure)
    store.failure = undefined
    await owned.commit([], cut(0, 5))
    expect(store.header().next['readings/0']).toBe(5)
  })
})

it('a leader without state restores nothing and commits nothing', async () => {
  const nowhere: Cut = { next: new Map(), incarnation: '' }
  const owned = leadWithoutState('source/field', 3, new AbortController().signal)
  expect(await owned.restore(ignore)).toEqual({ epoch: 3, next: new Map(), incarnation: '', recreated: false })
  await expect(owned.commit([], nowhere)).rejects.toThrow('source/field has no state')
})
