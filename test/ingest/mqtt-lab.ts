/** What the tests of the MQTT source stand on: sources and channels at a real Mosquitto, publishers of mqtt.js, and the end of all after each test. */
import { readFileSync } from 'node:fs'
import mqtt from 'mqtt'
import type { IClientOptions, IClientPublishOptions, MqttClient } from 'mqtt'
import { afterEach } from 'vitest'
import type { Message } from '../../src/core/message.ts'
import { createMqttSource } from '../../src/ingest/mqtt.ts'
import { createMqttChannel } from '../../src/ingest/mqtt-channel.ts'
import type { MqttChannelOptions, MqttSourceOptions, MqttTls, MqttVersion } from '../../src/ingest/mqtt-options.ts'
import type { Lead, Source } from '../../src/ingest/source.ts'
import { systemClock } from '../../src/ops/clock.ts'
import { systemRandom } from '../../src/ops/random.ts'
import type { Certificates } from '../parts/certificates.ts'
import { keepingLogger, Meters } from './lab.ts'

export const VERSIONS: readonly MqttVersion[] = ['3.1.1', 5]

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

/** Runs after the test, the last given first. */
export function after(end: () => unknown): void {
  ends.push(end)
}

/** A client id that no other test has. */
export function freshId(): string {
  return `t-${systemRandom.id()}`
}

/** Pauses that a test can wait for. */
export const SOON = { firstMs: 20, mostMs: 100 }

export interface LabSource {
  readonly meters: Meters
  readonly lines: ReturnType<typeof keepingLogger>['lines']
  readonly source: Source
  /** What was delivered, in order. */
  readonly received: Message[]
  /** Payloads of `received`. */
  texts(): string[]
}

export type SourceWanted = Partial<MqttSourceOptions> & { readonly url: string }

/** Made, not started. */
export function makeSource(wanted: SourceWanted): Omit<LabSource, 'received' | 'texts'> {
  const meters = new Meters()
  const { logger, lines } = keepingLogger()
  const source = createMqttSource({
    name: 'field', version: 5, username: null, password: null, tls: null, clientId: freshId(), topics: ['telemetry/{class}/{device}'], nameLength: 64,
    clock: systemClock, random: systemRandom, reconnect: SOON, ...wanted, logger, metrics: meters,
  })
  return { source, meters, lines }
}

/** Started; up unless `isUp` is false. */
export async function startSource(
  wanted: SourceWanted,
  { deliver = async () => undefined, lead, isUp = true }: { deliver?: (message: Message, source: Source) => Promise<void>; lead?: Lead; isUp?: boolean } = {},
): Promise<LabSource> {
  const made = makeSource(wanted)
  const received: Message[] = []
  await made.source.start((message) => {
    received.push(message)
    return deliver(message, made.source)
  }, lead)
  after(() => made.source.stop())
  if (isUp) await until(() => made.source.status().connectedSince !== null, () => made.source.trouble?.() ?? 'not connected')
  return { ...made, received, texts: () => received.map(({ payload }) => Buffer.from(payload).toString()) }
}

export async function startChannel(wanted: Partial<MqttChannelOptions> & { readonly url: string }, lead: Lead = leading()) {
  const meters = new Meters()
  const { logger, lines } = keepingLogger()
  const channel = createMqttChannel({
    name: 'field', version: 5, username: null, password: null, tls: null, clientId: freshId(),
    clock: systemClock, random: systemRandom, reconnect: SOON, publishMs: 2_000, ...wanted, logger, metrics: meters,
  })
  after(() => channel.stop())
  return { channel, meters, lines, start: () => channel.start(lead) }
}

/** A term that lasts. */
export function leading(): Lead {
  return { signal: new AbortController().signal, confirmed: async () => undefined }
}

export async function connect(url: string, options: IClientOptions = {}): Promise<MqttClient> {
  const client = mqtt.connect(url, { reconnectPeriod: 0, clientId: freshId(), protocolVersion: 5, ...options })
  client.on('error', () => undefined)
  after(() => client.endAsync(true))
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve())
    client.once('close', () => reject(new Error(`no connection to ${url}`)))
  })
  return client
}

/** One message by a client of its own. */
export async function publish(url: string, topic: string, payload: string, options: IClientPublishOptions = {}): Promise<void> {
  const client = await connect(url)
  await client.publishAsync(topic, payload, { qos: 1, ...options })
  await client.endAsync()
}

export async function publishAll(client: MqttClient, topic: string, payloads: readonly string[], options: IClientPublishOptions = {}): Promise<void> {
  await Promise.all(payloads.map((payload) => client.publishAsync(topic, payload, { qos: 1, ...options })))
}

export function numbered(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => String(from + i))
}

/** Polls what sockets bring about. */
export async function until(condition: () => boolean, what: () => string = () => String(condition), withinMs = 15_000): Promise<void> {
  for (const end = performance.now() + withinMs; !condition(); ) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

export function pem(files: { readonly ca?: string; readonly cert?: string; readonly key?: string }): MqttTls {
  const read = (file: string | undefined) => (file === undefined ? null : readFileSync(file, 'utf8'))
  return { ca: read(files.ca), cert: read(files.cert), key: read(files.key) }
}

export function trusting({ ca }: Certificates): MqttTls {
  return pem({ ca })
}
