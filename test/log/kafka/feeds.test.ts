/** Feeds on real Kafkas: order, waiting, what retention took, ends that nobody sees, and brokers that go away. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openFeeds } from '../../../src/log/kafka/feeds.ts'
import type { Feeds } from '../../../src/log/kafka/feeds.ts'
import type { KafkaOptions } from '../../../src/log/kafka/options.ts'
import { withKafka } from '../../parts/suites.ts'
import { hastyClock, never, ReadingRig, take, values, Wires } from './reading-rig.ts'

withKafka('feeds', (kafka) => {
  let rig: ReadingRig
  let feeds: Feeds

  const open = (more: Partial<KafkaOptions> = {}) => {
    const own = openFeeds({ ...rig.options, ...more })
    rig.onClose(() => own.close())
    return own
  }

  beforeAll(async () => {
    rig = await ReadingRig.open(kafka.brokers)
    feeds = open()
    const settings = { 'message.timestamp.type': 'LogAppendTime' }
    await rig.make('readings', { partitions: 12, settings })
    await rig.make('incidents', { settings })
    await rig.make('requests', { settings })
    await rig.make('dead-letters', { settings })
    await rig.make('actions', { settings })
  })

  afterAll(() => rig.close())

  it('give the records in order with their keys, a missing key as the empty one', async () => {
    await rig.write('readings', [{ key: 'a', value: '1' }, { value: '2' }], { partition: 1 })
    await rig.write('readings', [{ key: 'c', value: '3' }], { partition: 1 })
    const slices = await take(feeds.open('readings', 1, 0), 3)
    const records = slices.flatMap((slice) => slice.records)
    expect(values(records)).toEqual(['1', '2', '3'])
    expect(records.map(({ key }) => key)).toEqual(['a', '', 'c'])
    expect(records.map(({ offset }) => offset)).toEqual([0, 1, 2])
    expect(slices.at(-1)).toMatchObject({ partition: 1, next: 3, lost: 0 })
  })

  it('give the time of appending, which never goes back', async () => {
    const before = Date.now() - 1_000
    await rig.write('readings', ['1', '2'], { partition: 2 })
    const [slice] = await take(feeds.open('readings', 2, null), 2)
    const [first, second] = slice!.records
    expect(first!.time).toBeGreaterThan(before)
    expect(second!.time).toBeGreaterThanOrEqual(first!.time)
  })

  it('wake who waits as soon as there is something', async () => {
    const feed = feeds.open('readings', 3, 0)
    const waiting = feed.next(never)
    await rig.admin.fetchTopicOffsets(rig.name('readings'))
    const { at, started } = { at: waiting.then(() => performance.now()), started: performance.now() }
    await rig.write('readings', ['now'], { partition: 3 })
    expect((await at) - started).toBeLessThan(300)
    expect(values((await waiting)!.records)).toEqual(['now'])
  })

  it('serve one that comes while others wait at the broker, and one more', async () => {
    const own = open()
    const idle = own.open('readings', 4, 0)
    const stop = new AbortController()
    const waiting = idle.next(stop.signal)
    await rig.write('readings', ['b'], { partition: 5 })
    await rig.write('readings', ['c'], { partition: 6 })
    const started = performance.now()
    for (const partition of [5, 6]) {
      const slice = await own.open('readings', partition, 0).next(never)
      expect(slice!.records).toHaveLength(1)
    }
    // Far below the half second for which the first request waits.
    expect(performance.now() - started).toBeLessThan(250)
    stop.abort()
    expect(await waiting).toBeNull()
  })

  it('serve two readers of one partition', async () => {
    await rig.write('readings', ['x'], { partition: 7 })
    const slices = await Promise.all([feeds.open('readings', 7, 0).next(never), feeds.open('readings', 7, 0).next(never)])
    expect(slices.map((slice) => values(slice!.records))).toEqual([['x'], ['x']])
  })

  it('cut a large part into slices of whole records, and no more than asked for', async () => {
    const large = 'x'.repeat(400_000)
    for (let batch = 0; batch < 3; batch++) await rig.write('readings', [large, large], { partition: 8 })
    const feed = feeds.open('readings', 8, 0)
    const first = await feed.next(never, 1)
    expect(first!.records.map(({ offset }) => offset)).toEqual([0])
    const rest = await take(feed, 5)
    expect(rest.flatMap(({ records }) => records.map(({ offset }) => offset))).toEqual([1, 2, 3, 4, 5])
    expect(Math.max(...rest.map(({ records }) => records.length))).toBeLessThan(4)
  })

  it('count exactly what retention took, once', async () => {
    await rig.write('requests', ['0', '1', '2', '3', '4', '5'])
    await rig.trim('requests', 5)
    const feed = feeds.open('requests', 0, 2)
    expect(await feed.next(never)).toMatchObject({ lost: 3, next: 6 })
    await rig.write('requests', ['6'])
    expect(await feed.next(never)).toMatchObject({ lost: 0, next: 7 })
    expect(await feeds.open('requests', 0, null).next(never)).toMatchObject({ lost: 0 })
  })

  it('tell what retention took when nothing was left, with the next record', async () => {
    await rig.write('dead-letters', ['0', '1', '2'])
    await rig.trim('dead-letters', 3)
    const waiting = feeds.open('dead-letters', 0, 1).next(never)
    await rig.write('dead-letters', ['3'])
    expect(await waiting).toMatchObject({ lost: 2, next: 4 })
  })

  it('say that the topic was made anew when they stand past its end', async () => {
    const feed = feeds.open('readings', 9, 7)
    await expect(feed.next(never)).rejects.toMatchObject({ code: 'RECREATED', message: expect.stringContaining('stands at 7') })
    // And again, to who asks again.
    await expect(feed.next(never)).rejects.toMatchObject({ code: 'RECREATED' })
  })

  it('wait at the end as long as it is no further', async () => {
    await rig.write('readings', ['0'], { partition: 10 })
    const waiting = feeds.open('readings', 10, 1).next(never)
    await rig.write('readings', ['1'], { partition: 10 })
    expect(values((await waiting)!.records)).toEqual(['1'])
  })

  it('pass over markers and aborted transactions, which are no loss, and show what is open once it is committed', async () => {
    const feed = feeds.open('actions', 0, 0)
    const aborted = await rig.transaction('actions', 'no', 'never')
    await aborted.abort()
    const committed = await rig.transaction('actions', 'one')
    const waiting = feed.next(never)
    await committed.commit()
    expect(await waiting).toMatchObject({ lost: 0 })
    expect(values((await waiting)!.records)).toEqual(['one'])
    await rig.write('actions', ['two'])
    expect(await feed.next(never)).toMatchObject({ lost: 0, records: [{ offset: 5 }] })
    await rig.trim('actions', 5)
    expect(await feeds.open('actions', 0, 1).next(never)).toMatchObject({ lost: 4, records: [{ offset: 5 }] })
    // Aborted records and their marker are all that follows.
    await (await rig.transaction('actions', 'no')).abort()
    expect(await feeds.open('actions', 0, 6).next(never, 10, 8)).toBeNull()
  })

  it('count a gap between batches as lost where every offset is a record', async () => {
    await rig.write('incidents', ['0'])
    await (await rig.transaction('incidents', '1')).commit()
    await rig.write('incidents', ['3'])
    const slices = await take(feeds.open('incidents', 0, 0), 3)
    expect(slices.reduce((sum, { lost }) => sum + lost, 0)).toBe(1)
    expect(slices.at(-1)).toMatchObject({ lost: 1, records: [{ offset: 3 }] })
  })

  it('go on after their connections were cut', async () => {
    const wires = new Wires()
    const feed = open({ socketFactory: wires.open }).open('readings', 11, 0)
    await rig.write('readings', ['0'], { partition: 11 })
    await take(feed, 1)
    const waiting = feed.next(never)
    wires.cut()
    await rig.write('readings', ['1'], { partition: 11 })
    expect(values((await waiting)!.records)).toEqual(['1'])
  })

  it('say after half a minute that nobody answers, and go on when asked again', async () => {
    const wires = new Wires()
    const feed = open({ socketFactory: wires.open, clock: hastyClock(100) }).open('readings', 0, 0)
    wires.keepCut()
    const said = { code: 'UNAVAILABLE', message: expect.stringContaining(`Kafka at ${kafka.brokers[0]}`) }
    await expect(feed.next(never)).rejects.toMatchObject(said)
    wires.mend()
    await rig.write('readings', ['0'])
    expect(values((await feed.next(never))!.records)).toEqual(['0'])
  })

  it('say after half a minute that the topic is gone', async () => {
    const feed = open({ clock: hastyClock(100) }).open('leases', 0, 0)
    const said = { code: 'UNAVAILABLE', message: expect.stringContaining('UNKNOWN_TOPIC_OR_PARTITION') }
    await expect(feed.next(never)).rejects.toMatchObject(said)
  })

  it('serve the others while one topic is gone', async () => {
    const own = open()
    const stop = new AbortController()
    const gone = own.open('leases', 0, 0).next(stop.signal)
    expect((await own.open('readings', 1, 0).next(never))!.records.length).toBeGreaterThan(0)
    stop.abort()
    expect(await gone).toBeNull()
  })

  it('reject what waits when they are closed', async () => {
    const own = open()
    const waiting = own.open('readings', 4, 0).next(never)
    const closed = expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
    await own.close()
    await closed
    expect(() => own.open('readings', 4, 0)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
  })

  it('know the bounds, with what is in an open transaction', async () => {
    await rig.make('state')
    await rig.write('state', ['0', '1', '2'])
    await rig.trim('state', 1)
    const transaction = await rig.transaction('state', '3')
    expect(await feeds.bounds('state', 0)).toEqual({ low: 1, high: 4 })
    await transaction.abort()
  })
})
