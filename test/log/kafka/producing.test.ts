/** Appends to a real Kafka: what they promise, and what they do when a request or an answer is lost. */
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { registerCodecs } from '../../../src/log/kafka/codecs.ts'
import { openFeeds } from '../../../src/log/kafka/feeds.ts'
import type { KafkaOptions } from '../../../src/log/kafka/options.ts'
import { openProducing } from '../../../src/log/kafka/producing.ts'
import type { Producing, ProducingTuning } from '../../../src/log/kafka/producing.ts'
import type { StoredRecord, Topic } from '../../../src/log/log.ts'
import { Counts } from '../../detect/fleet.ts'
import { record } from '../journal/rig.ts'
import { withKafka } from '../../parts/suites.ts'
import type { ReadingRig } from './reading-rig.ts'
import { never, values } from './reading-rig.ts'
import { Line, PARTITIONS, shareRig } from './writing-rig.ts'

registerCodecs()
const ends: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

/** Partitions `at` and `at + 1` of each topic. */
interface Place {
  readonly at: number
  readonly metrics: Counts
  readonly producing: Producing
  readonly line: Line
  all(topic: Topic, partition: number): Promise<StoredRecord[]>
}

/** Each test has a partition of its own, and the next. */
const used = new WeakMap<ReadingRig, number>()

async function open(rig: ReadingRig, tuning: Partial<ProducingTuning> = {}, more: Partial<KafkaOptions> = {}): Promise<Place> {
  const line = new Line()
  const at = used.get(rig) ?? 0
  used.set(rig, at + 2)
  const metrics = new Counts()
  const producing = openProducing({ ...rig.options, metrics, socketFactory: line.open, ...more }, tuning)
  const feeds = openFeeds(rig.options)
  ends.push(() => feeds.close(), async () => {
    line.mend()
    await producing.close()
  })
  const all = async (topic: Topic, partition: number) => {
    const records: StoredRecord[] = []
    await feeds.readAll(topic, partition, (one) => records.push(one), never)
    return records
  }
  return { at, metrics, producing, line, all }
}

function watch(promise: Promise<unknown>): { state: string } {
  const watched = { state: 'pending' }
  promise.then(() => (watched.state = 'resolved'), () => (watched.state = 'rejected'))
  return watched
}

const failure = (promise: Promise<unknown>): Promise<{ code: string; message: string }> =>
  promise.then(() => expect.fail('it did not fail'), (error: { code: string; message: string }) => error)

