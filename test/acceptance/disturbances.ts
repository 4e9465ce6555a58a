/** What is done to a running Picket beside Kafka, one thing after another, with how long it took others to take over. */
import { Kafka, logLevel } from 'kafkajs'
import type { Role } from '../../src/core/role.ts'
import type { RunningKafka } from '../parts/kafka.ts'
import type { Replicas } from './replicas.ts'
import { pause } from './service.ts'

/** As the issue asks: within a session and what noticing and restoring take. */
const TAKEOVER_MS = 10_000
/** The broker that was killed coordinated the groups: it is declared dead after 9 s. */
const COORDINATOR_MS = 16_000
/** A session of 6 s, and half again. */
const SLEEP_MS = 9_000
const SYNCED_MS = 60_000

export interface Takeover {
  readonly what: string
  /** ms since epoch. */
  readonly at: number
  readonly tookMs: number
  readonly mostMs: number
}

export class Disturbances {
  readonly takeovers: Takeover[] = []
  readonly #kafka: RunningKafka
  readonly #replicas: Replicas
  #rounds = 0

  constructor({ kafka, replicas }: { readonly kafka: RunningKafka; readonly replicas: Replicas }) {
    this.#kafka = kafka
    this.#replicas = replicas
  }

  /** Each disturbance once. */
  async round(): Promise<void> {
    for (const role of ['ingest', 'detect', 'respond'] as const) await this.#killed(role)
    await this.#brokerKilled()
    await this.#asleep()
    await this.#restarted((['detect', 'respond', 'ingest'] as const)[this.#rounds++ % 3]!)
  }

  async #killed(role: Role): Promise<void> {
    const victim = await this.#replicas.holder(role)
    const at = Date.now()
    await victim.service.kill()
    this.#note(`kill −9 of ${victim.name}`, at, await this.#replicas.heldAgain(role), TAKEOVER_MS)
    await victim.service.start()
    await this.#replicas.settled()
  }

  /** The one that coordinates the groups and the transactions. */
  async #brokerKilled(): Promise<void> {
    const node = await this.#coordinator()
    const at = Date.now()
    await this.#kafka.kill(node)
    await pause(3_000) // what is held is over by then where nothing answers
    const roles = ['ingest', 'detect', 'respond'] as const
    const took = await Promise.all(roles.map((role) => this.#replicas.heldAgain(role)))
    this.#note(`kill −9 of broker ${node + 1}, the coordinator`, at, 3_000 + Math.max(...took), COORDINATOR_MS)
    await this.#kafka.restart(node)
    await this.#inSync()
    await this.#replicas.settled()
  }

  /** SIGSTOP past its session; it wakes and does not know. */
  async #asleep(): Promise<void> {
    const victim = await this.#replicas.holder('detect')
    const at = Date.now()
    victim.isPaused = true
    victim.service.pause()
    this.#note(`${victim.name} fell asleep`, at, await this.#replicas.heldAgain('detect'), TAKEOVER_MS)
    await pause(Math.max(0, at + SLEEP_MS - Date.now()))
    victim.service.wake()
    victim.isPaused = false
    await this.#replicas.settled()
  }

  async #restarted(role: Role): Promise<void> {
    const victim = await this.#replicas.holder(role)
    const at = Date.now()
    const { code, ms } = await victim.service.stop()
    if (code !== 0) throw new Error(`${victim.name} ended with ${code} on SIGTERM\n${victim.service.log}`)
    this.#note(`SIGTERM of ${victim.name} (ended in ${Math.round(ms)} ms)`, at, await this.#replicas.heldAgain(role), TAKEOVER_MS)
    await victim.service.start()
    await this.#replicas.settled()
  }

  #note(what: string, at: number, tookMs: number, mostMs: number): void {
    this.takeovers.push({ what, at, tookMs, mostMs })
    process.stdout.write(`      ${what}: taken over in ${(tookMs / 1000).toFixed(1)} s\n`)
  }

  async #coordinator(): Promise<number> {
    const [offsets] = await this.#metadata(['__consumer_offsets'])
    return offsets!.partitions[0]!.leader - 1
  }

  /** Every replica of every partition has caught up, so that the next broker may go. */
  async #inSync(): Promise<void> {
    for (const end = performance.now() + SYNCED_MS; performance.now() < end; await pause(200)) {
      const topics = await this.#metadata([])
      if (topics.every(({ partitions }) => partitions.every(({ isr, replicas }) => isr.length === replicas.length))) return
    }
    throw new Error(`replicas had not caught up ${SYNCED_MS / 1000} s after the broker came back`)
  }

  /** Of all topics when none is named. */
  async #metadata(topics: string[]) {
    const admin = new Kafka({ brokers: [...this.#kafka.brokers], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    try {
      return (await admin.fetchTopicMetadata(topics.length > 0 ? { topics } : undefined)).topics
    } finally {
      await admin.disconnect()
    }
  }
}
