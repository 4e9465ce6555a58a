/** What breaks MQTT's rules ends its own connection, and nothing else. */
import { connect as connectSocket } from 'node:net'
import type { Socket } from 'node:net'
import fc from 'fast-check'
import mqtt from 'mqtt'
import { generate } from 'mqtt-packet'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Message } from '../../src/core/message.ts'
import { createBroker } from '../../src/ingest/broker.ts'
import type { Broker } from '../../src/ingest/broker.ts'
import { systemClock } from '../../src/ops/clock.ts'
import { keepingLogger, Meters } from './lab.ts'

const CONNECT = generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: 'raw', keepalive: 60 })
const publish = (topic: string, payload: string | Buffer, more: { qos?: 0 | 1 | 2; messageId?: number; dup?: boolean } = {}) =>
  generate({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false, ...more })
/** An MQTT string with its length. */
const text = (value: string) => Buffer.concat([Buffer.of(value.length >> 8, value.length & 255), Buffer.from(value, 'latin1')])

const OPTIONS = {
  name: 'embedded', listen: { host: '127.0.0.1', port: 0 }, credentials: null, telemetry: ['telemetry/{class}/{device}'],
  limits: { packetBytes: 10_000, connections: 20, topicLength: 100, subscriptionsPerClient: 10, retainedTopics: 10, nameLength: 64 },
  clock: systemClock,
}

let broker: Broker
let meters: Meters
const received: Message[] = []
const sockets = new Set<Socket>()

beforeAll(async () => {
  meters = new Meters()
  broker = createBroker({ ...OPTIONS, logger: keepingLogger().logger, metrics: meters })
  await broker.start(async (message) => void received.push(message))
})

afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  await broker.stop()
})

/** Writes, and gives what came back until the broker ended the connection. */
function endedBy(...chunks: readonly Uint8Array[]): Promise<Buffer> {
  return new Promise((resolve) => {
    const answers: Buffer[] = []
    const socket = open()
    socket.on('data', (chunk) => answers.push(chunk))
    socket.on('close', () => resolve(Buffer.concat(answers)))
    for (const chunk of chunks) socket.write(chunk)
  })
}