withKafka('appending', (kafka) => {
  let rig: ReadingRig

  beforeAll(async () => (rig = await shareRig(kafka.brokers, ['readings', 'incidents'])), 60_000)
  afterAll(() => rig.close())

  it('keeps the order of the calls in each partition, and tells the offset of the first record', async () => {
    const { producing, all, at } = await open(rig)
    const calls = Array.from({ length: 60 }, (_, n) => producing.append('readings', at + (n % 2), [record(`${n}`), record(`${n}'`)]))
    const offsets = (await Promise.all(calls)).map(({ offset }) => offset)
    expect(offsets.slice(0, 6)).toEqual([0, 0, 2, 2, 4, 4])
    expect(values(await all('readings', at))).toEqual(calls.flatMap((_, n) => (n % 2 === 0 ? [`${n}`, `${n}'`] : [])))
    expect(values(await all('readings', at + 1))).toEqual(calls.flatMap((_, n) => (n % 2 === 1 ? [`${n}`, `${n}'`] : [])))
  })

  it.each(['none', 'gzip', 'lz4'] as const)('brings keys and values byte for byte, compressed by %s', async (compression) => {
    const { producing, all, at } = await open(rig, {}, { compression })
    const bytes = Uint8Array.from({ length: 600 }, (_, n) => n)
    // A view into a larger buffer, which kafkajs would write as its text.
    await producing.append('incidents', at + 1, [{ key: 'größe/µ', value: bytes.subarray(100, 400) }, { key: '', value: new Uint8Array() }])
    const stored = await all('incidents', at + 1)
    expect(stored.map(({ key }) => key)).toEqual(['größe/µ', ''])
    expect(stored.map(({ value }) => [...value!])).toEqual([[...bytes.subarray(100, 400)], []])
  })

  it('has one send under way in a partition, and sends together what was called meanwhile', async () => {
    const { producing, line, all, at } = await open(rig)
    const held = line.meet('produce', 'hold the answer')
    const first = producing.append('readings', at, [record('first')])
    await held
    const later = Array.from({ length: 50 }, (_, n) => producing.append('readings', at, [record(`${n}`)]))
    await producing.append('incidents', at, [record('elsewhere')])
    expect(line.count('produce')).toBe(2)
    line.mend()
    expect((await first).offset).toBe(0)
    expect((await Promise.all(later)).map(({ offset }) => offset)).toEqual(later.map((_, n) => n + 1))
    expect(line.count('produce')).toBe(3)
    expect((await all('readings', at)).length).toBe(51)
  })

  it.each([
    ['incidents', 0, 'incidents do not wait for readings'],
    ['readings', 1, 'a partition does not wait for the next'],
  ] as const)('of %s/%i goes on while a connection for readings/0 is stuck: %s', async (topic, next, _) => {
    const { producing, line, at } = await open(rig)
    const held = line.meet('produce', 'hold the answer')
    const stuck = watch(producing.append('readings', at, [record('stuck')]))
    await held
    await producing.append(topic, at + next, [record('goes on')])
    expect(stuck.state).toBe('pending')
  })

  it.each([['lose the answer', 1], ['lose the request', 1], ['lose the answer', 3]] as const)('stores a batch once when it has to %s of its send %i times', async (fault, times) => {
    const { producing, line, all, at, metrics } = await open(rig)
    await producing.append('readings', at, [record('before')])
    void line.meet('produce', fault, times)
    expect((await producing.append('readings', at, [record('a'), record('b')])).offset).toBe(1)
    expect((await producing.append('readings', at, [record('c'), record('d')])).offset).toBe(3)
    expect(values(await all('readings', at))).toEqual(['before', 'a', 'b', 'c', 'd'])
    const sends = (outcome: string) => metrics.of('picket_kafka_sends_total', { topic: 'readings', outcome })
    expect([sends('stored'), sends('repeated'), sends('failed')]).toEqual([3, times, 0])
    expect(metrics.of('picket_kafka_send_seconds', { topic: 'readings' })).toBe(3)
  })

  it('a batch after one of unknown fate is not taken for that one: it is stored, and has an offset of its own', async () => {
    const { producing, line, all, at } = await open(rig, { retryMs: 0 })
    await producing.append('readings', at, [record('before')])
    void line.meet('produce', 'lose the answer')
    expect(await failure(producing.append('readings', at, [record('lost'), record('answer')]))).toMatchObject({ code: 'UNAVAILABLE', retriable: true })
    expect((await producing.append('readings', at, [record('next'), record('batch')])).offset).toBe(3)
    expect(values(await all('readings', at))).toEqual(['before', 'lost', 'answer', 'next', 'batch'])
  })

  it('what waits behind a send that failed is stored by the next', async () => {
    const { producing, line, all, at } = await open(rig, { retryMs: 0 })
    const lost = line.meet('produce', 'lose the request')
    const failed = failure(producing.append('readings', at, [record('lost')]))
    await lost
    expect((await producing.append('readings', at, [record('waited')])).offset).toBe(0)
    expect(await failed).toMatchObject({ code: 'UNAVAILABLE' })
    expect(values(await all('readings', at))).toEqual(['waited'])
  })

  it('asks again on a new connection when a broker stays silent', async () => {
    const { producing, line, all, at } = await open(rig, { attemptMs: 300 })
    await producing.append('readings', at, [record('before')])
    void line.meet('produce', 'hold the answer')
    expect((await producing.append('readings', at, [record('silence')])).offset).toBe(1)
    expect(values(await all('readings', at))).toEqual(['before', 'silence'])
  })

  it('refuses what does not fit into the queue, and takes it later', async () => {
    const { producing, line, at } = await open(rig, { queueBytes: 10_000 })
    const held = line.meet('produce', 'hold the answer')
    const first = producing.append('readings', at, [record('x'.repeat(20_000))])
    await held
    const error = await failure(producing.append('readings', at, [record('more')]))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retriable: true, message: expect.stringContaining(`readings/${at}`) })
    await producing.append('readings', at + 1, [record('another queue')])
    line.mend()
    await first
    await producing.append('readings', at, [record('more')])
  })

  it('cuts a large append over several sends, and takes a record of almost 1 MiB', async () => {
    const { producing, line, all, at } = await open(rig)
    const large = [record('a'.repeat(500_000)), record('b'.repeat(500_000)), record('c'.repeat(1_040_000)), record('d')]
    const [first, second] = await Promise.all([producing.append('readings', at, large), producing.append('readings', at, [record('after')])])
    expect([first.offset, second.offset]).toEqual([0, 4])
    expect(line.count('produce')).toBe(4)
    expect((await all('readings', at)).map(({ value }) => value!.length)).toEqual([500_000, 500_000, 1_040_000, 1, 5])
  })

  it('names topic, bytes and what to change when a record is too large, and goes on', async () => {
    const { producing, all, at } = await open(rig)
    const large = randomBytes(1_200_000)
    const [error] = await Promise.all([failure(producing.append('incidents', at, [{ key: '', value: large }])), producing.append('incidents', at, [record('next')])])
    expect(error.code).toBe('BAD_CONFIG')
    for (const part of ['1200032 bytes', `${rig.name('incidents')}/${at}`, 'max.message.bytes']) expect(error.message).toContain(part)
    expect(values(await all('incidents', at))).toEqual(['next'])
  })

  it('does not take an append to a partition that is not there for stored', async () => {
    const { producing } = await open(rig, { retryMs: 100 })
    const error = await failure(producing.append('readings', PARTITIONS, [record('nowhere')]))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining(`readings/${PARTITIONS}`) })
  })

  it('flushed() waits for all that is under way and rejects when one of it was not stored', async () => {
    const { producing, line, at } = await open(rig, { retryMs: 0 })
    await producing.flushed()
    const held = line.meet('produce', 'hold the answer')
    const append = producing.append('readings', at, [record('a')])
    await held
    const flushed = producing.flushed()
    const watched = watch(flushed)
    await producing.append('incidents', at, [record('b')])
    expect(watched.state).toBe('pending')
    line.mend()
    await Promise.all([append, flushed])
    void line.meet('produce', 'lose the request')
    const failed = failure(producing.append('readings', at, [record('c')]))
    expect(await failure(producing.flushed())).toBe(await failed)
  })

  it('tells that appends are flushed in the order of the calls, over all topics, failed ones too', async () => {
    const { producing, line, at } = await open(rig, { retryMs: 0 })
    await producing.append('readings', at, [record('connected')])
    const held = line.meet('produce', 'hold the answer')
    const done: string[] = []
    const append = async (topic: Topic, name: string) => {
      await (await producing.append(topic, at, [record(name)])).flushed
      done.push(name)
    }
    const first = append('readings', 'first')
    await held
    const others = [append('incidents', 'second'), append('incidents', 'third')]
    await producing.append('incidents', at, [record('fourth')])
    expect(done).toEqual([])
    line.mend()
    await Promise.all([first, ...others])
    expect(done).toEqual(['first', 'second', 'third'])
    void line.meet('produce', 'lose the request')
    const failed = failure(producing.append('readings', at, [record('fifth')]))
    await append('incidents', 'sixth')
    await failed
  })

  it('says why a topic takes nothing until it does again', async () => {
    const { producing, line, at } = await open(rig, { retryMs: 0 })
    expect(producing.reasons()).toEqual([])
    void line.meet('produce', 'lose the request', 2)
    for (const partition of [at, at + 1]) await failure(producing.append('incidents', partition, [record('a')]))
    expect(producing.reasons()).toEqual([expect.stringMatching(new RegExp(`writing 1 records of 33 bytes to .*incidents/${at + 1}: .*lost by the test`))])
    await producing.append('incidents', at, [record('a')])
    await producing.append('incidents', at + 1, [record('a')])
    expect(producing.reasons()).toEqual([])
  })

  it('close waits for what is under way, and nothing more is taken', async () => {
    const { producing, line, all, at } = await open(rig)
    const held = line.meet('produce', 'hold the answer')
    const appends = [producing.append('readings', at, [record('a')])]
    await held
    appends.push(producing.append('readings', at, [record('b')]))
    const closed = producing.close()
    expect(await failure(producing.append('readings', at, [record('c')]))).toMatchObject({ code: 'CLOSED' })
    line.mend()
    await closed
    expect((await Promise.all(appends)).map(({ offset }) => offset)).toEqual([0, 1])
    expect(values(await all('readings', at))).toEqual(['a', 'b'])
    await expect.poll(() => line.sockets.size).toBe(0)
  })

  it('close does not wait for a silent broker for ever', async () => {
    const { producing, line, at } = await open(rig, { closeMs: 100 })
    const held = line.meet('produce', 'hold the answer')
    const appends = [failure(producing.append('readings', at, [record('a')]))]
    await held
    appends.push(failure(producing.append('readings', at, [record('b')])))
    await producing.close()
    expect((await Promise.all(appends)).map(({ code }) => code)).toEqual(['UNAVAILABLE', 'CLOSED'])
    await expect.poll(() => line.sockets.size).toBe(0)
  })

  it('calls an append of no records, of too many, or that deletes where nothing is deleted a mistake of its caller', async () => {
    const { producing, at } = await open(rig)
    await expect(producing.append('readings', at, [])).rejects.toThrow('an append has 1 to 1024 records')
    await expect(producing.append('readings', at, Array.from({ length: 1025 }, () => record('a')))).rejects.toThrow('an append has 1 to 1024 records')
    await expect(producing.append('readings', at, [{ key: 'a', value: null }])).rejects.toThrow('keeps every record')
  })

  it('gives up in time where it finds no broker, and names those it looked for', async () => {
    const nowhere = openProducing({ ...rig.options, brokers: ['127.0.0.1:1'] }, { retryMs: 200 })
    ends.push(() => nowhere.close())
    expect(await failure(nowhere.append('readings', 0, [record('a')]))).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('127.0.0.1:1') })
  })
})
