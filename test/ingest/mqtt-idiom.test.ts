/**
 * What Picket leans on in mqtt.js 5.16 without its documentation saying so, byte for byte, against a broker that does what a test says.
 * Whoever moves mqtt.js to another version finds out here.
 */
import { describe, expect, it } from 'vitest'
import { ManualClock } from '../clock.ts'
import { makeSource, startSource, until } from './mqtt-lab.ts'
import { connack, CONNECT, disconnect, PINGREQ, pingresp, PUBACK, publishOf, puback, PUBLISH, startScripted, suback, SUBSCRIBE } from './mqtt-scripted.ts'
import type { Packet, Scripted } from './mqtt-scripted.ts'
import type { Socket } from 'node:net'

const PUBREC = 5
const PUBREL = 6
const PUBCOMP = 7

/** CONNACK and SUBACK as they should be; `more` sees every packet after that. */
function polite(more: (packet: Packet, socket: Socket, connection: number) => void = () => undefined, sessionPresent = false) {
  return (packet: Packet, socket: Socket, connection: number) => {
    if (packet.type === CONNECT) socket.write(connack(sessionPresent))
    if (packet.type === SUBSCRIBE) socket.write(suback(packet.id, [1]))
    if (packet.type === PINGREQ) socket.write(pingresp())
    more(packet, socket, connection)
  }
}

const ids = ({ packets }: Scripted, type = PUBACK) => packets.filter((packet) => packet.type === type).map(({ id }) => id)
const send = (socket: Socket, from: number, to: number, flags: { dup?: boolean } = {}) => {
  for (let id = from; id <= to; id++) socket.write(publishOf('telemetry/pump/p-7', String(id), { qos: 1, id, ...flags }))
}

/** Deliveries that the test resolves. */
function gate() {
  const waiting: { resolve: () => void; reject: (error: unknown) => void }[] = []
  return { waiting, deliver: () => new Promise<void>((resolve, reject) => void waiting.push({ resolve, reject })) }
}

