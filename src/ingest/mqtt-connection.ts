/** One connection to a broker over mqtt.js, from CONNECT to its end; the only file that leans on what mqtt.js 5.16 does beyond its documentation. */
import type { IClientOptions, IPublishPacket, MqttClient } from 'mqtt'
import { assert } from '../core/assert.ts'
import { errorText } from '../core/errors.ts'
import { delay } from '../ops/clock.ts'
import type { Clock } from '../ops/clock.ts'
import { Acks, PUBACK, PUBREC } from './mqtt-acks.ts'
import { MQTT_DEFAULTS } from './mqtt-options.ts'
import type { MqttAddress, MqttBrokerOptions } from './mqtt-options.ts'
import { MqttTrouble, saidByBroker, troubleOf } from './mqtt-trouble.ts'

export interface ConnectionOptions {
  readonly address: MqttAddress
  readonly broker: MqttBrokerOptions
  readonly clientId: string
  /** How long the broker keeps the session, s; 0: it ends with the connection. 3.1.1 knows only whether it does. */
  readonly sessionExpirySeconds: number
  /** Messages taken and not yet in the log; beyond, nothing more is read. MQTT 5 tells the broker. */
  readonly window: number
  /** null: packets of any size. MQTT 5 only. */
  readonly packetBytes: number | null
  readonly clock: Clock
  /**
   * Each PUBLISH in the order they come; acknowledged after it resolves, in that order. Where it rejects, the connection ends, and the
   * broker sends it again on the next.
   */
  readonly take: (packet: IPublishPacket) => Promise<void>
}

export interface Accepted {
  /** The broker had kept the session, and what came for it. */
  readonly sessionPresent: boolean
}

export interface Connection {
  /** Rejects with an `MqttTrouble`, after the connection has ended. */
  readonly accepted: Promise<Accepted>
  /** Resolves with why, once it is over; after `end`, null. */
  readonly over: Promise<MqttTrouble | null>
  /** QoS 1, and what is retained only where the subscription is new. Rejects with an `MqttTrouble` naming the filters the broker refuses. */
  subscribe(filters: readonly string[]): Promise<void>
  /** QoS 1; resolves with the broker's acknowledgement, rejects when it says no or the connection ends before. */
  publish(topic: string, payload: string, options: { readonly retain: boolean }): Promise<void>
  /** Takes no further message. Those taken may still be acknowledged. */
  hold(): void
  /** Messages taken and not yet acknowledged. */
  underWay(): number
  /** Says goodbye, within half a second. */
  end(): Promise<void>
}

/** Suppresses mqtt.js's own acknowledgement, and lets it go on to the next packet. */
const DEFERRED = new Error('acknowledged once it is in the log')
/** A goodbye takes so long at most, ms. */
const GOODBYE_MS = 500
/** Reasons of a SUBACK from here on say no. */
const REFUSED_FROM = 0x80

/** Begins to connect. Never rejects: what goes wrong ends the connection. */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const { connect } = await import('mqtt')
  return new OpenConnection(options, connect(clientOptions(options)))
}

function clientOptions(options: ConnectionOptions): IClientOptions {
  const { address, broker, clientId, sessionExpirySeconds, window, packetBytes } = options
  const { version, username, password, tls, connectMs = MQTT_DEFAULTS.connectMs, keepaliveSeconds = MQTT_DEFAULTS.keepaliveSeconds } = broker
  const isWebSocket = address.protocol === 'ws' || address.protocol === 'wss'
  const properties = { sessionExpiryInterval: sessionExpirySeconds, receiveMaximum: window, ...(packetBytes === null ? {} : { maximumPacketSize: packetBytes }) }
  return {
    protocol: address.protocol,
    host: isWebSocket && address.host.includes(':') ? `[${address.host}]` : address.host,
    port: address.port,
    path: address.path,
    protocolVersion: version === 5 ? 5 : 4,
    clientId,
    clean: sessionExpirySeconds === 0,
    keepalive: keepaliveSeconds,
    connectTimeout: connectMs,
    // Whoever keeps the connection up opens another; a client of mqtt.js lives for one.
    reconnectPeriod: 0,
    resubscribe: false,
    log: () => undefined,
    ...(version === 5 ? { properties } : {}),
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(tls?.ca ? { ca: tls.ca } : {}),
    ...(tls?.cert && tls.key ? { cert: tls.cert, key: tls.key } : {}),
  }
}

