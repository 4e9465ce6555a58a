/** The embedded MQTT broker (3.1.1, over aedes): where devices connect when there is no broker of the user's, and the way back to them. */
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { Aedes } from 'aedes'
import type { AuthenticateError, AuthErrorCode, Client, ConnectPacket, PublishPacket, Subscription } from 'aedes'
import { assert } from '../core/assert.ts'
import { PICKET_LEVEL } from '../core/device-topic.ts'
import { errorText, PipelineError } from '../core/errors.ts'
import type { Account, Message } from '../core/message.ts'
import type { TopicEntry } from '../core/topic-rule.ts'
import { delay } from '../ops/clock.ts'
import type { Clock } from '../ops/clock.ts'
import type { LogFields, Logger } from '../ops/logger.ts'
import type { Metrics } from '../ops/metrics.ts'
import { QuietLog } from '../ops/quiet-log.ts'
import type { Channel } from '../respond/enforcer.ts'
import { mayReceive, subscriptionRefusal, useOf } from './access.ts'
import { BrokerMemory } from './broker-memory.ts'
import type { Credentials } from './credentials.ts'
import { Framing } from './framing.ts'
import { listenError, requireLoopback } from './listening.ts'
import type { ListenAddress } from './listening.ts'
import { quoted, shortened } from './refusal.ts'
import type { Source, SourceStatus } from './source.ts'
import { compilePatterns } from './topic-pattern.ts'
import type { TopicPatterns } from './topic-pattern.ts'

export interface BrokerLimits {
  /** Most bytes of an MQTT packet; a larger one ends its connection before it is buffered. */
  readonly packetBytes: number
  readonly connections: number
  /** Longest topic or filter, in UTF-16 units. */
  readonly topicLength: number
  readonly subscriptionsPerClient: number
  /** Topics with a retained message: one a device that was ever quarantined. */
  readonly retainedTopics: number
  /** As `IngestLimits.nameLength`. */
  readonly nameLength: number
}

export interface BrokerOptions {
  /** Of this source. */
  readonly name: string
  readonly listen: ListenAddress
  /** null: anyone may be any device, so only loopback addresses may listen. */
  readonly credentials: Credentials | null
  /** Topics devices may publish under. */
  readonly telemetry: readonly TopicEntry[]
  /** What a device is called where its topic's rule doesn't say; default `{device}`. With credentials its username is this name. */
  readonly device?: string
  readonly limits: BrokerLimits
  /** For so long after its start devices are still coming back, each at its own pace, ms: what is not heard yet says nothing. Default 0. */
  readonly returnMs?: number
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface Broker extends Source, Channel {
  /** Where it listens, once started. */
  address(): { readonly host: string; readonly port: number }
  /** Ends the connections of a device (without credentials: of the client of that id); how many there were. */
  kick(device: string): number
}

/** A connection must say who it is within this, ms. */
const CONNECT_MS = 10_000
/** A client that takes nothing for so long is cut off, ms; until then a command to any device may wait behind it. */
const DRAIN_MS = 5000
/** Longest client id, in UTF-16 units. */
const CLIENT_ID = 256
/** QoS 2 messages of a connection that await their release. */
const QOS2_OPEN = 256
/** Idle connections are probed by TCP after this, ms. */
const PROBE_MS = 60_000

const NOT_AUTHORIZED = 5 as AuthErrorCode
const WRONG_PASSWORD = 4 as AuthErrorCode
/** Labels of `picket_broker_refused_total`. */
type Refused = 'connections' | 'connect' | 'login' | 'packet' | 'publish' | 'subscribe' | 'server'

/** aedes 1.2 also handles what arrives between a CONNECT and its authentication: it is nobody's. */
const NOBODY: Account = { name: '', isGateway: false, mayBe: () => false }
/** Two bits of a CONNECT hold a will's QoS, and the parser takes all four values. */
const QOS_HIGHEST: number = 2

/** Throws BAD_CONFIG for bad patterns, or an address beyond loopback without credentials. */
export function createBroker(options: BrokerOptions): Broker {
  if (options.credentials === null) requireLoopback(options.listen)
  return new EmbeddedBroker(options)
}

class EmbeddedBroker implements Broker {
  readonly name: string
  private readonly options: BrokerOptions
  private readonly telemetry: TopicPatterns
  private readonly quiet: QuietLog
  private readonly counters: ReturnType<typeof declareMetrics>
  private readonly aedes: Aedes
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  /** Address and port of the other end, which a socket no longer says once it is closed. */
  private readonly remotes = new WeakMap<object, string>()
  /** By client id. */
  private readonly connected = new Map<string, Client>()
  /** Whom each client logged in as; kept as long as the client, whose will comes when it is gone. Empty without credentials. */
  private readonly accounts = new WeakMap<Client, Account>()
  private readonly subscriptions = new WeakMap<Client, Set<string>>()
  private readonly ackListeners: ((topic: string, payload: Uint8Array) => Promise<void>)[] = []
  private deliver: ((message: Message) => Promise<void>) | null = null
  private connectedSince: number | null = null
  private startedAt = 0
  private stopping = false
  /** Somebody has subscribed beyond `picket/`: only then is telemetry forwarded, which costs 10 µs a message. */
  private watched = false
  private underWay = 0
  private idleListeners: (() => void)[] = []
  private lastPublish: Promise<void> = Promise.resolve()

