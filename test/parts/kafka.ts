/** A real Apache Kafka for tests, of one node or three, on free ports of 127.0.0.1. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Door, DOORS, type Doors, doorProperties, doorsAt, scramUsers } from './kafka-doors.ts'
import { kafkaEngine, type KafkaEngine, type Program } from './kafka-engine.ts'
import { freePorts, listening, pause } from './ports.ts'
import { makeFolder } from './watchdog.ts'

/** On a machine that does much else besides. */
const START_MS = 120_000
const HEAP_MB = 384
const STARTS = 3
const CLUSTER_ID = 'MkU3OEVBNTcwNTJENDM2Qg'
const PORT_TAKEN = /Address already in use|BindException/

export interface KafkaWanted {
  readonly version: string
  /** 1 (left out), or 3: then every topic of Kafka's own has three replicas, two of them in sync. */
  readonly nodes?: 1 | 3
  /** Over those of `brokerProperties`. */
  readonly properties?: Readonly<Record<string, string | number | boolean>>
  /** TLS, SASL and ACLs beside the plain door; with one node. */
  readonly doors?: boolean
}

export interface RunningKafka {
  readonly version: string
  /** `host:port` of the plain door of each node. */
  readonly brokers: readonly string[]
  /** null: was not wanted. */
  readonly doors: Doors | null
  /** Of each node, as of now. */
  readonly pids: readonly number[]
  /** SIGKILL to the node, counted from 0; resolves when it is gone. */
  kill(node: number): Promise<void>
  /** Starts it again where it was, killing it first if it runs; resolves when it takes connections. */
  restart(node: number): Promise<void>
  /** All nodes and what they wrote are gone after it. */
  stop(): Promise<void>
}

/** Resolves when every node answers and the group coordinator does. Throws with the broker's log when it does not start. */
export async function startKafka(wanted: KafkaWanted): Promise<RunningKafka> {
  const engine = await kafkaEngine(wanted.version, (line) => void process.stderr.write(`picket: ${line}\n`))
  if ('missing' in engine) throw new Error(`Kafka ${wanted.version} can't be had: ${engine.missing}`)
  for (let tries = 1; ; tries++) {
    const cluster = new Cluster(wanted, engine)
    try {
      await cluster.start()
      return cluster
    } catch (error) {
      await cluster.stop()
      if (tries === STARTS || !PORT_TAKEN.test(String(error))) throw error
    }
  }
}

interface Node {
  readonly folder: string
  readonly ports: ReadonlyMap<Door | 'CONTROLLER', number>
  program: Program | null
}

class Cluster implements RunningKafka {
  readonly version: string
  readonly #wanted: KafkaWanted
  readonly #engine: KafkaEngine
  #nodes: Node[] = []
  #remove: (() => Promise<void>) | null = null
  doors: Doors | null = null

  constructor(wanted: KafkaWanted, engine: KafkaEngine) {
    this.version = wanted.version
    this.#wanted = wanted
    this.#engine = engine
  }

  get brokers(): readonly string[] {
    return this.#nodes.map(({ ports }) => `127.0.0.1:${ports.get('PLAINTEXT')}`)
  }

  get pids(): readonly number[] {
    return this.#nodes.map(({ program }) => program?.pid ?? -1)
  }

