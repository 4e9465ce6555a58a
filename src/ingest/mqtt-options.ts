/** What it takes to reach an MQTT broker of the user's, as a source of messages and as the way back to devices: all of it from the config. */
import { PipelineError } from '../core/errors.ts'
import type { TopicEntry } from '../core/topic-rule.ts'
import type { Clock } from '../ops/clock.ts'
import type { Logger } from '../ops/logger.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { Random } from '../ops/random.ts'

export type MqttVersion = 5 | '3.1.1'

/** PEM texts, as `readTls` gives them; null: the system's authorities, or no certificate of our own. */
export interface MqttTls {
  readonly ca: string | null
  /** Together with `key`, or null both. */
  readonly cert: string | null
  readonly key: string | null
}

/** One broker and who we are to it. */
export interface MqttBrokerOptions {
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://`, host, port (left out: 1883, 8883, 80, 443) and, of a WebSocket, a path. No user or password. */
  readonly url: string
  readonly version: MqttVersion
  readonly username: string | null
  readonly password: string | null
  /** Only with `mqtts` and `wss`; null there: the system's authorities. */
  readonly tls: MqttTls | null
  /** Pause before a lost connection is opened again: doubles from first to most, each drawn from its upper half, ms. Default 200 and 10,000. */
  readonly reconnect?: { readonly firstMs: number; readonly mostMs: number }
  /** Default 30 s. */
  readonly keepaliveSeconds?: number
  /** A connection must be up within this, ms. Default 10,000. */
  readonly connectMs?: number
}

export interface MqttPorts {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface MqttSourceOptions extends MqttBrokerOptions, MqttPorts {
  /** Of the source, in messages, ticks, metrics. */
  readonly name: string
  /**
   * The broker keeps the session under this id. Led (no `share`): the same in every replica, default of the config `picket-<name>`.
   * With `share`: of this replica alone, and the same after its restart, or what the broker kept for it is lost.
   */
  readonly clientId: string
  /** Topics of the source: what is subscribed to. */
  readonly topics: readonly TopicEntry[]
  /** Template of a device's name where its topic doesn't say; default `{device}`. */
  readonly device?: string
  /** As `IngestLimits.nameLength`. */
  readonly nameLength: number
  /** Most messages of QoS 1 and 2 under way, 1 to 65,535; MQTT 5 tells it the broker. Default 1,000. */
  readonly window?: number
  /** Most bytes of a packet, MQTT 5 only: the broker drops what is larger. null: no such bound. Default null. */
  readonly packetBytes?: number | null
  /** How long the broker keeps the session while nobody is connected, s; MQTT 5 only. Default 7 days. */
  readonly sessionExpirySeconds?: number
  /** Group of a shared subscription: every replica connects, nobody leads. Left out or null: one replica leads. */
  readonly share?: string | null
  /** User property in which the broker, and nobody else, says who published. MQTT 5 only. */
  readonly identity?: { readonly property: string } | null
  /** After a connection that had one before it, devices are still coming back for so long, ms. Default 0. */
  readonly returnMs?: number
}

/** The way back to devices over one broker. */
export interface MqttChannelOptions extends MqttBrokerOptions, MqttPorts {
  /** Of the source whose broker it is, in metrics and log lines. */
  readonly name: string
  /** Not the source's own: default of the config `picket-respond-<name>`, the same in every replica. */
  readonly clientId: string
  /** A publish waits so long for a connection, and so long for its acknowledgement, ms. Default 5,000. */
  readonly publishMs?: number
}

export const MQTT_DEFAULTS = {
  reconnect: { firstMs: 200, mostMs: 10_000 },
  keepaliveSeconds: 30,
  connectMs: 10_000,
  window: 1_000,
  sessionExpirySeconds: 7 * 86_400,
  publishMs: 5_000,
} as const

/** Where a URL leads. */
export interface MqttAddress {
  readonly protocol: 'mqtt' | 'mqtts' | 'ws' | 'wss'
  readonly host: string
  readonly port: number
  /** '' but for a WebSocket. */
  readonly path: string
  readonly isSecure: boolean
  /** For people: without what nobody should see. */
  readonly text: string
}

const PORTS = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 } as const

/** Throws BAD_CONFIG. `where` is the key of the config, such as `sources.0.mqtt.url`. */
export function parseMqttUrl(url: string, where: string): MqttAddress {
  const parsed = URL.canParse(url) ? new URL(url) : null
  const protocol = parsed?.protocol.slice(0, -1) as keyof typeof PORTS | undefined
  const bad = (why: string) =>
    new PipelineError('BAD_CONFIG', `${where} ${why}; allowed: mqtt://, mqtts://, ws:// or wss:// with a host, such as mqtts://broker:8883`)
  if (!parsed || !protocol || !(protocol in PORTS) || parsed.hostname === '') throw bad('is no address of an MQTT broker')
  if (parsed.username !== '' || parsed.password !== '') throw bad('holds a user or password, which belong in the keys username and password')
  if (parsed.search !== '' || parsed.hash !== '') throw bad('holds a ? or #')
  const isWebSocket = protocol === 'ws' || protocol === 'wss'
  if (!isWebSocket && parsed.pathname !== '' && parsed.pathname !== '/') throw bad('has a path, which only WebSockets have')
  const port = parsed.port === '' ? PORTS[protocol] : Number(parsed.port)
  const host = parsed.hostname.replace(/^\[|\]$/g, '')
  const path = isWebSocket ? parsed.pathname || '/' : ''
  const text = `${protocol}://${parsed.hostname}:${port}${path === '/' ? '' : path}`
  return { protocol, host, port, path, isSecure: protocol === 'mqtts' || protocol === 'wss', text }
}
