/** From the config to what stands behind the ports: the only file that knows every adapter. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import type { AppPorts } from './app.ts'
import type { Config, EmbeddedLogConfig, EmbeddedSource, KafkaLogConfig, MqttSource } from './config/config.ts'
import { assert } from './core/assert.ts'
import { errorText, isPipelineError, PipelineError } from './core/errors.ts'
import { type Broker, createBroker } from './ingest/broker.ts'
import { type Credentials, readCredentials } from './ingest/credentials.ts'
import type { IngestLimits } from './ingest/limits.ts'
import { createMqttChannel, fanOut, type LedChannel } from './ingest/mqtt-channel.ts'
import type { MqttTls } from './ingest/mqtt-options.ts'
import { readTls } from './ingest/mqtt-tls.ts'
import { createMqttSource } from './ingest/mqtt.ts'
import type { Source } from './ingest/source.ts'
import { openJournal } from './log/journal/journal.ts'
import type { Log } from './log/log.ts'
import { type Clock, delay } from './ops/clock.ts'
import type { Logger } from './ops/logger.ts'
import type { Metrics } from './ops/metrics.ts'
import { QuietLog } from './ops/quiet-log.ts'
import type { Random } from './ops/random.ts'
import { createDeviceCommand } from './respond/device-command.ts'
import type { Notifier } from './respond/notifier.ts'
import { createWebhook } from './respond/webhook.ts'

export interface OpsPorts {
  readonly clock: Clock
  readonly random: Random
  readonly metrics: Metrics
  readonly logger: Logger
}

export interface Adapters {
  readonly ports: AppPorts
  /** The one inside Picket; null: there is none here. */
  readonly broker: Broker | null
}

/** What is not the config's to say: bounds of the embedded broker and of ingest that no deployment has needed to move yet. */
/** A payload beyond its limit is a dead letter, acknowledged; only one so many times larger ends its connection before it is buffered. */
const PACKET_PAYLOADS = 4
const TOPIC_LENGTH = 1024
const SUBSCRIPTIONS_PER_CLIENT = 16
const RETAINED_TOPICS = 100_000
const QUEUE = { messages: 65_536, bytes: 64 * 1024 * 1024 }
const IN_FLIGHT = { records: 64, bytes: 8 * 1024 * 1024 }
const KNOWN_DEVICES = 100_000
/** After a restart, ms: longer than the usual pauses of clients that try again. */
const RETURN_MS = 30_000

export function ingestLimits({ limits, settings, log }: Config): IngestLimits {
  return {
    payloadBytes: limits.payloadBytes,
    nesting: limits.nesting,
    fields: limits.fields,
    samples: limits.samples,
    nameLength: limits.nameLength,
    metricsPerDevice: settings.limits.metricsPerDevice,
    knownDevices: KNOWN_DEVICES,
    queue: QUEUE,
    inFlight: IN_FLIGHT,
    frameMessages: log.frame.messages,
  }
}

/** Of a process that is starting. */
export interface OpeningOptions {
  /** Of this process, to the log and its other processes. */
  readonly name: string
  /** Told what is waited for, each time it is tried in vain; left out: nobody asks. */
  readonly waitFor?: ((reason: string) => void) | undefined
  /** Aborts when it need not start any more. */
  readonly stopping?: AbortSignal | undefined
}

/** Before Kafka is tried again, ms. */
const RETRY_FIRST_MS = 250
const RETRY_MOST_MS = 5_000
/** It is said again after so long, ms. */
const SAY_AGAIN_MS = 60_000

/**
 * Opens the log, however long Kafka is away, and makes what the roles need, which does not listen or connect yet. Null once `stopping` aborted.
 * Throws BAD_CONFIG, LOCKED, PARTITIONS_CHANGED, UNAUTHORIZED, IO.
 */
export async function openAdapters(config: Config, ops: OpsPorts, opening: OpeningOptions): Promise<Adapters | null> {
  const prepared = await prepare(config)
  const log = config.log.embedded ? await openEmbedded(config.log.embedded, config, ops, opening) : await openPatiently(config.log.kafka, config, ops, opening)
  if (!log) return null
  try {
    return await adaptersOver(log, config, prepared, ops)
  } catch (error) {
    await log.close()
    throw error
  }
}