  async start(): Promise<void> {
    const { path, remove } = await makeFolder('kafka')
    this.#remove = remove
    const { nodes = 1, doors = false } = this.#wanted
    const names: readonly Door[] = doors ? (Object.keys(DOORS) as Door[]) : ['PLAINTEXT']
    for (let i = 0; i < nodes; i++) {
      const ports = await freePorts(names.length + 1)
      this.#nodes.push({
        folder: join(path, `node-${i + 1}`),
        ports: new Map([...names, 'CONTROLLER' as const].map((name, at) => [name, ports[at]!])),
        program: null,
      })
    }
    let more = {}
    if (doors) {
      const { properties, certificates } = await doorProperties(path)
      more = properties
      this.doors = doorsAt(new Map(names.map((name) => [name, `127.0.0.1:${this.#nodes[0]!.ports.get(name)}`])), certificates)
    }
    await Promise.all(this.#nodes.map((_, i) => this.#format(i, { ...more, ...this.#wanted.properties })))
    await Promise.all(this.#nodes.map((_, i) => this.#run(i)))
    await answers(this.brokers)
  }

  async kill(node: number): Promise<void> {
    await this.#nodes[node]!.program?.kill()
  }

  async restart(node: number): Promise<void> {
    await this.kill(node)
    await this.#run(node)
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map(({ program }) => program?.kill()))
    await this.#remove?.()
  }

  async #format(node: number, more: Readonly<Record<string, string | number | boolean>>): Promise<void> {
    const { folder } = this.#nodes[node]!
    await mkdir(folder, { recursive: true })
    const lines = Object.entries({ ...brokerProperties(this.#nodes, node), ...more }).map(([key, value]) => `${key}=${value}\n`)
    await writeFile(join(folder, 'server.properties'), lines.join(''))
    const users = this.#wanted.doors ? scramUsers() : []
    const args = ['kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', join(folder, 'server.properties'), ...users]
    await this.#engine.run({ heapMb: 64, args, folder: join(folder, '..') })
  }

  async #run(node: number): Promise<void> {
    const one = this.#nodes[node]!
    const [log, config] = [join(one.folder, 'broker.log'), join(one.folder, 'server.properties')]
    const program = this.#engine.start({ heapMb: HEAP_MB, args: ['kafka.Kafka', config], folder: join(one.folder, '..'), log })
    one.program = program
    const check = () => {
      if (!program.isRunning) throw new Error('the broker ended at its start')
    }
    try {
      await listening(one.ports.get('PLAINTEXT')!, check, START_MS)
    } catch (error) {
      throw new Error(`Kafka ${this.version}, node ${node + 1}: ${error}\n${(await readFile(log, 'utf8')).slice(-3000)}`, { cause: error })
    }
  }
}

/** Small, and quick to give a group's partitions to a first member. A node both keeps data and votes. */
function brokerProperties(nodes: readonly Node[], node: number): Record<string, string | number | boolean> {
  const { ports, folder } = nodes[node]!
  const [replicas, inSync] = nodes.length === 1 ? [1, 1] : [3, 2]
  const names = [...ports.keys()]
  return {
    'process.roles': 'broker,controller',
    'node.id': node + 1,
    'controller.quorum.voters': nodes.map((other, i) => `${i + 1}@127.0.0.1:${other.ports.get('CONTROLLER')}`).join(','),
    listeners: names.map((name) => `${name}://127.0.0.1:${ports.get(name)}`).join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': names.map((name) => `${name}:${name === 'CONTROLLER' ? 'PLAINTEXT' : DOORS[name]}`).join(','),
    'log.dirs': join(folder, 'data'),
    'auto.create.topics.enable': false,
    'group.initial.rebalance.delay.ms': 0,
    ...(nodes.length === 1 ? { 'group.min.session.timeout.ms': 500 } : {}),
    'log.cleaner.dedupe.buffer.size': 2_097_152,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'background.threads': 2,
    'default.replication.factor': replicas,
    'min.insync.replicas': inSync,
    'offsets.topic.num.partitions': 1,
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.num.partitions': 1,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
  }
}

/** Every node is known to the others, and the topic of the groups is made: its first use takes a fresh cluster a second or more. */
async function answers(brokers: readonly string[]): Promise<void> {
  const { Kafka, logLevel } = await import('kafkajs')
  const admin = new Kafka({ clientId: 'picket-parts', brokers: [...brokers], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, retries: 100, maxRetryTime: 500 } }).admin()
  try {
    await admin.connect()
    for (const until = performance.now() + START_MS; ; await pause(100)) {
      if ((await admin.describeCluster()).brokers.length === brokers.length) break
      if (performance.now() > until) throw new Error(`not all of ${brokers.join(', ')} are in the cluster after ${START_MS} ms`)
    }
    await admin.describeGroups(['picket-parts'])
  } finally {
    await admin.disconnect()
  }
}
