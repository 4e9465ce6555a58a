/**
 * The one place that makes kafkajs objects: with `cluster.ts` the seam where a newer client could be put. What it opens is kafkajs's own
 * cluster, through which we speak the protocol ourselves (decision 0009).
 */
import { createRequire } from 'node:module'
import { connect, isIP } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions } from 'node:tls'
import { Kafka, logLevel } from 'kafkajs'
import type { KafkaConfig, RetryOptions, SASLOptions } from 'kafkajs'
import { assert } from '../../core/assert.ts'
import type { Logger } from '../../ops/logger.ts'
import type { Broker, Cluster, RawRequest } from './cluster.ts'
import { registerCodecs } from './codecs.ts'
import type { KafkaOptions, TlsOptions } from './options.ts'
import { BrokerError, metadataRequest } from './protocol.ts'
import type { MetadataAnswer } from './protocol.ts'

export type { Broker, Cluster, Joined } from './cluster.ts'

const PINNED = '2.2.4'
const CREATE_CLUSTER = 'private:Kafka:createCluster'
const KEEP_ALIVE_MS = 60_000
const CONNECTION_TIMEOUT_MS = 3_000
const AUTHENTICATION_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 10_000

/** kafkajs's own retries, each written out: its defaults differ when NODE_ENV is `test`. */
const RETRY: Required<Omit<RetryOptions, 'restartOnFailure'>> = {
  initialRetryTime: 50,
  maxRetryTime: 1_000,
  factor: 0.2,
  multiplier: 2,
  retries: 5,
}

/** Coordinators of groups and of transactions, for `Cluster.findGroupCoordinator`. */
export const COORDINATOR = { group: 0, transaction: 1 } as const

/** Of one purpose; each cluster of it has connections of its own. */
export interface Client {
  readonly options: KafkaOptions
  /** The brokers for messages to people: `kafka-1:9092, kafka-2:9092`. */
  readonly brokers: string
  /** Not yet connected. */
  cluster(): Cluster
  /** Cuts every connection at once; what waits for an answer rejects. After the orderly `disconnect`s, which a silent broker holds up. */
  end(): void
}

export interface Tuning {
  readonly retry?: RetryOptions
  /** Left out: 10 s. */
  readonly requestTimeoutMs?: number
  /** Left out: 3 s. */
  readonly connectionTimeoutMs?: number
  /** Requests under way on one connection; left out: unbounded. */
  readonly maxInFlightRequests?: number
}

/** What kafkajs tells of each request, by the event's name. */
interface Emitter {
  emit(event: string, payload: unknown): void
}

type CreateCluster = (options: {
  metadataMaxAge: number
  allowAutoTopicCreation: boolean
  maxInFlightRequests: number | null
  instrumentationEmitter: Emitter
}) => Cluster

const REQUEST_TIMEOUT_EVENT = 'network.request_timeout'

const METADATA_MAX_AGE_MS = 300_000

/** Opens nothing yet. `purpose` goes into the client id, so that a broker's logs and quotas tell connections apart: `fetch`, `detect-3`. */
export function openClient(options: KafkaOptions, purpose: string, tuning: Tuning = {}): Client {
  registerCodecs()
  const sockets = new Map<Socket, string>()
  // kafkajs keeps a connection that no longer answers, such as one whose way was cut without a word, and would ask on it for ever.
  const cut = (broker: string) => {
    for (const [socket, own] of sockets) if (own === broker) socket.destroy(new Error(`${broker} did not answer a request in time`))
  }
  const retry = { ...RETRY, ...tuning.retry }
  const kafka = new Kafka(kafkaConfig(options, purpose, { ...tuning, retry }, sockets))
  const createCluster = clusterFactory(kafka)
  return {
    options,
    brokers: options.brokers.join(', '),
    cluster: () => {
      const cluster = createCluster({
        metadataMaxAge: METADATA_MAX_AGE_MS,
        allowAutoTopicCreation: false,
        maxInFlightRequests: tuning.maxInFlightRequests ?? null,
        instrumentationEmitter: {
          emit(event, payload) {
            if (event === REQUEST_TIMEOUT_EVENT) cut((payload as { broker: string }).broker)
          },
        },
      })
      askOfEachByItself(cluster)
      return cluster
    },
    end() {
      for (const socket of sockets.keys()) socket.destroy(new Error('the client was closed'))
      sockets.clear()
    },
  }
}

/** Sends a request of our own: a fetch on the connection for those, all else on the other. Rejects as the methods of `Broker` do. */
export function sendRaw<T>(broker: Broker, request: RawRequest<T>): Promise<T> {
  const { apiKey, apiVersion, apiName, body, answer, timeoutMs } = request
  // What kafkajs asks of an encoder, and no more.
  const encoded = { buf: body, buffer: body }
  return poolOf(broker).send({
    request: { apiKey, apiVersion, apiName, encode: async () => encoded },
    response: { decode: async (payload) => ({ clientSideThrottleTime: null, payload }), parse: async ({ payload }) => answer(payload) },
    requestTimeout: timeoutMs ?? null,
    logResponseError: false,
  })
}

