/** From the config to what stands behind the ports: the only file that knows every adapter. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { AppPorts } from './app.ts'
import type { Config } from './config/config.ts'
import { errorText, isPipelineError, PipelineError } from './core/errors.ts'
import { type Broker, createBroker } from './ingest/broker.ts'
import { type Credentials, readCredentials } from './ingest/credentials.ts'
import type { IngestLimits } from './ingest/limits.ts'
import { openJournal } from './log/journal/journal.ts'
import type { Log } from './log/log.ts'
import type { Clock } from './ops/clock.ts'
import type { Logger } from './ops/logger.ts'
import type { Metrics } from './ops/metrics.ts'
import type { Random } from './ops/random.ts'
import { createDeviceCommand } from './respond/device-command.ts'
import { createWebhook } from './respond/webhook.ts'

export interface OpsPorts {
  readonly clock: Clock
  readonly random: Random
  readonly metrics: Metrics
  readonly logger: Logger
}

export interface Adapters {
  readonly ports: AppPorts
  readonly broker: Broker
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

export function ingestLimits({ limits, settings }: Config): IngestLimits {
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
  }
}

/** Opens the log and makes the broker, which does not listen yet. Throws BAD_CONFIG, LOCKED, PARTITIONS_CHANGED, IO. */
export async function openAdapters(config: Config, ops: OpsPorts): Promise<Adapters> {
  const [source] = config.sources
  if (!source || config.sources.length > 1)
    throw new PipelineError('BAD_CONFIG', `sources: ${config.sources.length} are named, this version takes exactly one, the embedded broker`)
  const credentials = config.auth.credentials === null ? null : await readCredentials(config.auth.credentials)
  const key = config.auth.signingKey === null ? null : await readSigningKey(config.auth.signingKey)
  const { path, partitions, retention, reserve } = config.log.embedded
  const log = await openJournal({
    ...ops,
    path,
    partitions,
    key: source.device,
    retentionBytes: retention.size,
    retentionAgeMs: retention.age,
    reserveBytes: reserve,
  }).catch((error: unknown) => {
    if (!isPipelineError(error, 'PARTITIONS_CHANGED')) throw error
    throw new PipelineError(error.code, `${resolve(path)}: ${error.message}`, { cause: error })
  })
  try {
    return await adaptersOver(log, config, { source, credentials, key }, ops)
  } catch (error) {
    await log.close()
    throw error
  }
}

interface Prepared {
  readonly source: Config['sources'][number]
  readonly credentials: Credentials | null
  readonly key: KeyObject | null
}

async function adaptersOver(log: Log, config: Config, { source, credentials, key }: Prepared, ops: OpsPorts): Promise<Adapters> {
  const isNew = (await log.bounds('readings', 0)).high === 0
  const broker = createBroker({
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
  const notifiers = config.notify.map(({ webhook }, i) => createWebhook({ ...webhook, name: `webhook-${i + 1}`, fetch, clock: ops.clock }))
  const enforcer = createDeviceCommand({ ...ops, channel: broker, key })
  return { broker, ports: { ...ops, log, sources: [{ source: broker, patterns: source.topics, device: source.device }], enforcer, notifiers } }
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
