/** Who may do what on the embedded broker, over real sockets: logins, devices, gateways. */
import { connect as connectSocket } from 'node:net'
import { generate } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { createBroker } from '../../src/ingest/broker.ts'
import { systemClock } from '../../src/ops/clock.ts'
import { BROKER_LIMITS, connect, event, inbox, login, open, OWN, start, until } from './broker-lab.ts'
import { keepingLogger, Meters } from './lab.ts'

/** Node's buffer for one read of a socket. */
const READ_BYTES = 65_536

describe('rights', () => {
  it('need credentials beyond loopback', () => {
    const options = { name: 'e', listen: { host: '0.0.0.0', port: 0 }, telemetry: ['t/{device}'], limits: BROKER_LIMITS, clock: systemClock, logger: keepingLogger().logger, metrics: new Meters() }
    expect(() => createBroker({ ...options, credentials: null })).toThrow(expect.objectContaining({ code: 'BAD_CONFIG' }))
    expect(() => createBroker({ ...options, credentials: OWN })).not.toThrow()
  })

  it.each([login('p-7', 'wrong'), login('p-9', ''), {}])('keep out %j', async (options) => {
    const { broker, meters } = await start({ credentials: OWN })
    const [error] = await event(open(broker, options), 'error')
    expect((error as Error).message).toContain('Connection refused')
    expect(meters.of('picket_broker_refused_total', 'login')).toBe(1)
  })

  it('let a device publish under its own name and no other', async () => {
    const { broker, received, meters } = await start({ credentials: OWN })
    const client = await connect(broker, login('p-7'))
    await client.publishAsync('telemetry/pump/p-7', '1', { qos: 1 })
    const closed = event(client, 'close')
    client.publish('telemetry/pump/p-8', '1', { qos: 1 })
    await closed
    expect(received.map(({ topic }) => topic)).toEqual(['telemetry/pump/p-7'])
    expect(meters.of('picket_broker_refused_total', 'publish')).toBe(1)
  })

  it('hold for a will, also of a client whose connection broke', async () => {
    const { broker, received, meters } = await start({ credentials: OWN })
    const will = { topic: 'telemetry/pump/p-8', payload: Buffer.from('1'), qos: 1 as const, retain: false }
    const client = await connect(broker, { ...login('p-7'), will })
    client.stream.write(Buffer.of(0xff, 0xff))
    await until(() => meters.of('picket_broker_refused_total', 'publish') === 1)
    expect(received).toEqual([])
  })

  it('let a device subscribe to its own topics and no others', async () => {
    const { broker } = await start({ credentials: OWN })
    const client = await connect(broker, login('p-7'))
    const granted = await client.subscribeAsync({ 'picket/p-7/#': { qos: 1 }, 'picket/p-8/#': { qos: 1 }, '#': { qos: 1 }, '$share/g/picket/p-7/#': { qos: 1 } }).catch((error: unknown) => error)
    expect(granted).toBeInstanceOf(Error)
    const { messages, arrived } = inbox(client)
    await broker.publish('picket/p-8/command', 'not yours', { retain: false })
    await broker.publish('picket/p-7/command', 'yours', { retain: false })
    await arrived(1)
    expect(messages.map(({ text }) => text)).toEqual(['yours'])
  })

  it('let a gateway publish for its devices and no others, and pass on as whom it logged in', async () => {
    const { broker, received } = await start({ credentials: OWN })
    const client = await connect(broker, login('gateway-1'))
    await client.publishAsync('telemetry/pump/p-8', '1', { qos: 1 })
    const closed = event(client, 'close')
    client.publish('telemetry/pump/q-8', '1', { qos: 1 })
    await closed
    expect(received.map(({ topic, account }) => [topic, account?.name])).toEqual([['telemetry/pump/p-8', 'gateway-1']])
  })

  it('leave it to ingest whom a payload names, where the topic does not', async () => {
    const { broker, received } = await start({ credentials: OWN, telemetry: [{ pattern: 'data', device: '{payload.id}' }] })
    const client = await connect(broker, login('p-7'))
    await client.publishAsync('data', '{"id":"p-8"}', { qos: 1 })
    expect(received.map(({ account }) => account?.mayBe('p-8'))).toEqual([false])
  })

  it('give a gateway that subscribes to all devices those of its own', async () => {
    const { broker } = await start({ credentials: OWN })
    await broker.publish('picket/q-8/desired', 'not yours', { retain: true })
    await broker.publish('picket/p-8/desired', 'retained', { retain: true })
    const client = await connect(broker, login('gateway-1'))
    const { messages, arrived } = inbox(client)
    await client.subscribeAsync('picket/+/#', { qos: 1 })
    await arrived(1)
    await broker.publish('picket/q-8/command', 'not yours', { retain: false })
    await broker.publish('picket/p-8/command', 'command', { retain: false })
    await arrived(2)
    expect(messages.map(({ text }) => text)).toEqual(['retained', 'command'])
  })

  it('hold before a client has logged in', async () => {
    const { broker, received } = await start({ credentials: { verify: async () => null, users: 1 } })
    // As large as what Node reads at once, so that the next packet comes in a read of its own before aedes has begun to authenticate.
    const password = Buffer.alloc(READ_BYTES - 22)
    const connectPacket = generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: 'c', keepalive: 60, username: 'u', password })
    expect(connectPacket.length).toBe(READ_BYTES)
    const publishPacket = generate({ cmd: 'publish', topic: 'telemetry/pump/p-7', payload: '1', qos: 0, dup: false, retain: false })
    for (let attempt = 0; attempt < 10; attempt++) {
      const socket = connectSocket(broker.address().port, '127.0.0.1').resume()
      socket.on('error', () => undefined)
      socket.write(Buffer.concat([connectPacket, publishPacket]))
      await new Promise((resolve) => socket.once('close', resolve))
    }
    expect(received).toEqual([])
  })

  it('keep another user from a client id that is connected', async () => {
    const { broker } = await start({ credentials: OWN })
    const first = await connect(broker, login('p-7'))
    await event(open(broker, { ...login('p-8'), clientId: 'client-of-p-7' }), 'error')
    expect(first.connected).toBe(true)
  })

  it('let nobody but Picket publish commands and desired states', async () => {
    const { broker } = await start()
    for (const topic of ['picket/p-7/command', 'picket/p-7/desired', '$SYS/x']) {
      const client = await connect(broker)
      const closed = event(client, 'close')
      client.publish(topic, '{}', { qos: 1 })
      await closed
    }
  })

  it.each(['$share/g/telemetry/#', `${'x'.repeat(257)}/#`])('refuse a subscription to %.20s', async (filter) => {
    const { broker, meters } = await start()
    const client = await connect(broker)
    await expect(client.subscribeAsync(filter)).rejects.toThrow()
    expect(meters.of('picket_broker_refused_total', 'subscribe')).toBe(1)
  })

  it('bound the subscriptions of a client', async () => {
    const { broker } = await start()
    const client = await connect(broker)
    for (const topic of ['a', 'b', 'c', 'd']) await client.subscribeAsync(topic)
    await expect(client.subscribeAsync('e')).rejects.toThrow()
    await client.unsubscribeAsync('a')
    await expect(client.subscribeAsync('e')).resolves.toBeDefined()
  })
})