interface Pool {
  send<T>(protocol: {
    request: { apiKey: number; apiVersion: number; apiName: string; encode: () => Promise<{ buf: Buffer; buffer: Buffer }> }
    response: {
      decode: (payload: Buffer) => Promise<{ clientSideThrottleTime: number | null; payload: Buffer }>
      parse: (decoded: { payload: Buffer }) => Promise<T>
    }
    requestTimeout: number | null
    logResponseError: boolean
  }): Promise<T>
}

function poolOf(broker: Broker): Pool {
  const pool: unknown = (broker as unknown as { connectionPool?: unknown }).connectionPool
  assert(typeof (pool as Pool | undefined)?.send === 'function', `kafkajs ${PINNED} keeps a broker's connections in connectionPool`)
  return pool as Pool
}

function clusterFactory(kafka: Kafka): CreateCluster {
  const { version } = createRequire(import.meta.url)('kafkajs/package.json') as { version: string }
  assert(version === PINNED, `src/log/kafka speaks through kafkajs ${PINNED}'s own cluster, and kafkajs is ${version}: pin ${PINNED}`)
  const symbol = Object.getOwnPropertySymbols(kafka).find((own) => own.description === CREATE_CLUSTER)
  assert(symbol !== undefined, `kafkajs ${PINNED} makes clusters behind the symbol ${CREATE_CLUSTER}`)
  return (kafka as unknown as Record<symbol, CreateCluster>)[symbol]!
}

/** Of kafkajs's cluster, within. */
interface Inside {
  readonly brokerPool: {
    createBroker: (options: unknown) => Broker & { metadata?: (topics: readonly string[]) => Promise<MetadataAnswer> }
    readonly metadata: MetadataAnswer | null
  }
}

/** kafkajs gives up the whole answer about the topics when one of them, or one partition, has an error; and without topics asks for all. */
function askOfEachByItself(cluster: Cluster): void {
  const { brokerPool } = cluster as unknown as Inside
  const { createBroker } = brokerPool
  assert(typeof createBroker === 'function', `kafkajs ${PINNED} makes brokers by brokerPool.createBroker`)
  brokerPool.createBroker = (options) => {
    const broker = createBroker(options)
    broker.metadata = (topics) => sendRaw(broker, metadataRequest(topics))
    return broker
  }
}

/** Node id of the leader as of the last metadata of `cluster`. Throws what the broker said in its place. */
export function leaderOf(cluster: Cluster, topic: string, partition: number): number {
  const { metadata } = (cluster as unknown as Inside).brokerPool
  const found = metadata?.topicMetadata.find((one) => one.topic === topic)
  if (!found) throw new BrokerError(UNKNOWN_TOPIC)
  if (found.topicErrorCode !== 0) throw new BrokerError(found.topicErrorCode)
  const own = found.partitionMetadata.find(({ partitionId }) => partitionId === partition)
  if (!own) throw new BrokerError(UNKNOWN_TOPIC)
  if (own.leader < 0) throw new BrokerError(own.partitionErrorCode || NO_LEADER)
  return own.leader
}

const UNKNOWN_TOPIC = 3
const NO_LEADER = 5

function kafkaConfig(
  options: KafkaOptions,
  purpose: string,
  tuning: Tuning & { retry: RetryOptions },
  sockets: Map<Socket, string>,
): KafkaConfig {
  const open = options.socketFactory ?? openSocket
  return {
    clientId: `${options.prefix}${options.name}-${purpose}`,
    brokers: [...options.brokers],
    connectionTimeout: tuning.connectionTimeoutMs ?? CONNECTION_TIMEOUT_MS,
    authenticationTimeout: AUTHENTICATION_TIMEOUT_MS,
    requestTimeout: tuning.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    retry: tuning.retry,
    logLevel: logLevel.INFO,
    logCreator: () => bridge(options.logger),
    socketFactory(wanted) {
      const socket = open(wanted)
      sockets.set(socket, `${wanted.host}:${wanted.port}`)
      socket.once('close', () => {
        sockets.delete(socket)
        // kafkajs does so again at each try to reach a dead broker, and each time Node remembers to do it once connected.
        socket.unref = () => socket
      })
      return socket
    },
    ...(options.tls ? { ssl: tlsOptions(options.tls) } : {}),
    ...(options.sasl ? { sasl: { ...options.sasl } as SASLOptions } : {}),
  }
}

function tlsOptions({ ca, cert, key }: TlsOptions): ConnectionOptions {
  return { ...(ca === null ? {} : { ca }), ...(cert === null ? {} : { cert }), ...(key === null ? {} : { key }) }
}

/** kafkajs prints an error for much that passes by itself, such as a coordinator still loading: what matters reaches us as an error. */
function bridge(logger: Logger): (entry: { namespace: string; label: string; log: Record<string, unknown> }) => void {
  return ({ namespace, label, log }) => {
    const { message, timestamp: _, logger: __, stack: ___, ...fields } = log
    logger.debug({ kafkajs: namespace, level: label, ...fields }, String(message))
  }
}

interface Target {
  readonly host: string
  readonly port: number
  readonly ssl?: object | undefined
  readonly onConnect: () => void
}

function openSocket({ host, port, ssl, onConnect }: Target): Socket {
  const socket = ssl
    ? connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect)
    : connect({ host, port }, onConnect)
  // A request is one write and small: waiting for more to send with it would only delay an acknowledgement.
  socket.setNoDelay(true)
  socket.setKeepAlive(true, KEEP_ALIVE_MS)
  return socket
}
