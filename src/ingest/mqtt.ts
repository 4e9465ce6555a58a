/** Source: a broker of the user's, over mqtt.js. A message is acknowledged once it is in the log; until then the broker's session keeps it. */
import type { IPublishPacket } from 'mqtt'
import { PipelineError } from '../core/errors.ts'
import type { Message } from '../core/message.ts'
import { propertiesOf } from '../core/topic-rule.ts'
import { delay } from '../ops/clock.ts'
import { Backlog } from './mqtt-backlog.ts'
import { openConnection } from './mqtt-connection.ts'
import type { Accepted, Connection } from './mqtt-connection.ts'
import { Link } from './mqtt-link.ts'
import { messageOf } from './mqtt-message.ts'
import { MQTT_DEFAULTS, parseMqttUrl } from './mqtt-options.ts'
import type { MqttAddress, MqttSourceOptions } from './mqtt-options.ts'
import type { Lead, Source, SourceStatus } from './source.ts'
import { compilePatterns } from './topic-pattern.ts'

/** What was taken gets so long to become durable and be acknowledged before the connection is left, ms. */
const DRAIN_MS = 2_000
const DRAIN_POLL_MS = 10
/** A connection that ends so soon after a marker was sent may have been ended for it, ms; so often in a row, no more are sent. */
const MARKER_ENDS_MS = 2_000
const MARKER_ENDS_MOST = 2

/** Throws BAD_CONFIG for a bad URL, client id, patterns, or what needs MQTT 5 under 3.1.1. */
export function createMqttSource(options: MqttSourceOptions): Source {
  return new MqttSource(options)
}

class MqttSource implements Source {
  readonly name: string
  readonly isLed: boolean
  readonly #options: MqttSourceOptions
  readonly #address: MqttAddress
  readonly #filters: readonly string[]
  readonly #markerTopic: string
  readonly #meters: ReturnType<typeof declareMetrics>
  readonly #link: Link
  #deliver: (message: Message) => Promise<void> = () => Promise.reject(new PipelineError('CLOSED', 'the source has not started'))
  #stop = new AbortController()
  #ended: Promise<void> = Promise.resolve()
  #backlog: Backlog | null = null
  /** Of the marker that is under way. */
  #marker = ''
  #markerSentAt = -Infinity
  /** Connections in a row that ended soon after their marker was sent. */
  #markerEnds = 0
  #connections = 0
  /** A 3.1.1 broker says what is retained at each SUBSCRIBE: asked once a process, and where the session is new. */
  #hasSubscribed = false
  #returningUntil = -Infinity

