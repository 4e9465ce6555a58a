/** Port and adapter: an MQTT client as `replay` needs it, over mqtt.js. */
import type { MqttClient, Store } from 'mqtt'
import { errorText } from '../core/errors.ts'
import type { MqttTls } from '../ingest/mqtt-options.ts'
import { Failure } from './io.ts'

export interface PublisherOptions {
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://`. */
  readonly url: string
  /** PEM texts; null: the system's authorities, no certificate of our own. */
  readonly tls: MqttTls | null
  readonly clientId: string
  readonly username: string | null
  readonly password: string | null
}

export interface Publisher {
  /** QoS 1; resolves with the broker's PUBACK, rejects once the publisher has ended. Order is that of the calls. */
  publish(topic: string, payload: string): Promise<void>
  /** Drops what is not acknowledged. */
  end(): Promise<void>
}

/** Resolves when connected; throws a Failure that says what to do. */
export type Connect = (options: PublisherOptions) => Promise<Publisher>

const CONNECT_MS = 10_000

export const connectMqtt: Connect = async (options) => {
  const { connect, Store } = await import('mqtt')
  const { url, clientId, tls } = options
  const client = connect(url, {
    clientId,
    ...(tls?.ca == null ? {} : { ca: tls.ca }),
    ...(tls?.cert == null ? {} : { cert: tls.cert }),
    ...(tls?.key == null ? {} : { key: tls.key }),
    ...(options.username === null ? {} : { username: options.username }),
    ...(options.password === null ? {} : { password: options.password }),
    connectTimeout: CONNECT_MS,
    // A connection lost midway comes back and sends again what was not acknowledged; the caller has the deadline.
    reconnectPeriod: 500,
    outgoingStore: flaggingRepeats(new Store()),
  })
  await connected(client, url)
  const online = onlineOf(client)
  return {
    async publish(topic, payload) {
      await online()
      await client.publishAsync(topic, payload, { qos: 1 })
    },
    end: () => client.endAsync(true),
  }
}

/** What mqtt.js sends again it takes from the store, and without the DUP flag that a repeat must have [MQTT-3.3.1-1]. */
function flaggingRepeats(store: Store): Store {
  const put = store.put.bind(store)
  store.put = (packet, done) => put(packet.cmd === 'publish' ? { ...packet, dup: true } : packet, done)
  return store
}

interface Connection {
  readonly connected: boolean
  on(event: 'close' | 'connect', run: () => void): unknown
}

/** Resolves at once while connected, else with the next connection: what is published in between would be stored, and then flagged as a repeat. */
export function onlineOf(client: Connection): () => Promise<void> {
  const gate = { isOpen: Promise.resolve(), open: () => {} }
  client.on('close', () => {
    gate.open()
    gate.isOpen = new Promise((resolve) => (gate.open = resolve))
  })
  client.on('connect', () => gate.open())
  return async () => {
    while (!client.connected) await gate.isOpen
  }
}

/** Ends the client when its first connection fails; once connected, the deadline on acknowledgements speaks for later errors. */
function connected(client: MqttClient, url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      client.end(true)
      reject(new Failure(whyNot(url, error), { cause: error }))
    }
    const close = () => fail(new Error('the connection was closed before it was accepted'))
    // An 'error' without a listener would end the process.
    client.on('error', () => {})
    client.once('error', fail)
    client.once('close', close)
    client.once('connect', () => {
      client.off('error', fail)
      client.off('close', close)
      resolve()
    })
  })
}

function whyNot(url: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ECONNREFUSED') return `no MQTT broker answers at ${url}; start Picket with npm start, or give the address by --set listen.mqtt=HOST:PORT, or sources.0.mqtt.url=URL`
  if (code === 4 || code === 5) return `${url} refuses these credentials; give --username and --password of the device`
  return `${url}: ${errorText(error)}`
}
