/** Members of one group on a real Kafka, each with sockets of its own that a test may cut. */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { Kafka, logLevel } from 'kafkajs'
import type { Admin } from 'kafkajs'
import { systemClock } from '../../../src/ops/clock.ts'
import { systemRandom } from '../../../src/ops/random.ts'
import { Membership } from '../../../src/log/kafka/membership.ts'
import type { GroupTiming, KafkaOptions } from '../../../src/log/kafka/options.ts'
import type { Tenure } from '../../../src/log/kafka/tenure.ts'

/** The brokers of the tests allow sessions of half a second; a busy machine wants longer leases. */
export const QUICK: GroupTiming = { sessionMs: 2_400, heartbeatMs: 200, rebalanceMs: 4_800 }

/** Sockets that can be cut, as by a network, and kept from being opened again, as by a death. */
export class Wire {
  readonly #sockets = new Set<Socket>()
  #isDead = false

  readonly open: NonNullable<KafkaOptions['socketFactory']> = ({ host, port, onConnect }) => {
    if (this.#isDead) throw new Error('this process is dead')
    const socket = connect({ host, port }, onConnect)
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    return socket
  }

  get count(): number {
    return this.#sockets.size
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy(new Error('cut by the test'))
  }

  kill(): void {
    this.#isDead = true
    this.cut()
  }

  /** Out of reach until the returned function is called. */
  cutUntil(): () => void {
    this.kill()
    return () => void (this.#isDead = false)
  }
}

const line = (level: string) => (fields: object, message: string) => void process.stderr.write(`${performance.now().toFixed(0)} ${level} ${message} ${JSON.stringify(fields)}\n`)
const loud = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const nothing = { add() {}, set() {}, observe() {} }
const uncounted = { counter: () => nothing, gauge: () => nothing, histogram: () => nothing }

export function kafkaOptions(brokers: readonly string[], more: Partial<KafkaOptions> & Pick<KafkaOptions, 'prefix' | 'name'>): KafkaOptions {
  return {
    clock: systemClock,
    random: systemRandom,
    logger: process.env['KAFKA_TEST_LOG'] ? loud : silent,
    metrics: uncounted,
    brokers,
    partitions: 2,
    key: 'device',
    replication: 1,
    minInSync: 1,
    compression: 'none',
    tls: null,
    sasl: null,
    retention: { bytes: null, ageMs: null },
    timing: QUICK,
    ...more,
  }
}

/** Connected; the caller disconnects it. */
export async function adminOf(brokers: readonly string[]): Promise<Admin> {
  const admin = new Kafka({ clientId: 'test', brokers: [...brokers], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, retries: 8 } }).admin()
  await admin.connect()
  return admin
}

export interface MemberOptions {
  readonly brokers: readonly string[]
  readonly prefix: string
  readonly name: string
  readonly partitions: number
  readonly timing?: GroupTiming
  /** Before a tenure's work ends. */
  readonly closing?: () => Promise<void>
  /** Of one that could not leave. */
  readonly memberId?: string
}

/** What all members of a group did, for what may never be: two at once at one partition. */
export class Register {
  readonly #at = new Map<number, { readonly member: Member; readonly tenure: Tenure }>()
  readonly overlaps: string[] = []
  /** By partition, who was given it, in order. */
  readonly turns = new Map<number, string[]>()

  enter(member: Member, tenure: Tenure): void {
    const other = this.#at.get(tenure.partition)
    if (other && other.tenure.isHeld()) this.overlaps.push(`${other.member.name} and ${member.name} at ${tenure.partition}`)
    this.#at.set(tenure.partition, { member, tenure })
    this.turns.set(tenure.partition, [...(this.turns.get(tenure.partition) ?? []), member.name])
  }
}

export class Member {
  readonly name: string
  readonly wire = new Wire()
  readonly membership: Membership
  readonly tenures: Tenure[] = []
  readonly held = new Map<number, Tenure>()
  readonly #stop = new AbortController()
  #ended: Promise<void> = Promise.resolve()

  constructor({ brokers, prefix, name, partitions, timing = QUICK, closing, memberId = '' }: MemberOptions, register = new Register()) {
    this.name = name
    this.membership = new Membership({
      kafka: kafkaOptions(brokers, { prefix, name, socketFactory: this.wire.open }),
      timing,
      group: `${prefix}members`,
      topic: `${prefix}readings`,
      partitions,
      memberId,
      work: async (tenure) => {
        register.enter(this, tenure)
        this.tenures.push(tenure)
        this.held.set(tenure.partition, tenure)
        await new Promise<void>((resolve) => tenure.signal.addEventListener('abort', () => resolve(), { once: true }))
        await closing?.()
        if (this.held.get(tenure.partition) === tenure) this.held.delete(tenure.partition)
      },
    })
  }

  start(): this {
    this.#ended = this.membership.run(this.#stop.signal)
    this.#ended.catch(() => {}) // told by `leave`
    return this
  }

  leave(): Promise<void> {
    this.#stop.abort()
    return this.#ended
  }

  get isLeaving(): boolean {
    return this.#stop.signal.aborted
  }

  get ended(): Promise<void> {
    return this.#ended
  }

  /** Partitions it may act on now, ascending. */
  get acts(): number[] {
    return [...this.held.values()].filter((tenure) => tenure.isHeld()).map(({ partition }) => partition).toSorted((a, b) => a - b)
  }
}

/** Resolves with the ms it took. */
export async function until(condition: () => boolean, withinMs = 15_000): Promise<number> {
  const started = performance.now()
  while (!condition()) {
    if (performance.now() - started > withinMs) throw new Error(`never came true in ${withinMs} ms: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return performance.now() - started
}
