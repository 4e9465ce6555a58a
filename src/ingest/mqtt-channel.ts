/** The way back to devices over brokers of the user's: respond's commands and desired states out, devices' acknowledgements in, while we lead respond. */
import type { IPublishPacket } from 'mqtt'
import { PICKET_LEVEL } from '../core/device-topic.ts'
import { errorText, PipelineError } from '../core/errors.ts'
import { delay } from '../ops/clock.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { Channel } from '../respond/enforcer.ts'
import { openConnection } from './mqtt-connection.ts'
import type { Connection } from './mqtt-connection.ts'
import { Link } from './mqtt-link.ts'
import { MQTT_DEFAULTS, parseMqttUrl } from './mqtt-options.ts'
import type { MqttAddress, MqttChannelOptions } from './mqtt-options.ts'
import type { Lead } from './source.ts'

/** A channel that is there only while this process leads respond. */
export interface LedChannel extends Channel {
  /** Connects under the channel's client id, and so ends the connection of whoever led before; doesn't wait for it, a publish does. */
  start(lead: Lead): void
  /** Disconnects. Publishes that have no answer reject. */
  stop(): Promise<void>
  /** Why nothing can be published though it was started, a line each. */
  reasons(): readonly string[]
}

const ACKS = `${PICKET_LEVEL}/+/ack`
/** Acknowledgements of devices under way; more wait at the broker. */
const WINDOW = 256

/** Throws BAD_CONFIG for a bad URL. */
export function createMqttChannel(options: MqttChannelOptions): LedChannel {
  return new MqttChannel(options)
}

/** To all: a device is known to be at one of them, but not at which. Done when all have taken it; answers come from any. */
export function fanOut(channels: readonly LedChannel[]): LedChannel {
  return {
    async publish(topic, payload, options) {
      const outcomes = await Promise.allSettled(channels.map((channel) => channel.publish(topic, payload, options)))
      const failed = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
      if (failed.length > 0) throw new PipelineError('UNAVAILABLE', failed.map(errorText).join('; '), { cause: failed[0] })
    },
    receive: (each) => channels.forEach((channel) => channel.receive(each)),
    start: (lead) => channels.forEach((channel) => channel.start(lead)),
    stop: async () => void (await Promise.all(channels.map((channel) => channel.stop()))),
    reasons: () => channels.flatMap((channel) => channel.reasons()),
  }
}

class MqttChannel implements LedChannel {
  readonly #options: MqttChannelOptions
  readonly #address: MqttAddress
  readonly #link: Link
  readonly #listeners: ((topic: string, payload: Uint8Array) => Promise<void>)[] = []
  #stop = new AbortController()
  #ended: Promise<void> = Promise.resolve()
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: MqttChannelOptions) {
    const { name, clientId, username, clock, random, logger, reconnect, metrics } = options
    this.#options = options
    this.#address = parseMqttUrl(options.url, `source ${name}: mqtt.url`)
    const meters = declareMetrics(metrics)
    meters.connected.set(0, { source: name })
    this.#stop.abort()
    this.#link = new Link({
      clock, random, logger, what: `respond at source ${name}`, address: this.#address.text, asking: { username, clientId },
      ...(reconnect === undefined ? {} : { reconnect }),
      open: () => this.#open(),
      prepare: async (connection) => {
        if (this.#listeners.length > 0) await connection.subscribe([ACKS])
      },
      changed: (isUp) => meters.connected.set(isUp ? 1 : 0, { source: name }),
      failed: (reason) => meters.refused.add(1, { source: name, reason }),
    })
  }

  start(lead: Lead): void {
    const before = this.#ended
    this.#stop.abort()
    const stop = new AbortController()
    this.#stop = stop
    const leave = () => Promise.resolve()
    this.#ended = before.then(() => this.#link.run(stop.signal, lead, leave))
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#ended
  }

  reasons(): readonly string[] {
    const { trouble } = this.#link
    return trouble === null || this.#stop.signal.aborted ? [] : [trouble]
  }

  receive(each: (topic: string, payload: Uint8Array) => Promise<void>): void {
    this.#listeners.push(each)
  }

  /** One at a time: what comes later may not overtake what waits for a connection. */
  publish(topic: string, payload: string, options: { readonly retain: boolean }): Promise<void> {
    const outcome = this.#last.then(() => this.#publish(topic, payload, options))
    this.#last = outcome.catch(() => undefined) // its caller hears of it
    return outcome
  }

  async #publish(topic: string, payload: string, options: { readonly retain: boolean }): Promise<void> {
    const { publishMs = MQTT_DEFAULTS.publishMs, clock, name } = this.#options
    const unavailable = (why: string, cause?: unknown) => new PipelineError('UNAVAILABLE', `${topic} was not published to ${this.#address.text}: ${why}`, { cause })
    if (this.#stop.signal.aborted) throw unavailable(`this process does not lead respond, or has not begun at source ${name}`)
    const connection = await this.#link.up(publishMs)
    if (!connection) throw unavailable(this.#link.trouble ?? 'no connection')
    const late = new AbortController()
    const patience = delay(clock, publishMs, late.signal).then(() => {
      if (!late.signal.aborted) throw new PipelineError('UNAVAILABLE', `no acknowledgement within ${publishMs} ms`)
    })
    patience.catch(() => undefined) // where the answer came first
    try {
      await Promise.race([connection.publish(topic, payload, options), patience])
    } catch (cause) {
      throw unavailable(errorText(cause), cause)
    } finally {
      late.abort()
    }
  }

  #open(): Promise<Connection> {
    const { clientId, clock } = this.#options
    // Without a session: what is under way at a takeover is sent again, and answered again.
    const about = { address: this.#address, broker: this.#options, clientId, sessionExpirySeconds: 0, window: WINDOW, packetBytes: null, clock }
    return openConnection({ ...about, take: (packet) => this.#take(packet) })
  }

  async #take({ topic, payload, retain }: IPublishPacket): Promise<void> {
    if (retain) return // an answer of long ago, which somebody let the broker keep
    const bytes = typeof payload === 'string' ? Buffer.from(payload, 'utf8') : payload
    await Promise.all(this.#listeners.map((each) => each(topic, bytes)))
  }
}

function declareMetrics(metrics: Metrics) {
  return {
    connected: metrics.gauge('picket_channel_connected', 'Whether this process reaches devices through the broker of a source: 1 or 0', ['source']),
    refused: metrics.counter('picket_channel_refused_total', 'Connections to the broker of a source, of respond, that failed or ended, and why', ['source', 'reason']),
  }
}
