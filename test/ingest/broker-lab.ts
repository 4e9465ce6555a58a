/** What the tests of the embedded broker stand on: a real one on a free port, clients of mqtt.js, and the end of both after each test. */
import mqtt from 'mqtt'
import type { IClientOptions, IPublishPacket, MqttClient } from 'mqtt'
import { afterEach } from 'vitest'
import type { Message } from '../../src/core/message.ts'
import { createBroker } from '../../src/ingest/broker.ts'
import type { Broker, BrokerLimits, BrokerOptions } from '../../src/ingest/broker.ts'
import { systemClock } from '../../src/ops/clock.ts'
import { keepingLogger, Meters } from './lab.ts'

export const BROKER_LIMITS: BrokerLimits = { packetBytes: 65_536, connections: 50, topicLength: 256, subscriptionsPerClient: 4, retainedTopics: 3, nameLength: 64 }

/** Users are the devices of their names; those that begin with `gateway` all that begin with `p-` too. */
export const OWN = {
  users: 2,
  async verify(user: string, password: Uint8Array) {
    const isGateway = user.startsWith('gateway')
    const mayBe = (device: string) => device === user || (isGateway && device.startsWith('p-'))
    return Buffer.from(password).toString() === `${user}-secret` ? { name: user, isGateway, mayBe } : null
  },
}

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

export async function start(options: Partial<BrokerOptions> = {}, deliver: (message: Message) => Promise<void> = async () => undefined) {
  const meters = new Meters()
  const broker = createBroker({
    name: 'embedded', listen: { host: '127.0.0.1', port: 0 }, credentials: null, telemetry: ['telemetry/{class}/{device}'],
    limits: BROKER_LIMITS, clock: systemClock, logger: keepingLogger().logger, metrics: meters, ...options,
  })
  const received: Message[] = []
  await broker.start((message) => {
    received.push(message)
    return deliver(message)
  })
  ends.push(() => broker.stop())
  return { broker, meters, received }
}

export function open(broker: Broker, options: IClientOptions = {}): MqttClient {
  const client = mqtt.connect(`mqtt://127.0.0.1:${broker.address().port}`, { reconnectPeriod: 0, ...options })
  client.on('error', () => undefined)
  ends.push(() => client.endAsync(true))
  return client
}

export async function connect(broker: Broker, options: IClientOptions = {}): Promise<MqttClient> {
  const client = open(broker, options)
  await event(client, 'connect')
  return client
}

export const login = (device: string, password = `${device}-secret`): IClientOptions => ({ clientId: `client-of-${device}`, username: device, password })

export function event(client: MqttClient, name: 'connect' | 'close' | 'message' | 'error'): Promise<unknown[]> {
  return new Promise((resolve) => client.once(name, (...args: unknown[]) => resolve(args)))
}

/** Messages a client gets, and a promise of the first `count` of them. */
export function inbox(client: MqttClient) {
  const messages: { topic: string; text: string; retain: boolean }[] = []
  const waiters: { count: number; resolve: () => void }[] = []
  client.on('message', (topic: string, payload: Buffer, packet: IPublishPacket) => {
    messages.push({ topic, text: payload.toString(), retain: packet.retain })
    for (const { count, resolve } of waiters) if (messages.length >= count) resolve()
  })
  const arrived = (count: number) => new Promise<void>((resolve) => (messages.length >= count ? resolve() : waiters.push({ count, resolve })))
  return { messages, arrived }
}

/** Polls what a socket brings about; fails by the test's own time limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}