  constructor(options: BrokerOptions) {
    const { limits, telemetry, device = '{device}', logger, clock, metrics } = options
    this.name = options.name
    this.options = options
    this.telemetry = compilePatterns({ patterns: telemetry, device, nameLength: limits.nameLength })
    this.quiet = new QuietLog({ logger, clock })
    this.counters = declareMetrics(metrics)
    this.aedes = this.makeAedes()
    this.server = createServer((socket) => this.accept(socket))
    this.server.maxConnections = limits.connections
    this.server.on('drop', () => this.refuse('connections', {}, `more than ${limits.connections} connections`))
  }

  async start(deliver: (message: Message) => Promise<void>): Promise<void> {
    const { listen, clock } = this.options
    this.deliver = deliver
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', (cause) => reject(listenError(cause, listen)))
      this.server.listen(listen.port, listen.host, resolve)
    })
    await this.aedes.listen()
    this.server.on('error', (error) => this.refuse('server', {}, errorText(error)))
    this.connectedSince = clock.now()
    this.startedAt = clock.monotonic()
  }

  /** Closes only after what was delivered is acknowledged; what comes meanwhile is not. */
  async stop(): Promise<void> {
    if (this.connectedSince === null) return
    this.stopping = true
    this.connectedSince = null
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    if (this.underWay > 0) await new Promise<void>((resolve) => this.idleListeners.push(resolve))
    // aedes writes some acknowledgements (QoS 2) a few promises after it heard that the message is taken.
    await delay(this.options.clock, 1)
    await new Promise<void>((resolve) => this.aedes.close(resolve))
    for (const socket of this.sockets) socket.destroy()
    await closed
  }

  status(): SourceStatus {
    return { name: this.name, connectedSince: this.connectedSince, backlog: this.isReturning() }
  }

  private isReturning(): boolean {
    return this.options.clock.monotonic() - this.startedAt < (this.options.returnMs ?? 0)
  }

  address(): { host: string; port: number } {
    const address = this.server.address() as AddressInfo | null
    assert(address, 'the broker has not started')
    return { host: address.address, port: address.port }
  }

  kick(device: string): number {
    const clients = [...this.connected.values()].filter((client) => (this.accounts.get(client)?.name ?? client.id) === device)
    for (const client of clients) client.close()
    return clients.length
  }

  receive(each: (topic: string, payload: Uint8Array) => Promise<void>): void {
    this.ackListeners.push(each)
  }

  /** One at a time: of overlapping publishes with a retained one among them, aedes 1.2 loses or doubles one. */
  async publish(topic: string, payload: string, options: { readonly retain: boolean }): Promise<void> {
    const before = this.lastPublish
    let done: () => void = () => undefined
    this.lastPublish = new Promise((resolve) => (done = resolve))
    await before
    try {
      await this.publishNow({ cmd: 'publish', topic, payload: Buffer.from(payload, 'utf8'), qos: 1, retain: options.retain, dup: false })
    } finally {
      done()
    }
  }

  private publishNow(packet: PublishPacket): Promise<void> {
    if (this.connectedSince === null && !this.stopping)
      return Promise.reject(new PipelineError('UNAVAILABLE', `the broker does not run: ${packet.topic} was not published`))
    return new Promise((resolve, reject) => {
      this.aedes.publish(packet, (cause) => {
        if (cause) reject(new PipelineError('UNAVAILABLE', `${packet.topic} was not published: ${cause.message}`, { cause }))
        else resolve()
      })
    })
  }

  private makeAedes(): Aedes {
    const aedes = new Aedes({
      persistence: new BrokerMemory(this.options.limits.retainedTopics),
      connectTimeout: CONNECT_MS,
      drainTimeout: DRAIN_MS,
      maxInflightInbound: QOS2_OPEN,
      preConnect: (client, packet, done) => this.preConnect(client, packet, done),
      authenticate: (client, username, password, done) =>
        void this.authenticate(client, username, password).then((error) => done(error, error === null)),
      authorizePublish: (client, packet, done) => void this.taken(client, packet, done),
      authorizeSubscribe: (client, subscription, done) => done(null, this.maySubscribe(client, subscription) ? subscription : null),
      authorizeForward: (client, packet) => (mayReceive(packet.topic, this.accountOf(client)) ? packet : null),
    })
    aedes.on('client', (client) => this.remember(client))
    aedes.on('clientDisconnect', (client) => this.forget(client))
    const onError = (client: Client, error: Error) =>
      this.quiet.warn('connection', { reason: 'connection', ...this.who(client), error: error.message }, 'connection ended by an error')
    aedes.on('clientError', onError)
    aedes.on('connectionError', onError)
    aedes.on('unsubscribe', (filters, client) => filters.forEach((filter) => this.subscriptions.get(client)?.delete(filter)))
    this.skipUnwatched(aedes)
    return aedes
  }

  /** aedes routes every message through its subscriptions, after it was taken; telemetry nobody watches is done by then. */
  private skipUnwatched(aedes: Aedes): void {
    const publish = aedes.publish.bind(aedes) as (...args: unknown[]) => void
    /** Called as (packet, client, done) for what a client published, as (packet, done) for aedes's own and ours. */
    const route = (packet: PublishPacket, ...rest: unknown[]) => {
      const done = rest[1]
      if (typeof done === 'function' && !this.watched && !packet.topic.startsWith(`${PICKET_LEVEL}/`)) done(null)
      else publish(packet, ...rest)
    }
    Object.assign(aedes, { publish: route })
  }

  /** `read` is where aedes takes bytes from a socket, so nothing passes the watch on packet sizes. */
  private accept(socket: Socket): void {
    const framing = new Framing(this.options.limits.packetBytes)
    const read = socket.read.bind(socket)
    let refusal: string | null = null
    socket.read = (size?: number) => {
      const chunk = refusal === null ? (read(size) as Buffer | null) : null
      refusal = chunk === null ? refusal : framing.refusalOf(chunk)
      if (refusal === null || socket.destroyed) return chunk
      this.refuse('packet', { remote: this.remotes.get(socket) }, refusal)
      socket.destroy()
      return null
    }
    socket.setKeepAlive(true, PROBE_MS)
    socket.setNoDelay(true)
    this.sockets.add(socket)
    this.remotes.set(socket, `${socket.remoteAddress}:${socket.remotePort}`)
    socket.once('close', () => this.sockets.delete(socket))
    this.aedes.handle(socket)
  }

  private preConnect(client: Client, packet: ConnectPacket, done: (error: Error | null, success: boolean) => void): void {
    const refusal = this.connectRefusal(packet)
    if (refusal !== null) {
      this.refuse('connect', { ...this.who(client), client: shortened(packet.clientId) }, refusal)
      return done(new PipelineError('REFUSED', refusal), false)
    }
    // No session outlives its connection: what a device must know when it comes back is retained, and nothing piles up for who doesn't.
    packet.clean = true
    done(null, true)
  }

  private connectRefusal({ clientId, will }: ConnectPacket): string | null {
    if (this.stopping) return 'the broker is stopping'
    if (clientId.length > CLIENT_ID) return `client id of ${clientId.length} characters, at most ${CLIENT_ID} are allowed`
    if (!will) return null
    if ((will.qos ?? 0) > QOS_HIGHEST) return `will with QoS ${will.qos}`
    const refusal = this.topicRefusal(will.topic)
    return refusal === null ? null : `will: ${refusal}`
  }

  private topicRefusal(topic: string): string | null {
    const { topicLength } = this.options.limits
    if (topic.length > topicLength) return `topic of ${topic.length} characters, at most ${topicLength} are allowed`
    return topic === '' || /[+#]/.test(topic) ? `topic ${quoted(topic)} is empty or holds a wildcard` : null
  }

  /** null when the client may come in. */
  private async authenticate(client: Client, name = '', password: Uint8Array = Buffer.alloc(0)): Promise<AuthenticateError | null> {
    const { credentials } = this.options
    if (credentials === null) return null
    const account = await credentials.verify(name, password)
    if (account === null) return this.loginRefusal(client, name, WRONG_PASSWORD, 'unknown user or wrong password')
    const holder = this.connected.get(client.id)
    if (holder && this.accounts.get(holder)?.name !== name)
      return this.loginRefusal(client, name, NOT_AUTHORIZED, 'another user is connected with this client id')
    this.accounts.set(client, account)
    return null
  }

  /** null without credentials: anyone. With them, nobody unless logged in. */
  private accountOf(client: Client | null): Account | null {
    if (this.options.credentials === null) return null
    return (client && this.accounts.get(client)) ?? NOBODY
  }

  private loginRefusal(client: Client, username: string, returnCode: AuthErrorCode, why: string): AuthenticateError {
    this.refuse('login', { ...this.who(client), username: shortened(username) }, why)
    return Object.assign(new PipelineError('UNAUTHORIZED', why), { returnCode })
  }

  private maySubscribe(client: Client, { topic }: Subscription): boolean {
    const held = this.subscriptions.get(client) ?? new Set<string>()
    const refusal = this.filterRefusal(topic, held) ?? subscriptionRefusal(topic, this.accountOf(client))
    if (refusal !== null) {
      this.refuse('subscribe', { ...this.who(client), filter: shortened(topic) }, refusal)
      return false
    }
    this.subscriptions.set(client, held.add(topic))
    if (!topic.startsWith(`${PICKET_LEVEL}/`)) this.watched = true
    return true
  }

  private filterRefusal(filter: string, held: ReadonlySet<string>): string | null {
    const { topicLength, subscriptionsPerClient } = this.options.limits
    if (filter.length > topicLength) return `filter of ${filter.length} characters, at most ${topicLength} are allowed`
    return !held.has(filter) && held.size >= subscriptionsPerClient ? `more than ${subscriptionsPerClient} subscriptions` : null
  }

  /**
   * aedes asks this before it acknowledges, for every QoS and for wills, so here the message goes into the log first.
   * An error ends the connection without acknowledgement: the device sends again.
   */
  private async taken(client: Client | null, packet: PublishPacket, done: (error?: Error | null) => void): Promise<void> {
    // Left unanswered, so that acknowledgements under way on its connection still go out; the device sends it again when it is back.
    if (this.stopping) return
    this.underWay++
    const error = await this.take(client, packet).then(
      () => null,
      (thrown: unknown) => (thrown instanceof Error ? thrown : new Error(errorText(thrown))),
    )
    done(error)
    this.underWay--
    if (this.underWay === 0) for (const resolve of this.idleListeners.splice(0)) resolve()
  }

  private take(client: Client | null, packet: PublishPacket): Promise<void> {
    const { topic, qos, dup = false } = packet
    const account = this.accountOf(client)
    const use = useOf(topic, account, this.telemetry)
    const refusal = packetIdRefusal(packet) ?? this.topicRefusal(topic) ?? (use.kind === 'refused' ? use.why : null)
    if (refusal !== null) {
      this.refuse('publish', { ...this.who(client), topic: shortened(topic) }, refusal)
      return Promise.reject(new PipelineError('REFUSED', refusal))
    }
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload, 'utf8') : packet.payload
    // Retained messages of devices would pile up without end, and are in the log.
    packet.retain = false
    if (use.kind === 'ack') return Promise.all(this.ackListeners.map((each) => each(topic, payload))).then(() => undefined)
    assert(this.deliver, 'messages come only after start')
    // It comes from the device itself: only what a subscriber finds there already is history.
    const arrival = this.options.clock.now()
    return this.deliver({ source: this.name, client: client?.id ?? '', account, topic, payload, qos, dup, retain: false, arrival })
  }

  private remember(client: Client): void {
    this.connected.set(client.id, client)
    this.counters.connections.set(this.connected.size)
  }

  private forget(client: Client): void {
    if (this.connected.get(client.id) === client) this.connected.delete(client.id)
    this.counters.connections.set(this.connected.size)
  }

  /** A connection that never said CONNECT has no name but its address. */
  private who(client: Client | null): LogFields {
    return { client: shortened(client?.id ?? ''), remote: client && this.remotes.get(client.conn) }
  }

  private refuse(reason: Refused, fields: LogFields, why: string): void {
    this.counters.refused.add(1, { reason })
    this.quiet.warn(reason, { reason, ...fields, why }, 'broker refused')
  }
}

/** [MQTT-2.3.1-1]; a will has none. */
function packetIdRefusal({ qos, messageId }: PublishPacket): string | null {
  return qos > 0 && messageId === 0 ? `publish of QoS ${qos} with packet id 0` : null
}

function declareMetrics(metrics: Metrics) {
  return {
    connections: metrics.gauge('picket_broker_connections', 'Clients connected to the embedded broker'),
    refused: metrics.counter('picket_broker_refused_total', 'What the embedded broker refused', ['reason']),
  }
}
