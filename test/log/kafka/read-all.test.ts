/** A whole partition to its end on real Kafkas: every tail that no reader sees, open transactions, and connections that break. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openFeeds } from '../../../src/log/kafka/feeds.ts'
import type { Feeds } from '../../../src/log/kafka/feeds.ts'
import type { KafkaOptions } from '../../../src/log/kafka/options.ts'
import type { StoredRecord, Topic } from '../../../src/log/log.ts'
import { withKafka } from '../../parts/suites.ts'
import { hastyClock, never, ReadingRig, values, Wires } from './reading-rig.ts'

withKafka('a whole partition', (kafka) => {
  let rig: ReadingRig
  let feeds: Feeds

  const open = (more: Partial<KafkaOptions> = {}) => {
    const own = openFeeds({ ...rig.options, ...more })
    rig.onClose(() => own.close())
    return own
  }

  const all = async (topic: Topic, from: Feeds = feeds, signal = never) => {
    const records: StoredRecord[] = []
    await from.readAll(topic, 0, (record) => records.push(record), signal)
    return records
  }

  beforeAll(async () => {
    rig = await ReadingRig.open(kafka.brokers)
    feeds = open()
  })

  afterAll(() => rig.close())

  it('ends at once when it is empty', async () => {
    await rig.make('incidents')
    expect(await all('incidents')).toEqual([])
  })

  it('gives tombstones, leaves aborted records out, and ends behind a marker', async () => {
    await rig.make('leases', { settings: { 'cleanup.policy': 'compact' } })
    await rig.write('leases', [{ key: 'a', value: '1' }, { key: 'b', value: '2' }, { key: 'a', value: null }])
    await (await rig.transaction('leases', { key: 'c', value: '3' })).commit()
    await (await rig.transaction('leases', { key: 'd', value: 'no' })).abort()
    const records = await all('leases')
    expect(records.map(({ key }) => key)).toEqual(['a', 'b', 'a', 'c'])
    expect(values(records)).toEqual(['1', '2', null, '3'])
    expect(records.map(({ offset }) => offset)).toEqual([0, 1, 2, 3])
  })

  it('begins at the oldest kept', async () => {
    await rig.make('readings')
    await rig.write('readings', ['0', '1', '2'])
    await rig.trim('readings', 2)
    expect(values(await all('readings'))).toEqual(['2'])
  })

  it('waits for an open transaction below its end', async () => {
    await rig.make('actions')
    const transaction = await rig.transaction('actions', 'a')
    await rig.write('actions', ['b'])
    const reading = all('actions')
    await rig.admin.fetchTopicOffsets(rig.name('actions'))
    await transaction.commit()
    expect(values(await reading)).toEqual(['a', 'b'])
  })

  it('gives up on a transaction that stays open, and says where', async () => {
    const transaction = await rig.transaction('actions', 'never')
    const reading = all('actions', open({ clock: hastyClock(100) }))
    const said = { code: 'UNAVAILABLE', message: expect.stringMatching(/transaction has been open at \d+ for 30 s/) }
    await expect(reading).rejects.toMatchObject(said)
    const stop = new AbortController()
    const stopped = all('actions', feeds, stop.signal)
    stop.abort()
    await expect(stopped).resolves.toBeDefined()
    await transaction.abort()
  })

  it('does not end at what was written after the call', async () => {
    const before = values(await all('leases')).length
    const records: StoredRecord[] = []
    let later: Promise<void> | undefined
    await feeds.readAll('leases', 0, (record) => {
      later ??= rig.write('leases', [{ key: 'z', value: 'later' }])
      records.push(record)
    }, never)
    await later
    expect(records.length).toBeGreaterThanOrEqual(before)
    expect(values(await all('leases'))).toContain('later')
  })

  it('goes on where it was after its connections were cut', async () => {
    await rig.make('state', { settings: { 'cleanup.policy': 'compact', 'max.message.bytes': '2000000' } })
    const large = 'x'.repeat(900_000)
    for (let batch = 0; batch < 12; batch++) await rig.write('state', [{ key: `${batch}`, value: large }])
    const wires = new Wires()
    const keys: string[] = []
    const cutting = open({ socketFactory: wires.open })
    await cutting.readAll('state', 0, ({ key }) => {
      keys.push(key)
      if (keys.length === 3) wires.cut()
    }, never)
    expect(keys).toEqual(Array.from({ length: 12 }, (_, batch) => `${batch}`))
  })

  it('ends when retention takes the rest meanwhile', async () => {
    await rig.make('requests', { settings: { 'max.message.bytes': '2000000' } })
    for (let batch = 0; batch < 12; batch++) await rig.write('requests', ['x'.repeat(900_000)])
    const wires = new Wires()
    const cutting = open({ socketFactory: wires.open })
    const offsets: number[] = []
    let trimmed: Promise<void> | undefined
    await cutting.readAll('requests', 0, ({ offset }) => {
      offsets.push(offset)
      if (trimmed) return
      wires.keepCut()
      trimmed = rig.trim('requests', 12).then(() => wires.mend())
    }, never)
    await trimmed
    expect(offsets.length).toBeLessThan(12)
    expect(await feeds.bounds('requests', 0)).toEqual({ low: 12, high: 12 })
  })
})
