/** Three brokers, three replicas, two in sync: one is killed in the midst of appends and commits, and nothing acknowledged is lost or doubled. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { KAFKA_VERSIONS } from '../../../scripts/kafka-jars.mjs'
import { COORDINATOR, openClient } from '../../../src/log/kafka/client.ts'
import { openFeeds } from '../../../src/log/kafka/feeds.ts'
import { openProducing } from '../../../src/log/kafka/producing.ts'
import type { Producing } from '../../../src/log/kafka/producing.ts'
import { openStateStore } from '../../../src/log/kafka/state-store.ts'
import { ensureTopics } from '../../../src/log/kafka/topics.ts'
import type { StoredRecord, Topic, Write } from '../../../src/log/log.ts'
import { delay, systemClock } from '../../../src/ops/clock.ts'
import { withOwnKafka } from '../../parts/suites.ts'
import { put, record } from '../journal/rig.ts'
import { never, optionsFor, values } from './reading-rig.ts'

const PARTITIONS = 6
const BEFORE_MS = 2_000
const LONGEST_MS = 40_000

/** Appends numbers to a partition, several under way at a time. */
class Writer {
  /** Number → offset, of those acknowledged. */
  readonly acked = new Map<number, number>()
  readonly failed: unknown[] = []
  readonly #producing: Producing
  readonly #partition: number
  readonly #underWay = new Set<Promise<void>>()
  #next = 0

  constructor(producing: Producing, partition: number) {
    this.#producing = producing
    this.#partition = partition
  }

  /** The next number; false while many wait. */
  write(): void {
    if (this.#underWay.size >= 100) return
    const n = this.#next++
    const append = this.#append(n).finally(() => this.#underWay.delete(append))
    this.#underWay.add(append)
  }

  async finish(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  async #append(n: number): Promise<void> {
    try {
      const { offset } = await this.#producing.append('readings', this.#partition, [record(`${n}`)])
      this.acked.set(n, offset)
    } catch (error) {
      this.failed.push(error)
    }
  }
}

withOwnKafka('three brokers', { version: KAFKA_VERSIONS[0]!, nodes: 3 }, (kafka) => {
  const ends: (() => Promise<void>)[] = []

  async function open() {
    const brokers = kafka().brokers
    const options = optionsFor(brokers, { partitions: PARTITIONS, replication: 3, minInSync: 2, compression: 'lz4' })
    const client = openClient(options, 'test')
    await ensureTopics(client)
    const producing = openProducing(options)
    const feeds = openFeeds(options)
    const transactionalId = `${options.prefix}detect-0`
    const store = openStateStore({ options, feeds, topic: 'state', partition: 0, transactionalId })
    ends.push(() => producing.close(), () => store.close(), () => feeds.close(), async () => client.end())
    /** Index of the broker that coordinates the store's transactions. */
    const coordinator = async () => {
      const cluster = client.cluster()
      await cluster.connect()
      await cluster.refreshMetadata()
      const { nodeId } = await cluster.findGroupCoordinator({ groupId: transactionalId, coordinatorType: COORDINATOR.transaction })
      return nodeId! - 1
    }
    const all = async (topic: Topic, partition: number) => {
      const records: StoredRecord[] = []
      await feeds.readAll(topic, partition, (one) => records.push(one), never)
      return records
    }
    return { producing, store, all, coordinator }
  }

  let place: Awaited<ReturnType<typeof open>>
  beforeAll(async () => void (place = await open()), 60_000)
  afterAll(async () => {
    for (const end of ends) await end()
  })

  it('of which one is killed, the coordinator of the commits: every append and commit is made once, in order, and none fails', async () => {
    const { producing, store, all, coordinator } = place
    const writers = Array.from({ length: PARTITIONS }, (_, partition) => new Writer(producing, partition))
    await store.fence()
    let committed = 0
    const over = new AbortController()
    const committing = (async () => {
      while (!over.signal.aborted) {
        const n = committed + 1
        const writes: Write[] = [put('state', 0, 'page', `${n}`), put('incidents', n % PARTITIONS, `${n}`), put('state', 0, 'header', `${n}`)]
        await store.transact(writes)
        committed = n
      }
    })()
    const run = async (until: () => boolean) => {
      const deadline = systemClock.monotonic() + LONGEST_MS
      while (!until() && systemClock.monotonic() < deadline) {
        for (const writer of writers) writer.write()
        await delay(systemClock, 5)
      }
    }

    const begun = systemClock.monotonic()
    await run(() => systemClock.monotonic() - begun > BEFORE_MS && committed > 0)
    await kafka().kill(await coordinator())
    const before = { committed, acked: writers.map(({ acked }) => acked.size) }
    // A hundred at most were under way: more than that were taken since.
    await run(() => committed > before.committed + 1 && writers.every(({ acked }, at) => acked.size > before.acked[at]! + 200))
    over.abort()
    await Promise.all([committing, ...writers.map((writer) => writer.finish())])

    expect(writers.flatMap(({ failed }) => failed)).toEqual([])
    expect(committed).toBeGreaterThan(before.committed + 1)
    for (const [partition, { acked }] of writers.entries()) {
      const stored = await all('readings', partition)
      expect(acked.size).toBeGreaterThan(before.acked[partition]! + 200)
      expect(values(stored)).toEqual(Array.from(acked.keys(), (_, n) => `${n}`))
      expect(stored.every(({ offset, value }) => acked.get(Number(Buffer.from(value!).toString())) === offset)).toBe(true)
    }
    const incidents = await Promise.all(writers.map((_, partition) => all('incidents', partition)))
    expect(values(incidents.flat()).map(Number).toSorted((a, b) => a - b)).toEqual(Array.from({ length: committed }, (_, n) => n + 1))
  }, 120_000)
})