describe('mqtt.js', () => {
  it('hands over message after message while none is acknowledged', async () => {
    const broker = await startScripted(polite())
    const { waiting, deliver } = gate()
    await startSource({ url: broker.url }, { deliver })
    send(broker.sockets[0]!, 1, 100)
    await until(() => waiting.length === 100)
    expect(ids(broker)).toEqual([])
  })

  it('writes the acknowledgements of a batch at once, once each, in the order the messages came', async () => {
    const broker = await startScripted(polite())
    const { waiting, deliver } = gate()
    await startSource({ url: broker.url }, { deliver })
    send(broker.sockets[0]!, 1, 50)
    await until(() => waiting.length === 50)
    const before = broker.chunks.length
    for (const { resolve } of waiting.toReversed()) resolve()
    await until(() => ids(broker).length === 50)
    expect(ids(broker)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
    expect(broker.chunks.slice(before)).toHaveLength(1)
  })

  it('acknowledges nothing on a new connection that came on the old one', async () => {
    const broker = await startScripted(polite())
    const { waiting, deliver } = gate()
    await startSource({ url: broker.url }, { deliver })
    send(broker.sockets[0]!, 1, 3)
    await until(() => waiting.length === 3)
    broker.sockets[0]!.destroy()
    await until(() => broker.packets.filter(({ type }) => type === SUBSCRIBE).length === 2)
    for (const { resolve } of waiting) resolve()
    send(broker.sockets[1]!, 2, 2, { dup: true })
    await until(() => waiting.length === 4)
    waiting[3]!.resolve()
    await until(() => ids(broker).length > 0)
    expect(ids(broker)).toEqual([2])
  })

  it('takes QoS 2 into the log before PUBREC, and goes on meanwhile', async () => {
    const broker = await startScripted(polite((packet, socket) => packet.type === PUBREC && socket.write(Buffer.from([PUBREL << 4 | 2, 2, packet.id >> 8, packet.id & 255]))))
    const { waiting, deliver } = gate()
    const { received } = await startSource({ url: broker.url }, { deliver })
    for (const id of [1, 2]) broker.sockets[0]!.write(publishOf('telemetry/pump/p-7', 'x', { qos: 2, id }))
    await until(() => waiting.length === 2)
    expect(ids(broker, PUBREC)).toEqual([])
    for (const { resolve } of waiting) resolve()
    await until(() => ids(broker, PUBCOMP).length === 2)
    expect(ids(broker, PUBREC)).toEqual([1, 2])
    expect(received.map(({ qos }) => qos)).toEqual([2, 2])
  })

  it('takes QoS 0, and acknowledges it not', async () => {
    const broker = await startScripted(polite())
    const { received } = await startSource({ url: broker.url })
    broker.sockets[0]!.write(publishOf('telemetry/pump/p-7', 'x', { qos: 0 }))
    send(broker.sockets[0]!, 1, 1)
    await until(() => ids(broker).length === 1)
    expect(received.map(({ qos }) => qos)).toEqual([0, 1])
  })

  it('reads no further than the window and one, where the broker sends more', async () => {
    const broker = await startScripted(polite())
    const { waiting, deliver } = gate()
    const { received } = await startSource({ url: broker.url, window: 10 }, { deliver })
    send(broker.sockets[0]!, 1, 30)
    await until(() => waiting.length === 11)
    await until(() => broker.sockets[0]!.writableLength === 0)
    expect(received).toHaveLength(11)
    for (let i = 0; i < 30; i++) {
      await until(() => waiting.length > i)
      waiting[i]!.resolve()
    }
    await until(() => ids(broker).length === 30)
  })

  it('keeps the connection, with pings, while it reads nothing for longer than keepalive', async () => {
    const broker = await startScripted(polite())
    const { waiting, deliver } = gate()
    const clock = new ManualClock()
    const made = makeSource({ url: broker.url, window: 1, keepaliveSeconds: 10, clock })
    await made.source.start(deliver)
    await until(() => made.source.status().connectedSince !== null)
    send(broker.sockets[0]!, 1, 3)
    await until(() => waiting.length === 2)
    const pings = () => broker.packets.filter(({ type }) => type === PINGREQ).length
    for (let i = 1; i <= 12; i++) {
      await clock.advance(5_000)
      await until(() => pings() >= i)
    }
    expect(broker.sockets).toHaveLength(1)
    for (const { resolve } of waiting) resolve()
    await until(() => waiting.length === 3)
    waiting[2]!.resolve()
    await until(() => ids(broker).length === 3)
    await made.source.stop()
  })

  it('ends a connection whose broker answers no ping', async () => {
    const broker = await startScripted((packet, socket) => packet.type !== PINGREQ && polite()(packet, socket, 0))
    const clock = new ManualClock()
    const made = makeSource({ url: broker.url, keepaliveSeconds: 10, clock })
    await made.source.start(async () => undefined)
    await until(() => made.source.status().connectedSince !== null)
    for (let i = 0; i < 3; i++) await clock.advance(5_000)
    await until(() => made.source.status().connectedSince === null)
    await made.source.stop()
    expect(made.source.trouble!()).toContain('Keepalive timeout')
  })
})

describe('a source', () => {
  it('tells the broker its window, its session’s life and the largest packet', async () => {
    const broker = await startScripted(polite())
    await startSource({ url: broker.url, window: 0x0123, sessionExpirySeconds: 0x00010203, packetBytes: 0x00040506 })
    const { body } = broker.packets[0]!
    expect(body[7]! & 2, 'clean start').toBe(0)
    expect(body.toString('hex')).toContain('1100010203')
    expect(body.toString('hex')).toContain('210123')
    expect(body.toString('hex')).toContain('2700040506')
  })

  it('asks for what is retained only where the subscription is new, and for QoS 1', async () => {
    const broker = await startScripted(polite())
    await startSource({ url: broker.url })
    const { body } = broker.packets.find(({ type }) => type === SUBSCRIBE)!
    expect(body.subarray(5).toString('latin1').slice(0, -1)).toBe('telemetry/+/+')
    expect(body.at(-1)).toBe(0b00_01_00_01) // retain handling 1, retain as published 0, QoS 1
  })

  it('ends the connection where the log takes a message not, and the broker sends it again on the next', async () => {
    const broker = await startScripted(polite())
    const { waiting, deliver } = gate()
    const { meters, received } = await startSource({ url: broker.url }, { deliver })
    send(broker.sockets[0]!, 1, 2)
    await until(() => waiting.length === 2)
    waiting[0]!.reject(new Error('the disk is full'))
    waiting[1]!.resolve()
    await until(() => broker.sockets.length === 2)
    expect(ids(broker)).toEqual([])
    expect(meters.of('picket_source_refused_total', 'field', 'log')).toBe(1)
    await until(() => broker.packets.filter(({ type }) => type === SUBSCRIBE).length === 2)
    send(broker.sockets[1]!, 1, 2, { dup: true })
    await until(() => waiting.length === 4)
    for (const { resolve } of waiting.slice(2)) resolve()
    await until(() => ids(broker).length === 2)
    expect(received.map(({ dup }) => dup)).toEqual([false, false, true, true])
  })

  it('says that another client has its id', async () => {
    const broker = await startScripted(polite((packet, socket, connection) => {
      if (packet.type === SUBSCRIBE && connection === 1) socket.end(disconnect(142))
      if (packet.type === CONNECT && connection > 1) socket.destroy()
    }))
    const { meters } = await startSource({ url: broker.url, clientId: 'picket-field' }, { isUp: false })
    await until(() => meters.of('picket_source_refused_total', 'field', 'taken') === 1)
  })

  it.each([[4, 'login'], [135, 'login'], [133, 'client_id'], [132, 'version'], [136, 'unreachable'], [151, 'refused']])(
    'tries again after CONNACK %i, counted as %s',
    async (code, reason) => {
      const broker = await startScripted((packet, socket) => packet.type === CONNECT && socket.write(connack(false, code)))
      const { meters } = await startSource({ url: broker.url, username: 'picket' }, { isUp: false })
      await until(() => meters.of('picket_source_refused_total', 'field', reason) >= 2)
    },
  )

  it('names the topic whose subscription is refused, and who asked', async () => {
    const broker = await startScripted((packet, socket) => {
      if (packet.type === CONNECT) socket.write(connack())
      if (packet.type === SUBSCRIBE) socket.write(suback(packet.id, [1, 135]))
    })
    const { source, meters } = await startSource({ url: broker.url, username: 'picket', topics: ['telemetry/{device}', 'secret/{device}'] }, { isUp: false })
    await until(() => meters.of('picket_source_refused_total', 'field', 'subscribe') >= 2)
    expect(source.trouble!()).toContain('the broker refuses user picket the subscription to secret/+; mend its rights at the broker')
    expect(source.status().connectedSince).toBeNull()
  })

  it('sends no marker any more to a broker that ends the connection for it', async () => {
    const broker = await startScripted(polite((packet, socket) => packet.type === PUBLISH && socket.destroy(), true))
    const { source } = await startSource({ url: broker.url })
    await until(() => broker.sockets.length === 3 && source.status().connectedSince !== null)
    await new Promise((resolve) => setTimeout(resolve, 300)) // a third marker would end this one too
    expect(broker.sockets).toHaveLength(3)
    expect(broker.packets.filter(({ type }) => type === PUBLISH)).toHaveLength(2)
    expect(source.status().backlog).toBe(true)
  })
})

describe('a stop', () => {
  it('takes no more, lets what was taken become durable, and acknowledges that', async () => {
    const broker = await startScripted(polite())
    const { waiting, deliver } = gate()
    const { source, received } = await startSource({ url: broker.url }, { deliver })
    send(broker.sockets[0]!, 1, 2)
    await until(() => waiting.length === 2)
    const stopped = source.stop()
    send(broker.sockets[0]!, 3, 4)
    await new Promise((resolve) => setTimeout(resolve, 50))
    for (const { resolve } of waiting) resolve()
    await stopped
    expect(received).toHaveLength(2)
    await until(() => ids(broker).length === 2)
  })
})

describe('a marker', () => {
  it('of an earlier connection, which stands in the session’s queue, ends no backlog', async () => {
    const broker = await startScripted(polite(undefined, true))
    const { source, received } = await startSource({ url: broker.url, clientId: 'c' })
    const published = () => broker.packets.find(({ type }) => type === PUBLISH)
    await until(() => published() !== undefined)
    const marker = published()!.body.toString('latin1').slice(-24)
    const topic = 'picket/c/marker'
    broker.sockets[0]!.write(publishOf(topic, 'f'.repeat(24), { qos: 1, id: 1 }))
    await until(() => ids(broker).length === 1)
    expect(source.status().backlog).toBe(true)
    broker.sockets[0]!.write(publishOf(topic, marker, { qos: 1, id: 2 }))
    await until(() => ids(broker).length === 2)
    expect(source.status().backlog).toBe(false)
    expect(received).toEqual([])
  })
})

describe('a backlog that no marker may end', () => {
  it('ends when nothing has come for two seconds and nothing is under way', async () => {
    const clock = new ManualClock()
    const broker = await startScripted(polite((packet, socket) => packet.type === PUBLISH && socket.write(puback(packet.id, 135)), true))
    const { waiting, deliver } = gate()
    const made = makeSource({ url: broker.url, clock })
    await made.source.start(deliver)
    await until(() => made.source.status().connectedSince !== null)
    await until(() => broker.packets.some(({ type }) => type === PUBLISH))
    send(broker.sockets[0]!, 1, 1)
    await until(() => waiting.length === 1)
    await clock.advance(5_000)
    expect(made.source.status().backlog).toBe(true)
    waiting[0]!.resolve()
    await until(() => ids(broker).length === 1)
    await until(() => !made.source.status().backlog)
    await made.source.stop()
  })
})