async function openEmbedded({ path, partitions, retention, reserve }: EmbeddedLogConfig, config: Config, ops: OpsPorts, { name }: OpeningOptions): Promise<Log> {
  const sizes = { retentionBytes: retention.size, retentionAgeMs: retention.age, reserveBytes: reserve }
  return openJournal({ ...ops, name, path, partitions, key: keyOf(config), ...sizes }).catch((error: unknown) => {
    if (!isPipelineError(error, 'PARTITIONS_CHANGED')) throw error
    throw new PipelineError(error.code, `${resolve(path)}: ${error.message}`, { cause: error })
  })
}

async function openPatiently(kafka: KafkaLogConfig, config: Config, ops: OpsPorts, opening: OpeningOptions): Promise<Log | null> {
  const { waitFor, stopping } = opening
  const quiet = new QuietLog({ ...ops, quietMs: SAY_AGAIN_MS })
  const isWanted = () => !stopping?.aborted
  for (let pause = RETRY_FIRST_MS; isWanted(); pause = Math.min(2 * pause, RETRY_MOST_MS)) {
    try {
      const log = await openKafkaLog(kafka, config, ops, opening.name)
      quiet.over('kafka', { brokers: kafka.brokers.join(', ') }, 'log.kafka: reached')
      if (isWanted()) return log
      await log.close()
      return null
    } catch (error) {
      if (!isPipelineError(error) || !error.retriable) throw error
      const reason = `log.kafka can't be opened, trying again: ${error.message}`
      waitFor?.(reason)
      quiet.warn('kafka', {}, reason)
      await delay(ops.clock, pause, stopping)
    }
  }
  return null
}

type LogLook = Pick<Log, 'partitions' | 'bounds' | 'read' | 'close'> & { readonly damaged: readonly never[] }

/** The Kafka log for a verb that looks into it and ends: it counts nothing and says nothing but its errors. Throws as `openKafka` does. */
export async function openKafkaReader(kafka: KafkaLogConfig, config: Config, { clock, random }: Pick<OpsPorts, 'clock' | 'random'>): Promise<LogLook> {
  const nowhere = () => undefined
  const metrics: Metrics = { counter: () => ({ add: nowhere }), gauge: () => ({ set: nowhere }), histogram: () => ({ observe: nowhere }) }
  const logger: Logger = { debug: nowhere, info: nowhere, warn: nowhere, error: nowhere }
  const log = await openKafkaLog(kafka, config, { clock, random, metrics, logger }, `reader/${random.id().slice(0, 6)}`)
  return {
    partitions: log.partitions,
    damaged: [],
    bounds: (topic, partition) => log.bounds(topic, partition),
    read: (topic, partition, from, limit) => log.read(topic, partition, from, limit),
    close: () => log.close(),
  }
}

async function openKafkaLog(kafka: KafkaLogConfig, config: Config, ops: OpsPorts, name: string): Promise<Log> {
  const { openKafka } = await import('./log/kafka/kafka.ts')
  const { brokers, partitions, prefix, replication, minInSync, compression, sasl } = kafka
  const tls = kafka.tls && (await readTls(kafka.tls, 'log.kafka.tls'))
  const retention = { bytes: kafka.retention.size, ageMs: kafka.retention.age }
  return openKafka({ ...ops, brokers, partitions, key: keyOf(config), prefix, name, replication, minInSync, compression, tls, sasl, retention })
}

/** What decides which partition a device lies in. */
function keyOf({ sources }: Config): string {
  return sources[0]?.device ?? '{device}'
}

/** Read from files before anything is opened. */
interface Prepared {
  readonly credentials: Credentials | null
  readonly key: KeyObject | null
  /** By source, of those at brokers of the user's. */
  readonly tls: ReadonlyMap<string, MqttTls | null>
}

/** A role's files are read where it is to run, and nowhere else: detect has no part in MQTT. */
async function prepare({ roles, sources, auth }: Config): Promise<Prepared> {
  const hasMqtt = roles.includes('ingest') || roles.includes('respond')
  const tls = new Map<string, MqttTls | null>()
  for (const [index, { name, mqtt }] of sources.entries())
    if (hasMqtt && mqtt) tls.set(name, mqtt.tls && (await readTls(mqtt.tls, `sources.${index}.mqtt.tls`)))
  const credentials = roles.includes('ingest') && auth.credentials !== null ? await readCredentials(auth.credentials) : null
  const key = roles.includes('respond') && auth.signingKey !== null ? await readSigningKey(auth.signingKey) : null
  return { credentials, key, tls }
}

