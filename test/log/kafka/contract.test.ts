/** The Kafka log, on real brokers, keeps the contract of the log port. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { openKafka } from '../../../src/log/kafka/kafka.ts'
import { LEADERS, topicName } from '../../../src/log/kafka/names.ts'
import { TOPICS } from '../../../src/log/log.ts'
import type { Log, Topic } from '../../../src/log/log.ts'
import { systemRandom } from '../../../src/ops/random.ts'
import { logContract } from '../../contract/log.ts'
import type { LogHarness, OpenOptions } from '../../contract/log.ts'
import { withKafka } from '../../parts/suites.ts'
import { adminOf, kafkaOptions, Wire } from './member-rig.ts'

/** Who crashes is missed soon, and a lease outlasts what a busy machine does to a process; the brokers of the tests allow it. */
const TIMING = { sessionMs: 3_000, heartbeatMs: 200, rebalanceMs: 6_000 }
const CLOSE_MS = 1_000

class KafkaHarness implements LogHarness {
  readonly processes = 'many'
  readonly stepMs = 2
  readonly #brokers: readonly string[]
  readonly #admin: Admin
  readonly #prefix = `contract-${systemRandom.id()}.`
  readonly #wires = new Map<Log, Wire>()
  #partitions = 2

  constructor(brokers: readonly string[], admin: Admin) {
    this.#brokers = brokers
    this.#admin = admin
  }

  async open({ partitions = 2, key = 'device' }: OpenOptions = {}): Promise<Log> {
    const wire = new Wire()
    const name = `process-${this.#wires.size + 1}`
    const log = await openKafka(kafkaOptions(this.#brokers, { prefix: this.#prefix, name, partitions, key, timing: TIMING, socketFactory: wire.open }))
    this.#partitions = partitions
    this.#wires.set(log, wire)
    return log
  }

  async crash(log: Log): Promise<void> {
    this.#wires.get(log)!.kill()
    log.close().catch(() => {}) // it is dead: whatever it still says, nobody hears
  }

  async advance(ms: number): Promise<void> {
    await sleep(ms)
  }

  async trim(_: Log, topic: Topic, partition: number, before: number): Promise<void> {
    const name = topicName(this.#prefix, topic)
    // kafkajs knows a topic's leaders only once it was asked for its offsets.
    await this.#admin.fetchTopicOffsets(name)
    await this.#admin.deleteTopicRecords({ topic: name, partitions: [{ partition, offset: String(before) }] })
  }

  async recreate(): Promise<void> {
    const topic = topicName(this.#prefix, 'readings')
    await this.#admin.deleteTopics({ topics: [topic] })
    const configEntries = [{ name: 'message.timestamp.type', value: 'LogAppendTime' }]
    await this.#admin.createTopics({ topics: [{ topic, numPartitions: this.#partitions, replicationFactor: 1, configEntries }], waitForLeaders: false })
  }

  async close(): Promise<void> {
    const logs = [...this.#wires.keys()]
    await Promise.race([Promise.allSettled(logs.map((log) => log.close())), sleep(CLOSE_MS)])
    for (const wire of this.#wires.values()) wire.kill()
    // Asked for what isn't there, kafkajs tries again and again.
    if (logs.length > 0) await this.#admin.deleteTopics({ topics: [...Object.keys(TOPICS), LEADERS].map((topic) => topicName(this.#prefix, topic as Topic)) })
    await this.#admin.disconnect()
  }
}

withKafka('the Kafka log', (kafka) => {
  logContract('kafka', async () => new KafkaHarness(kafka.brokers, await adminOf(kafka.brokers)), { concurrent: true })
})
