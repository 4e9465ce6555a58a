/** The topics as Picket needs them: made where they are missing, checked where they are there, a wrong one named with what mends it. */
import { PipelineError } from '../../core/errors.ts'
import { delay } from '../../ops/clock.ts'
import { COMPACTED, TOPICS } from '../log.ts'
import type { Topic } from '../log.ts'
import { leaderOf } from './client.ts'
import type { Client, Cluster } from './client.ts'
import { LEADERS, topicName } from './names.ts'
import type { KafkaOptions } from './options.ts'
import { FIRST_PAUSE_MS, longer, PATIENCE_MS } from './patience.ts'
import { protocolError, trouble } from './trouble.ts'

const DAY_MS = 86_400_000
/** A frame has 512 KiB at most, an append some 900 KB, and a batch its head. */
const BATCH_BYTES = 2 * 1024 * 1024
/** The brokers' own default: 1 MiB and the head of a batch. */
const LEAST_BATCH_BYTES = 1_048_588
/** Only closed segments are compacted: with the brokers' usual gigabyte a takeover would read a gigabyte. */
const COMPACTED_SEGMENT_BYTES = 128 * 1024 * 1024
const CREATE_TIMEOUT_MS = 10_000
const TOPIC_RESOURCE = 2
const WITHOUT_END = '-1'
const MISSING = 'UNKNOWN_TOPIC_OR_PARTITION'
const HIDDEN = 'TOPIC_AUTHORIZATION_FAILED'

const DENIED: ReadonlySet<string> = new Set([HIDDEN, 'CLUSTER_AUTHORIZATION_FAILED'])

interface Plan {
  /** Kafka's name. */
  readonly name: string
  readonly partitions: number
  /** Must be so. */
  readonly fixed: Readonly<Record<string, string>>
  /** What it is made with, and may be otherwise. */
  readonly usual: Readonly<Record<string, string>>
}

/** The commands that make every topic, for who creates them by hand: one line a topic, for the tools that come with Kafka. */
export function topicCommands(options: KafkaOptions): string[] {
  return plans(options).map((plan) => {
    const settings = Object.entries(settingsOf(plan)).map(([name, value]) => ` --config ${name}=${value}`)
    const size = `--partitions ${plan.partitions} --replication-factor ${options.replication}`
    return `${tool('kafka-topics.sh', options)} --create --topic ${plan.name} ${size}${settings.join('')}`
  })
}

/**
 * Makes what is missing and checks what is there. Credentials that may not look at a topic, or at its settings, go on: an info line says
 * what was not checked. Throws BAD_CONFIG, PARTITIONS_CHANGED, UNAUTHORIZED (a topic is missing and may not be made): all stops that
 * name topic, found, expected and the command; UNAVAILABLE when no broker can be reached, for the caller to try again.
 */
export async function ensureTopics(client: Client): Promise<void> {
  const cluster = client.cluster()
  try {
    await new Ensuring(client, cluster).run()
  } catch (error) {
    throw trouble(error, { client, doing: 'checking the topics', access: { operation: 'Describe', resource: 'cluster' } })
  } finally {
    await cluster.disconnect()
  }
}

function plans(options: KafkaOptions): Plan[] {
  const names: (Topic | typeof LEADERS)[] = [...(Object.keys(TOPICS) as Topic[]), LEADERS]
  return names.map((topic) => {
    const isCompacted = topic !== LEADERS && COMPACTED.has(topic)
    const isForAll = topic !== LEADERS && TOPICS[topic] === 'all'
    return {
      name: topicName(options.prefix, topic),
      partitions: isForAll ? options.partitions : 1,
      fixed: {
        'cleanup.policy': isCompacted ? 'compact' : 'delete',
        // Retention goes by the records' own time otherwise, and what was replayed from last year would be gone at once.
        ...(isCompacted || topic === LEADERS ? {} : { 'message.timestamp.type': 'LogAppendTime' }),
        'min.insync.replicas': String(options.minInSync),
      },
      usual: {
        'max.message.bytes': String(BATCH_BYTES),
        ...(isCompacted ? { 'segment.bytes': String(COMPACTED_SEGMENT_BYTES) } : retentionOf(topic, options)),
      },
    }
  })
}