async function adaptersOver(log: Log, config: Config, prepared: Prepared, ops: OpsPorts): Promise<Adapters> {
  const { roles, sources } = config
  const embedded = sources.find((source) => source.embedded)
  const broker = embedded && roles.includes('ingest') ? await brokerOf(log, config, embedded, prepared, ops) : null
  const tlsOf = (name: string) => prepared.tls.get(name) ?? null
  const ingestSources = sources.map(({ topics, device, ...source }) => {
    const receives = source.embedded ? broker : roles.includes('ingest') ? mqttSource(config, { topics, device, ...source }, tlsOf(source.name), ops) : null
    return receives ? [{ source: receives, patterns: topics, device }] : []
  })
  const ingest = { sources: ingestSources.flat() }
  if (!roles.includes('respond')) return { broker, ports: { ...ops, log, ...ingest, enforcer: null, notifiers: [] } }
  const channel = fanOut(sources.map((source) => (source.embedded ? alwaysThere(broker) : mqttChannel(source, tlsOf(source.name), ops))))
  const enforcer = createDeviceCommand({ ...ops, channel, key: prepared.key })
  const notifiers = notifiersOf(config, ops)
  return { broker, ports: { ...ops, log, ...ingest, enforcer, notifiers, channel } }
}

export function notifiersOf({ notify }: Pick<Config, 'notify'>, { clock }: Pick<OpsPorts, 'clock'>): Notifier[] {
  return notify.map(({ webhook }, i) => createWebhook({ ...webhook, name: `webhook-${i + 1}`, fetch, clock }))
}

async function brokerOf(log: Log, config: Config, source: EmbeddedSource, { credentials }: Prepared, ops: OpsPorts): Promise<Broker> {
  const isNew = (await log.bounds('readings', 0)).high === 0
  return createBroker({
    ...ops,
    returnMs: isNew ? 0 : RETURN_MS,
    name: source.name,
    listen: config.listen.mqtt,
    credentials,
    telemetry: source.topics,
    device: source.device,
    limits: {
      packetBytes: PACKET_PAYLOADS * config.limits.payloadBytes,
      connections: config.limits.connections,
      topicLength: TOPIC_LENGTH,
      subscriptionsPerClient: SUBSCRIPTIONS_PER_CLIENT,
      retainedTopics: RETAINED_TOPICS,
      nameLength: config.limits.nameLength,
    },
  })
}

function mqttSource({ limits }: Config, { name, topics, device, mqtt }: MqttSource, tls: MqttTls | null, ops: OpsPorts): Source {
  const { url, version, username, password, window, share, identityProperty } = mqtt
  // Of a share each process is a client of its own, and the same one after its restart.
  const clientId = mqtt.clientId ?? `picket-${name}${share === null ? '' : `-${hostname()}`}`
  const identity = identityProperty === null ? null : { property: identityProperty }
  const session = { clientId, window, share, identity, packetBytes: PACKET_PAYLOADS * limits.payloadBytes + TOPIC_LENGTH, returnMs: RETURN_MS }
  return createMqttSource({ ...ops, name, url, version, username, password, tls, topics, device, nameLength: limits.nameLength, ...session })
}

/** A client of its own beside the source's, the same in every process: the leader's connection ends that of who led before. */
function mqttChannel({ name, mqtt }: MqttSource, tls: MqttTls | null, ops: OpsPorts): LedChannel {
  const { url, version, username, password } = mqtt
  const clientId = mqtt.clientId === null ? `picket-respond-${name}` : `${mqtt.clientId}-respond`
  return createMqttChannel({ ...ops, name, url, version, username, password, tls, clientId })
}

/** The broker in this process: whoever leads here has it. */
function alwaysThere(broker: Broker | null): LedChannel {
  assert(broker !== null, 'respond runs where the embedded broker does')
  const { publish, receive } = broker
  return { publish: publish.bind(broker), receive: receive.bind(broker), start: () => undefined, stop: async () => undefined, reasons: () => [] }
}

async function readSigningKey(file: string): Promise<KeyObject> {
  try {
    const key = createPrivateKey(await readFile(file))
    if (key.asymmetricKeyType !== 'ed25519') throw new Error(`it holds a key of type ${key.asymmetricKeyType}`)
    return key
  } catch (cause) {
    throw new PipelineError('BAD_CONFIG', `auth.signingKey: ${file} should be an Ed25519 private key in PEM: ${errorText(cause)}`, { cause })
  }
}