  constructor(options: MqttSourceOptions) {
    const { name, topics, device = '{device}', nameLength, clientId, share = null, username, clock, random, logger, reconnect } = options
    check(options)
    this.name = name
    this.isLed = share === null
    this.#options = options
    this.#address = parseMqttUrl(options.url, `source ${name}: mqtt.url`)
    const { filters } = compilePatterns({ patterns: topics, device, nameLength })
    this.#filters = share === null ? filters : filters.map((filter) => `$share/${share}/${filter}`)
    this.#markerTopic = `picket/${clientId}/marker`
    this.#meters = declareMetrics(options.metrics)
    this.#meters.connected.set(0, { source: name })
    this.#link = new Link({
      clock, random, logger, what: `source ${name}`, address: this.#address.text, asking: { username, clientId },
      ...(reconnect === undefined ? {} : { reconnect }),
      open: () => this.#open(),
      prepare: (connection, accepted) => this.#prepare(connection, accepted),
      changed: (isUp) => this.#changed(isUp),
      failed: (reason) => this.#meters.refused.add(1, { source: name, reason }),
    })
  }

  async start(deliver: (message: Message) => Promise<void>, lead?: Lead): Promise<void> {
    await this.stop()
    this.#deliver = deliver
    this.#stop = new AbortController()
    this.#ended = this.#link.run(this.#stop.signal, lead ?? null, (connection) => this.#leave(connection))
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#ended
  }

  status(): SourceStatus {
    return { name: this.name, connectedSince: this.#link.connectedSince, backlog: this.#isBehind() }
  }

  trouble(): string | null {
    return this.#link.trouble
  }

  #open(): Promise<Connection> {
    const { window = MQTT_DEFAULTS.window, packetBytes = null, sessionExpirySeconds = MQTT_DEFAULTS.sessionExpirySeconds, clientId, clock } = this.#options
    const about = { address: this.#address, broker: this.#options, clientId, sessionExpirySeconds, window, packetBytes, clock }
    return openConnection({ ...about, take: (packet) => this.#take(packet) })
  }

  #take(packet: IPublishPacket): Promise<void> {
    this.#backlog?.came()
    if (packet.topic === this.#markerTopic) return this.#takeMarker(packet)
    const { name, identity = null, clock } = this.#options
    return this.#deliver(messageOf(packet, { source: name, identity: identity?.property ?? null }, clock.now()))
  }

  async #takeMarker({ payload }: IPublishPacket): Promise<void> {
    // One of an earlier connection may stand in the session's queue.
    if (payload.toString() !== this.#marker) return
    this.#markerEnds = 0
    this.#backlog?.markerCame()
  }

  async #prepare(connection: Connection, { sessionPresent }: Accepted): Promise<void> {
    const { clock, version, returnMs = 0 } = this.#options
    this.#backlog = sessionPresent ? new Backlog(clock, () => connection.underWay()) : null
    if (sessionPresent || this.#connections > 0) this.#returningUntil = clock.monotonic() + returnMs
    this.#connections++
    if (version === 5 || !sessionPresent || !this.#hasSubscribed) await connection.subscribe(this.#filters)
    this.#hasSubscribed = true
    if (this.#backlog) this.#sendMarker(connection, this.#backlog)
  }

  /** Not waited for: what the broker had queued comes before its answers. */
  #sendMarker(connection: Connection, backlog: Backlog): void {
    const { clock, random } = this.#options
    if (this.#markerEnds >= MARKER_ENDS_MOST) return backlog.markerRefused()
    this.#marker = random.id()
    const send = async () => {
      await connection.subscribe([this.#markerTopic])
      this.#markerSentAt = clock.monotonic()
      await connection.publish(this.#markerTopic, this.#marker, { retain: false })
    }
    send().catch(() => backlog.markerRefused()) // a broker that doesn't let us is one without markers
  }

  #changed(isUp: boolean): void {
    const labels = { source: this.name }
    this.#meters.connected.set(isUp ? 1 : 0, labels)
    if (isUp && this.#connections > 1) this.#meters.reconnects.add(1, labels)
    if (isUp) return
    const endedSoon = this.#options.clock.monotonic() - this.#markerSentAt < MARKER_ENDS_MS
    if (this.#backlog?.isMarkerAwaited && endedSoon) this.#markerEnds++
    this.#backlog = null
  }

  #isBehind(): boolean {
    return this.#backlog?.isComing() === true || this.#options.clock.monotonic() < this.#returningUntil
  }

  /** What was taken may become durable and be acknowledged; what isn't stays with the broker. */
  async #leave(connection: Connection): Promise<void> {
    const { clock } = this.#options
    connection.hold()
    for (let waited = 0; waited < DRAIN_MS && connection.underWay() > 0; waited += DRAIN_POLL_MS) {
      await Promise.race([connection.over, delay(clock, DRAIN_POLL_MS)])
    }
  }
}

const MOST_WINDOW = 65_535

function check({ name, topics, device = '{device}', version, clientId, window = 1, identity }: MqttSourceOptions): void {
  const bad = (what: string) => new PipelineError('BAD_CONFIG', `source ${name}: ${what}`)
  if (clientId === '' || /[/+#\0]/.test(clientId)) throw bad(`mqtt.clientId is "${clientId}"; allowed: text without /, + and #`)
  if (!Number.isInteger(window) || window < 1 || window > MOST_WINDOW) throw bad(`mqtt.window is ${window}; allowed: 1 to ${MOST_WINDOW}`)
  if (version === 5) return
  if (identity) throw bad(`mqtt.identity needs mqtt.version 5, which is ${version}`)
  const [property] = propertiesOf(topics, device)
  if (property !== undefined) throw bad(`topics name the user property ${property}, which needs mqtt.version 5, which is ${version}`)
}

function declareMetrics(metrics: MqttSourceOptions['metrics']) {
  return {
    connected: metrics.gauge('picket_source_connected', 'Whether this process receives from the source: 1 or 0', ['source']),
    reconnects: metrics.counter('picket_source_reconnects_total', 'Connections to the broker of a source after the first', ['source']),
    refused: metrics.counter('picket_source_refused_total', 'Connections to the broker of a source that failed or ended, and why', ['source', 'reason']),
  }
}