function open(): Socket {
  const socket = connectSocket(broker.address().port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.on('close', () => sockets.delete(socket))
  sockets.add(socket)
  return socket
}

async function expectAlive(): Promise<void> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.address().port}`)
  await client.publishAsync('telemetry/pump/alive', '1', { qos: 1 })
  await client.endAsync()
}

describe('a connection is ended', () => {
  const will = (qos: number, topic: string) =>
    Buffer.concat([Buffer.of(0x10, 10 + 2 + 3 + 2 + topic.length + 2), text('MQTT'), Buffer.of(4, 0x06 | (qos << 3), 0, 60), text('raw'), text(topic), text('')])

  it.each<[string, readonly Uint8Array[]]>([
    ['that begins with something else than CONNECT', [publish('telemetry/pump/p', '1')]],
    ['that sends CONNECT twice', [CONNECT, CONNECT]],
    ['of another protocol', [Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')]],
    ['that publishes with QoS 1 and packet id 0', [CONNECT, publishUnnumbered(1)]],
    ['that publishes with QoS 2 and packet id 0', [CONNECT, publishUnnumbered(2)]],
    ['with reserved flags', [CONNECT, Buffer.of(0x8f, 0x02, 0x00, 0x01)]],
    ['with QoS 3', [CONNECT, Buffer.of(0x36, 0x07, 0x00, 0x03, 0x74, 0x2f, 0x74, 0x00, 0x01)]],
    ['with a packet too large, announced only', [CONNECT, Buffer.of(0x30, 0xff, 0xff, 0xff, 0x7f)]],
    ['with a length of five bytes', [CONNECT, Buffer.of(0x30, 0xff, 0xff, 0xff, 0xff, 0x01)]],
    ['with a topic longer than its packet', [CONNECT, Buffer.of(0x30, 0x04, 0xff, 0xff, 0x61, 0x62)]],
    ['with an empty topic', [CONNECT, publishRaw('')]],
    ['with a wildcard in its topic', [CONNECT, publishRaw('telemetry/+/p')]],
    ['with a topic too long', [CONNECT, publish(`telemetry/${'x'.repeat(100)}/p`, '1')]],
    ['with a topic of too many levels', [CONNECT, publish('/'.repeat(100), '1')]],
    ['with a subscription to nothing', [CONNECT, Buffer.of(0x82, 0x02, 0x00, 0x01)]],
    ['with a packet only brokers send', [CONNECT, Buffer.of(0x20, 0x02, 0x00, 0x00)]],
    ['with a client id too long', [generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: 'x'.repeat(257), keepalive: 60 })]],
    ['of MQTT 5', [generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clean: true, clientId: 'raw', keepalive: 60 })]],
    ['with a will of QoS 3', [will(3, 't')]],
    ['with a will to a wildcard', [will(0, '#')]],
  ])('%s', async (_, chunks) => {
    const before = received.length
    await endedBy(...chunks)
    expect(received.length).toBe(before)
    await expectAlive()
  })

  function publishUnnumbered(qos: 1 | 2): Buffer {
    const body = Buffer.concat([text('telemetry/pump/p'), Buffer.of(0, 0), Buffer.from('1')])
    return Buffer.concat([Buffer.of(0x30 | (qos << 1), body.length), body])
  }

  function publishRaw(topic: string): Buffer {
    const body = Buffer.concat([text(topic), Buffer.from('1')])
    return Buffer.concat([Buffer.of(0x30, body.length), body])
  }

  it('with a line that says from where, before it has said CONNECT', async () => {
    const { logger, lines } = keepingLogger()
    const other = createBroker({ ...OPTIONS, logger, metrics: new Meters() })
    await other.start(async () => undefined)
    const socket = connectSocket(other.address().port, '127.0.0.1').on('error', () => undefined)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    const port = await new Promise<number>((resolve) => socket.once('connect', () => resolve(socket.localPort!)))
    socket.write('GET / HTTP/1.1\r\n\r\n')
    await closed
    await other.stop()
    expect(lines.map(({ fields }) => [fields['client'], fields['remote']])).toEqual([['', `127.0.0.1:${port}`]])
  })

  it('when there are too many, and counted', async () => {
    const many = Array.from({ length: 20 }, () => open())
    await Promise.all(many.map((socket) => new Promise((resolve) => socket.once('connect', resolve))))
    const dropped = meters.of('picket_broker_refused_total', 'connections')
    await endedBy(CONNECT)
    expect(meters.of('picket_broker_refused_total', 'connections')).toBe(dropped + 1)
    await Promise.all(many.map((socket) => new Promise((resolve) => socket.once('close', resolve).destroy())))
  })
})

describe('a connection is not ended', () => {
  it('by a message that is as large as allowed, cut into single bytes', async () => {
    const before = received.length
    const socket = open()
    socket.setNoDelay(true)
    socket.write(CONNECT)
    const topic = 'telemetry/pump/p'
    const packet = publish(topic, Buffer.alloc(10_000 - 4 - topic.length, 0x20), { qos: 1, messageId: 7 })
    const answer = new Promise<Buffer>((resolve) => socket.on('data', (chunk) => chunk.at(-4) === 0x40 && resolve(chunk)))
    for (let i = 0; i < packet.length; i += 97) socket.write(packet.subarray(i, i + 97))
    expect((await answer).subarray(-4)).toEqual(Buffer.of(0x40, 2, 0, 7))
    expect(received.at(-1)?.payload.length).toBe(9_980)
    expect(received.length).toBe(before + 1)
    socket.destroy()
  })

  it('by a flag that its message comes again, which is passed on', async () => {
    const socket = open()
    socket.write(CONNECT)
    const answer = new Promise((resolve) => socket.on('data', (chunk) => chunk.at(-4) === 0x40 && resolve(chunk)))
    socket.write(publish('telemetry/pump/p', '1', { qos: 1, messageId: 9, dup: true }))
    await answer
    expect(received.at(-1)).toMatchObject({ qos: 1, dup: true })
    socket.destroy()
  })
})

describe('any bytes', () => {
  const packets = [
    CONNECT, publish('telemetry/pump/p', '{"t":1}', { qos: 1, messageId: 3 }), publish('telemetry/pump/p', '{"t":1}', { qos: 2, messageId: 4 }),
    generate({ cmd: 'subscribe', messageId: 3, subscriptions: [{ topic: 'a/#', qos: 1 }] }), generate({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['a'] }),
    generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: false, clientId: 'w', keepalive: 1, username: 'u', password: Buffer.from('p'), will: { topic: 'telemetry/pump/p', payload: Buffer.from('1'), qos: 2, retain: true } }),
    generate({ cmd: 'connect', protocolId: 'MQIsdp', protocolVersion: 3, clean: true, clientId: 'old', keepalive: 0 }),
    publish('picket/p/ack', '{}', { qos: 1, messageId: 5 }), generate({ cmd: 'subscribe', messageId: 6, subscriptions: [{ topic: 'picket/+/#', qos: 2 }, { topic: '$SYS/#', qos: 0 }] }),
    generate({ cmd: 'pubrel', messageId: 4 }), generate({ cmd: 'puback', messageId: 4 }), generate({ cmd: 'pubrec', messageId: 4 }), generate({ cmd: 'pingreq' }),
    generate({ cmd: 'disconnect' }),
  ]
  const changed = fc
    .tuple(fc.constantFrom(...packets), fc.array(fc.tuple(fc.nat(40), fc.nat(255)), { maxLength: 3 }), fc.nat(60))
    .map(([packet, changes, end]) => {
      const bytes = Buffer.from(packet)
      for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte
      return bytes.subarray(0, Math.max(end, 1))
    })
  const chunks = fc.array(fc.oneof(changed, fc.constantFrom(...packets), fc.uint8Array({ maxLength: 64 })), { maxLength: 8 })

  it('leave the broker alive, random or nearly right, also when they stop in the middle of a packet, and others their connection', async () => {
    const bystander = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.address().port}`, { reconnectPeriod: 0 })
    let published = 0
    await fc.assert(
      fc.asyncProperty(fc.boolean(), chunks, async (isConnected, drawn) => {
        await new Promise<void>((resolve) => {
          const socket = open().resume()
          socket.on('close', () => resolve())
          if (isConnected) socket.write(CONNECT)
          for (const chunk of drawn) socket.write(chunk)
          socket.end()
        })
        if (published++ % 10 === 0) await bystander.publishAsync('telemetry/pump/bystander', '1', { qos: 1 })
      }),
      { numRuns: 900 },
    )
    expect(bystander.connected).toBe(true)
    await bystander.endAsync()
    await expectAlive()
  })
})
