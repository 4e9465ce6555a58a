/** Feeds when the broker that leads is killed: they go on with who leads then, and nobody is told. */
import { expect, it } from 'vitest'
import { openFeeds } from '../../../src/log/kafka/feeds.ts'
import { KAFKA_VERSIONS } from '../../../scripts/kafka-jars.mjs'
import { withOwnKafka } from '../../parts/suites.ts'
import { never, ReadingRig, take, values } from './reading-rig.ts'

withOwnKafka('feeds', { version: KAFKA_VERSIONS[0]!, nodes: 3 }, (kafka) => {
  it('go on reading when the leader is killed, and whole partitions too', async () => {
    const rig = await ReadingRig.open(kafka().brokers, { replication: 3 })
    await rig.make('readings', { settings: { 'min.insync.replicas': '2' } })
    await rig.write('readings', ['before'])
    const feeds = openFeeds(rig.options)
    rig.onClose(() => feeds.close())
    const feed = feeds.open('readings', 0, 0)
    await take(feed, 1)
    const waiting = feed.next(never)
    const { topics } = await rig.admin.fetchTopicMetadata({ topics: [rig.name('readings')] })
    await kafka().kill(topics[0]!.partitions[0]!.leader - 1)
    await rig.write('readings', ['after'])
    expect(values((await waiting)!.records)).toEqual(['after'])
    const all: (string | null)[] = []
    await feeds.readAll('readings', 0, (record) => all.push(...values([record])), never)
    expect(all).toEqual(['before', 'after'])
    await rig.close()
  }, 60_000)
})