function retentionOf(topic: Topic | typeof LEADERS, { retention }: KafkaOptions): Record<string, string> {
  const days = (number: number) => ({ 'retention.ms': String(number * DAY_MS), 'retention.bytes': WITHOUT_END })
  if (topic === 'incidents') return days(400)
  if (topic === 'requests') return days(90)
  if (topic === 'readings' || topic === 'dead-letters') {
    return { 'retention.ms': String(retention.ageMs ?? WITHOUT_END), 'retention.bytes': String(retention.bytes ?? WITHOUT_END) }
  }
  return { 'retention.ms': WITHOUT_END, 'retention.bytes': WITHOUT_END }
}

function settingsOf({ fixed, usual }: Plan): Record<string, string> {
  return { ...fixed, ...usual }
}

function tool(name: string, options: KafkaOptions): string {
  return `${name} --bootstrap-server ${options.brokers[0] ?? 'HOST:PORT'}`
}

class Ensuring {
  readonly #client: Client
  readonly #options: KafkaOptions
  readonly #cluster: Cluster
  readonly #unchecked: string[] = []

  constructor(client: Client, cluster: Cluster) {
    this.#client = client
    this.#options = client.options
    this.#cluster = cluster
  }

  async run(): Promise<void> {
    const all = plans(this.#options)
    await this.#cluster.addMultipleTargetTopics(all.map(({ name }) => name))
    // Where one is wrong, nothing is made beside it.
    const missing = all.filter((plan) => this.#errorOf(plan) === MISSING)
    for (const plan of all) if (!missing.includes(plan)) await this.#check(plan)
    const made: Plan[] = []
    for (const plan of missing) if (await this.#create(plan)) made.push(plan)
    await this.#untilThere(all)
    for (const plan of missing) if (!made.includes(plan)) await this.#check(plan)
    if (made.length > 0) this.#options.logger.info({ topics: made.map(({ name }) => name) }, `made ${made.length} topics`)
    if (this.#unchecked.length > 0) {
      const text = `these credentials may not look at ${this.#unchecked.join(', ')}: whether they are as Picket needs them was not checked`
      this.#options.logger.info({ unchecked: this.#unchecked }, text)
    }
  }

  /** What the brokers said of the topic in the last metadata; '' when it is there with a leader in its first partition. */
  #errorOf({ name }: Plan): string {
    try {
      leaderOf(this.#cluster, name, 0)
      return ''
    } catch (error) {
      return protocolError(error)
    }
  }

  /** False when another process was faster. */
  async #create(plan: Plan): Promise<boolean> {
    const configEntries = Object.entries(settingsOf(plan)).map(([name, value]) => ({ name, value }))
    const { name, partitions } = plan
    const topics = [{ topic: name, numPartitions: partitions, replicationFactor: this.#options.replication, configEntries }]
    try {
      const controller = await this.#cluster.findControllerBroker()
      await controller.createTopics({ topics, timeout: CREATE_TIMEOUT_MS })
      return true
    } catch (error) {
      const type = protocolError(error)
      if (type === 'TOPIC_ALREADY_EXISTS') return false
      if (DENIED.has(type)) throw this.#mayNotMake(plan)
      throw trouble(error, { client: this.#client, doing: `making the topic ${name}` })
    }
  }

  #mayNotMake({ name }: Plan): PipelineError {
    const missing = plans(this.#options).filter((plan) => this.#errorOf(plan) === MISSING)
    const commands = topicCommands(this.#options).filter((command) => missing.some((plan) => command.includes(` --topic ${plan.name} `)))
    const text = `the topic ${name} is missing and these credentials may not make it. Make what is missing by:`
    return new PipelineError('UNAUTHORIZED', [text, ...commands].join('\n'))
  }

  /** A topic just made is not known to every broker at once, nor has it leaders. */
  async #untilThere(all: readonly Plan[]): Promise<void> {
    const { clock } = this.#options
    const started = clock.monotonic()
    for (let pause = FIRST_PAUSE_MS; ; pause = longer(pause)) {
      const plan = all.find((one) => !['', HIDDEN].includes(this.#errorOf(one)))
      if (!plan) return
      if (clock.monotonic() - started > PATIENCE_MS) {
        const text = `the topic ${plan.name}: ${this.#errorOf(plan)} for ${PATIENCE_MS / 1000} s`
        throw new PipelineError('UNAVAILABLE', `Kafka at ${this.#client.brokers}: ${text}`)
      }
      await delay(clock, pause)
      await this.#cluster.refreshMetadata()
    }
  }

  async #check(plan: Plan): Promise<void> {
    const { name } = plan
    if (this.#errorOf(plan) === HIDDEN) {
      this.#unchecked.push(name)
      return
    }
    this.#checkPartitions(plan)
    const found = await this.#settings(plan)
    if (!found) {
      this.#unchecked.push(`the settings of ${name}`)
      return
    }
    for (const [key, expected] of Object.entries(plan.fixed)) {
      const value = found.get(key)
      if (value === undefined || value === expected) continue
      const text = `the topic ${name} has ${key}=${value}, expected ${expected}`
      throw new PipelineError('BAD_CONFIG', `${text}: ${this.#alter(name, key, expected)}${orSet(key, value)}`)
    }
    for (const [key, expected] of Object.entries(plan.usual)) {
      const value = found.get(key)
      if (value === undefined || value === expected || !key.startsWith('retention.')) continue
      const text = `the topic ${name} has ${key}=${value}, the config asks for ${expected}: it stays so until`
      this.#options.logger.info({ topic: name, setting: key, found: value, expected }, `${text} ${this.#alter(name, key, expected)}`)
    }
    const most = Number(found.get('max.message.bytes') ?? BATCH_BYTES)
    if (most < LEAST_BATCH_BYTES) {
      const text = `the topic ${name} has max.message.bytes=${most}, expected ${LEAST_BATCH_BYTES} or more`
      throw new PipelineError('BAD_CONFIG', `${text}: ${this.#alter(name, 'max.message.bytes', String(BATCH_BYTES))}`)
    }
  }

  #checkPartitions({ name, partitions: expected }: Plan): void {
    const found = this.#cluster.findTopicPartitionMetadata(name)
    if (found.length !== expected) {
      const remedy =
        expected === 1
          ? `delete it (${tool('kafka-topics.sh', this.#options)} --delete --topic ${name}), or choose another log.kafka.prefix`
          : `set log.kafka.partitions back to ${found.length}, or start with an empty log by another log.kafka.prefix`
      const text = `the topic ${name} has ${found.length} partitions, the config asks for ${expected}`
      throw new PipelineError('PARTITIONS_CHANGED', `${text}: ${remedy}`)
    }
    const { replication } = this.#options
    const thin = found.find(({ replicas }) => replicas.length < replication)
    if (!thin) return
    const text = `the topic ${name} has ${thin.replicas.length} replicas of partition ${thin.partitionId}, expected ${replication}`
    const command = `${tool('kafka-reassign-partitions.sh', this.#options)} --execute --reassignment-json-file FILE`
    const remedy = `with ${replication} replicas a partition in FILE, or set log.kafka.replication to ${thin.replicas.length}`
    throw new PipelineError('BAD_CONFIG', `${text}: ${command}, ${remedy}`)
  }

  /** null when they may not be looked at. */
  async #settings(plan: Plan): Promise<Map<string, string> | null> {
    const resources = [{ type: TOPIC_RESOURCE, name: plan.name, configNames: Object.keys(settingsOf(plan)) }]
    try {
      const broker = await this.#cluster.findControllerBroker()
      const answer = await broker.describeConfigs({ resources })
      return new Map(answer.resources.flatMap((one) => one.configEntries.map(({ configName, configValue }) => [configName, configValue])))
    } catch (error) {
      if (DENIED.has(protocolError(error))) return null
      throw trouble(error, { client: this.#client, doing: `looking at the settings of ${plan.name}` })
    }
  }

  #alter(name: string, key: string, value: string): string {
    return `${tool('kafka-configs.sh', this.#options)} --alter --entity-type topics --entity-name ${name} --add-config ${key}=${value}`
  }
}

/** What of the config could be meant instead. */
function orSet(key: string, value: string): string {
  return key === 'min.insync.replicas' ? `, or set log.kafka.minInSync to ${value}` : ''
}
