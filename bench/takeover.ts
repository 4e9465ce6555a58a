/**
 * Bench: how long nobody owns a partition or leads a name on Kafka, from a process's death or clean leave to the next one's restored state,
 * with the timing Picket runs with. `npm run bench takeover -- HOST:PORT`; makes topics under a prefix of its own and deletes them.
 */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { Kafka, logLevel } from 'kafkajs'
import { openKafka } from '../src/log/kafka/kafka.ts'
import { LEADERS, topicName } from '../src/log/kafka/names.ts'
import type { KafkaOptions } from '../src/log/kafka/options.ts'
import { TOPICS } from '../src/log/log.ts'
import type { Log, Owned, Topic } from '../src/log/log.ts'
import { delay, systemClock } from '../src/ops/clock.ts'
import { systemRandom } from '../src/ops/random.ts'

const brokers = (process.argv[2] ?? '127.0.0.1:9092').split(',')
const RUNS = 5
const LONGEST_MS = 30_000
const prefix = `takeover-${systemRandom.id()}.`
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const nothing = { add() {}, set() {}, observe() {} }
const metrics = { counter: () => nothing, gauge: () => nothing, histogram: () => nothing }

class Candidate {
  readonly #sockets = new Set<Socket>()
  readonly #stop = new AbortController()
  #isDead = false
  #log: Log | null = null
  #ended: Promise<unknown> = Promise.resolve()
  /** `performance.now()` of the last takeover that restored its state. */
  took = 0

  options(name: string): KafkaOptions {
    const socketFactory: KafkaOptions['socketFactory'] = ({ host, port, onConnect }) => {
      if (this.#isDead) throw new Error('dead')
      const socket = connect({ host, port }, onConnect)
      this.#sockets.add(socket)
      return socket
    }
    const common = { clock: systemClock, random: systemRandom, logger: silent, metrics, tls: null, sasl: null, compression: 'lz4' } as const
    return { ...common, brokers, prefix, name, partitions: 1, key: 'device', replication: 1, minInSync: 1, retention: { bytes: null, ageMs: null }, socketFactory }
  }

  async start(name: string, of: 'partition' | 'leader'): Promise<this> {
    this.#log = await openKafka(this.options(name))
    const take = async (owned: Owned) => {
      await owned.restore(() => undefined)
      this.took = performance.now()
    }
    const open = async (owned: Owned) => {
      await take(owned)
      return { task: { process: async () => undefined, close: async () => undefined }, from: 0 }
    }
    const lead = async (owned: Owned) => {
      await take(owned)
      await new Promise<void>((resolve) => owned.signal.addEventListener('abort', () => resolve(), { once: true }))
    }
    this.#ended = of === 'partition' ? this.#log.consume(open, this.#stop.signal) : this.#log.lead('respond', lead, this.#stop.signal)
    this.#ended.catch(() => {})
    return this
  }

  async leave(): Promise<void> {
    this.#stop.abort()
    await this.#ended
    await this.#log!.close()
  }

  /** As by kill −9: no word to the group, and no connection any more. */
  kill(): void {
    this.#isDead = true
    this.#stop.abort()
    for (const socket of this.#sockets) socket.destroy(new Error('dead'))
  }
}

async function took(candidate: Candidate): Promise<number> {
  for (let waited = 0; waited < LONGEST_MS; waited += 2) {
    if (candidate.took > 0) return candidate.took
    await delay(systemClock, 2)
  }
  throw new Error(`nobody took over in ${LONGEST_MS} ms`)
}

for (const of of ['partition', 'leader'] as const) {
  for (const how of ['leaves', 'dies'] as const) {
    const gaps: number[] = []
    for (let run = 0; run < RUNS; run++) {
      const first = await new Candidate().start('first', of)
      await took(first)
      const second = await new Candidate().start('second', of)
      // Anywhere between two heartbeats.
      await delay(systemClock, 1_500 + 1_000 * systemRandom.fraction())
      const started = performance.now()
      if (how === 'leaves') void first.leave()
      else first.kill()
      gaps.push(((await took(second)) - started) / 1_000)
      await second.leave()
    }
    process.stdout.write(`${of}, its owner ${how}: ${gaps.map((gap) => gap.toFixed(2)).join(' ')} s\n`)
  }
}
const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin()
await admin.connect()
await admin.deleteTopics({ topics: [...Object.keys(TOPICS), LEADERS].map((topic) => topicName(prefix, topic as Topic)) })
await admin.disconnect()
process.exit()
