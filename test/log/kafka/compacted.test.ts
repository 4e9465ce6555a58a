/** What the cleaner of a real Kafka leaves of a compacted topic; alone in its file, as the cleaner looks only every 15 s. */
import { expect, it } from 'vitest'
import { openFeeds } from '../../../src/log/kafka/feeds.ts'
import type { StoredRecord } from '../../../src/log/log.ts'
import { delay, systemClock } from '../../../src/ops/clock.ts'
import { withKafka } from '../../parts/suites.ts'
import { never, ReadingRig } from './reading-rig.ts'

const CLEANED_WITHIN_MS = 40_000

async function readCleaned(brokers: readonly string[]): Promise<[string, number][]> {
  const rig = await ReadingRig.open(brokers)
  try {
    await rig.make('state', { settings: { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.001', 'segment.ms': '1' } })
    for (const value of ['1', '2']) await rig.write('state', [{ key: 'a', value }])
    await (await rig.transaction('state', { key: 'b', value: 'no' })).abort()
    await (await rig.transaction('state', { key: 'c', value: 'yes' })).commit()
    await rig.write('state', [{ key: 'a', value: '3' }])
    const feeds = openFeeds(rig.options)
    rig.onClose(() => feeds.close())
    let records: StoredRecord[] = []
    for (const until = performance.now() + CLEANED_WITHIN_MS; performance.now() < until; await delay(systemClock, 250)) {
      records = []
      await feeds.readAll('state', 0, (record) => records.push(record), never)
      if (records[0]!.offset > 0) break
    }
    return records.map(({ key, offset }) => [key, offset])
  } finally {
    await rig.close()
  }
}

withKafka('a partition that was compacted', (kafka) => {
  it('is read over its gaps', async () => {
    // The newest lies in the segment that is still written to, which is never cleaned: so the one before it stays.
    expect(await readCleaned(kafka.brokers)).toEqual([
      ['a', 1],
      ['c', 4],
      ['a', 6],
    ])
  }, CLEANED_WITHIN_MS + 10_000)
})