class OpenConnection implements Connection {
  readonly accepted: Promise<Accepted>
  readonly over: Promise<MqttTrouble | null>
  readonly #options: ConnectionOptions
  readonly #client: MqttClient
  readonly #acks: Acks
  /** QoS 0 under way: owed no acknowledgement, but bounded all the same. */
  #unowed = 0
  /** Nothing is taken any more: it was asked to, or is over. mqtt.js would go through what it had read already. */
  #isHeld = false
  /** Lets mqtt.js go on to the next packet. */
  #resume: (() => void) | null = null
  #trouble: MqttTrouble | null = null
  #isEnding = false

  constructor(options: ConnectionOptions, client: MqttClient) {
    this.#options = options
    this.#client = client
    this.#acks = new Acks((bytes) => this.#write(bytes), () => this.#goOn())
    this.#deferAcks()
    this.#keepAlive()
    this.over = this.#untilOver()
    this.accepted = Promise.race([
      new Promise<Accepted>((resolve) => client.once('connect', ({ sessionPresent }) => resolve({ sessionPresent }))),
      this.over.then((trouble): never => {
        throw trouble ?? new MqttTrouble({ reason: 'lost', text: 'the connection was ended before it was accepted' })
      }),
    ])
    this.accepted.catch(() => undefined) // `over` says the same
  }

  subscribe(filters: readonly string[]): Promise<void> {
    const how = this.#options.broker.version === 5 ? { qos: 1, rap: false, rh: 1 } as const : { qos: 1 } as const
    return this.#answered((done) => {
      this.#client.subscribe([...filters], how, (error, _granted, packet) => done(error && this.#refusedFilters(filters, error, packet?.granted ?? [])))
    })
  }

  publish(topic: string, payload: string, { retain }: { readonly retain: boolean }): Promise<void> {
    return this.#answered((done) => this.#client.publish(topic, payload, { qos: 1, retain }, (error) => done(error ?? null)))
  }

  hold(): void {
    this.#isHeld = true
  }

  underWay(): number {
    return this.#acks.owed + this.#unowed
  }

  async end(): Promise<void> {
    if (this.#isEnding) return void (await this.over)
    this.#isEnding = true
    if (this.#client.connected) {
      this.#client.end(false)
      await Promise.race([this.over, delay(this.#options.clock, GOODBYE_MS)])
    }
    this.#client.stream.destroy()
    await this.over
  }

  /** mqtt.js would acknowledge each message before it reads the next: with a log that takes 5 ms that is 160 messages a second. */
  #deferAcks(): void {
    const client = this.#client
    client.handleMessage = (packet, done) => {
      if (this.#isHeld) return
      if (packet.qos === 1) return this.#takeOwed(packet, PUBACK, () => done(DEFERRED))
      this.#unowed++
      const settled = () => {
        this.#unowed--
        this.#goOn()
      }
      this.#options.take(packet).then(settled, settled)
      this.#next(() => done())
    }
    // QoS 2 comes only where somebody subscribed this client id to it before us. mqtt.js hands it over after PUBREC, when the broker has
    // let go of it: here it goes into the log before, as QoS 1 does, and a repeat is flagged and dropped downstream.
    client.options.customHandleAcks = (_topic, _payload, packet: IPublishPacket, done) => {
      if (packet.qos !== 2) done(0)
      else if (!this.#isHeld) this.#takeOwed(packet, PUBREC, () => done(DEFERRED))
    }
  }

  #takeOwed(packet: IPublishPacket, kind: typeof PUBACK | typeof PUBREC, done: () => void): void {
    assert(packet.messageId, 'a message of QoS 1 or 2 has a packet id')
    const owed = this.#acks.owe(kind, packet.messageId)
    this.#options.take(packet).then(
      () => this.#acks.durable(owed),
      (error: unknown) => this.#fail(new MqttTrouble({ reason: 'log', text: `the log took a message not: ${errorText(error)}` }, { cause: error })),
    )
    this.#next(done)
  }

  /** A broker that minds the window never comes to be held: Mosquitto 2.0.11 doesn't over a backlog, and 3.1.1 knows no window. */
  #next(done: () => void): void {
    if (this.underWay() > this.#options.window) this.#resume = done
    else done()
  }

  #goOn(): void {
    if (this.#isHeld || this.#resume === null || this.underWay() > this.#options.window) return
    const resume = this.#resume
    this.#resume = null
    resume()
  }

  #write(bytes: Buffer): void {
    if (this.#client.connected && !this.#client.stream.destroyed) this.#client.stream.write(bytes)
  }

  /**
   * While nothing is read, no PINGRESP is either: mqtt.js would take the connection for dead, and the broker send all again on the next,
   * for ever. So pings go out meanwhile, and nobody waits for their answers.
   */
  #keepAlive(): void {
    const { clock } = this.#options
    const timer = {
      set: (run: () => void, ms: number) => {
        const one = { cancel: () => undefined as void }
        const again = () => {
          one.cancel = clock.after(ms, () => {
            again()
            if (this.#resume === null && !this.#isHeld) run()
            else this.#client.sendPing()
          })
        }
        again()
        return one
      },
      clear: (one: { readonly cancel: () => void }) => one.cancel(),
    }
    this.#client.options.timerVariant = timer as unknown as NonNullable<IClientOptions['timerVariant']>
  }

  #untilOver(): Promise<MqttTrouble | null> {
    const asking = { username: this.#options.broker.username, clientId: this.#options.clientId }
    const note = (error: unknown) => {
      if (error === DEFERRED) return
      // What came first is the cause; what a closing stream says after it is not.
      this.#trouble ??= new MqttTrouble(troubleOf(error, asking), { cause: error })
    }
    this.#client.on('error', (error) => {
      note(error)
      // A packet that can't be parsed is told here alone; mqtt.js would go on with what follows it.
      if (error !== DEFERRED) this.#client.stream.destroy()
    })
    this.#client.stream.on('error', note)
    this.#client.on('disconnect', ({ reasonCode = 0 }) => {
      this.#trouble ??= new MqttTrouble(saidByBroker(reasonCode, 'DISCONNECT', asking))
    })
    return new Promise((resolve) => {
      this.#client.once('close', () => {
        this.#isHeld = true
        this.#acks.close()
        const text = `the broker closed the connection without saying why; does another client use client id ${asking.clientId}?`
        const why = this.#trouble ?? new MqttTrouble({ reason: 'lost', text })
        resolve(this.#isEnding ? null : why)
      })
    })
  }

  #fail(trouble: MqttTrouble): void {
    this.#trouble ??= trouble
    this.#client.stream.destroy()
  }

  /** mqtt.js keeps a publish that got no answer for its next connection, of which there is none. */
  async #answered(ask: (done: (error: Error | null) => void) => void): Promise<void> {
    const answer = new Promise<void>((resolve, reject) => ask((error) => (error ? reject(error) : resolve())))
    const ended = this.over.then((trouble): never => {
      throw trouble ?? new MqttTrouble({ reason: 'lost', text: 'the connection was ended' })
    })
    answer.catch(() => undefined)
    ended.catch(() => undefined)
    await Promise.race([answer, ended])
  }

  #refusedFilters(filters: readonly string[], error: Error, granted: readonly unknown[]): Error {
    const refused = filters.filter((_, i) => Number(granted[i] ?? 0) >= REFUSED_FROM)
    if (refused.length === 0) return error
    const who = this.#options.broker.username === null ? 'a client without user name' : `user ${this.#options.broker.username}`
    const text = `the broker refuses ${who} the subscription to ${refused.join(', ')}; mend its rights at the broker`
    return new MqttTrouble({ reason: 'subscribe', text }, { cause: error })
  }
}
