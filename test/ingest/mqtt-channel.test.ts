/** Respond's way to devices over a real Mosquitto: publishing, devices' answers, and who may publish at a takeover. */
import { describe, expect, it } from 'vitest'
import { fanOut } from '../../src/ingest/mqtt-channel.ts'
import { freePorts } from '../parts/ports.ts'
import { withMosquitto } from '../parts/suites.ts'
import { inbox } from './broker-lab.ts'
import { connect, freshId, leading, startChannel, until, VERSIONS } from './mqtt-lab.ts'
import { connack, CONNECT, PUBACK, PUBLISH, publishOf, puback, startScripted, suback, SUBSCRIBE } from './mqtt-scripted.ts'

withMosquitto('A channel', {}, (mosquitto) => {
  const url = () => `mqtt://127.0.0.1:${mosquitto().port}`

  it.each(VERSIONS)('hands a command to the broker, and what is retained stays there (MQTT %s)', async (version) => {
    const device = freshId()
    const client = await connect(url())
    const { messages, arrived } = inbox(client)
    await client.subscribeAsync(`picket/${device}/#`, { qos: 1 })
    const { channel, start } = await startChannel({ url: url(), version })
    start()
    await channel.publish(`picket/${device}/desired`, '{"state":"quarantined"}', { retain: true })
    await channel.publish(`picket/${device}/command`, '{"kind":"quarantine"}', { retain: false })
    await arrived(2)
    expect(messages.map(({ topic }) => topic)).toEqual([`picket/${device}/desired`, `picket/${device}/command`])
    const later = await connect(url())
    const found = inbox(later)
    await later.subscribeAsync(`picket/${device}/#`, { qos: 1 })
    await found.arrived(1)
    expect(found.messages).toEqual([{ topic: `picket/${device}/desired`, text: '{"state":"quarantined"}', retain: true }])
  })

  it('brings a device’s answer, and not one that the broker had kept', async () => {
    const device = await connect(url())
    await device.publishAsync('picket/kept/ack', 'old', { qos: 1, retain: true })
    const { channel, start } = await startChannel({ url: url() })
    const answers: string[] = []
    channel.receive(async (topic, payload) => void answers.push(`${topic} ${Buffer.from(payload).toString()}`))
    start()
    await channel.publish('picket/p-7/command', '{}', { retain: false })
    await device.publishAsync('picket/p-7/ack', '{"status":"done"}', { qos: 1 })
    await until(() => answers.length > 0)
    expect(answers).toEqual(['picket/p-7/ack {"status":"done"}'])
    await device.publishAsync('picket/kept/ack', '', { qos: 1, retain: true })
  })

  it('of a new leader ends that of the old, which opens none again before it is confirmed', async () => {
    const about = { url: url(), clientId: freshId() }
    let asked = 0
    const old = await startChannel(about, { ...leading(), confirmed: () => new Promise<void>(() => void asked++) })
    old.start()
    await old.channel.publish('picket/p-7/command', '1', { retain: false })
    const next = await startChannel(about)
    next.start()
    await next.channel.publish('picket/p-7/command', '2', { retain: false })
    await until(() => asked === 1)
    await expect(old.channel.publish('picket/p-7/command', '3', { retain: false })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(next.meters.of('picket_channel_connected', 'field')).toBe(1)
  })

  it('publishes again after its broker came back', async () => {
    const { channel, start, meters } = await startChannel({ url: url() })
    start()
    await channel.publish('picket/p-7/command', '1', { retain: false })
    await mosquitto().kill()
    await until(() => meters.of('picket_channel_connected', 'field') === 0)
    await mosquitto().restart()
    await channel.publish('picket/p-7/command', '2', { retain: false })
  })

  it('to several brokers is done when all have taken it, and hears the devices of each', async () => {
    const second = await startScripted((packet, socket) => {
      if (packet.type === CONNECT) socket.write(connack())
      if (packet.type === SUBSCRIBE) socket.write(suback(packet.id, [1]))
      if (packet.type === PUBLISH) socket.write(puback(packet.id))
    })
    const [a, b] = [await startChannel({ url: url() }), await startChannel({ url: second.url })]
    const both = fanOut([a.channel, b.channel])
    const answers: string[] = []
    both.receive(async (topic) => void answers.push(topic))
    both.start(leading())
    await both.publish('picket/p-7/command', '{}', { retain: false })
    expect(second.packets.filter(({ type }) => type === PUBLISH)).toHaveLength(1)
    second.sockets[0]!.write(publishOf('picket/far/ack', '{}', { qos: 1, id: 1 }))
    await (await connect(url())).publishAsync('picket/near/ack', '{}', { qos: 1 })
    await until(() => answers.length === 2)
    expect(answers.toSorted()).toEqual(['picket/far/ack', 'picket/near/ack'])
  })

  it('to several brokers of which one can’t be reached is told so, after the others have taken it', async () => {
    const [port] = await freePorts(1)
    const [a, b] = [await startChannel({ url: url() }), await startChannel({ url: `mqtt://127.0.0.1:${port}`, publishMs: 200 })]
    const both = fanOut([a.channel, b.channel])
    both.start(leading())
    const device = freshId()
    const client = await connect(url())
    const { arrived } = inbox(client)
    await client.subscribeAsync(`picket/${device}/command`, { qos: 1 })
    await expect(both.publish(`picket/${device}/command`, '{}', { retain: false })).rejects.toThrow(`mqtt://127.0.0.1:${port}`)
    await arrived(1)
    expect(both.reasons()).toEqual([expect.stringContaining(`respond at source field: not connected to mqtt://127.0.0.1:${port}: connect ECONNREFUSED`)])
  })
})

describe('a channel', () => {
  it('that was not started publishes nothing', async () => {
    const { channel } = await startChannel({ url: 'mqtt://127.0.0.1:1' })
    await expect(channel.publish('picket/p-7/command', '{}', { retain: false })).rejects.toThrow('this process does not lead respond')
    expect(channel.reasons()).toEqual([])
  })

  it('gives up on a broker that takes a publish and never says so, and on one that refuses it', async () => {
    const broker = await startScripted((packet, socket) => {
      if (packet.type === CONNECT) socket.write(connack())
      if (packet.type === PUBLISH && packet.body.includes('refused')) socket.write(puback(packet.id, 135))
    })
    const { channel, start } = await startChannel({ url: broker.url, publishMs: 300 })
    start()
    await expect(channel.publish('picket/p-7/command', '{}', { retain: false })).rejects.toThrow('no acknowledgement within 300 ms')
    await expect(channel.publish('picket/p-7/command', 'refused', { retain: false })).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('Not authorized') as string })
  })

  it('rejects what is under way when the connection ends', async () => {
    const broker = await startScripted((packet, socket) => {
      if (packet.type === CONNECT) socket.write(connack())
      if (packet.type === PUBLISH) socket.destroy()
    })
    const { channel, start } = await startChannel({ url: broker.url })
    start()
    await expect(channel.publish('picket/p-7/command', '{}', { retain: false })).rejects.toThrow(/the broker closed the connection|ECONNRESET/)
  })

  it('acknowledges a device’s answer after it is taken, and has it again where it is not', async () => {
    const broker = await startScripted((packet, socket) => {
      if (packet.type === CONNECT) socket.write(connack())
      if (packet.type === SUBSCRIBE) socket.write(suback(packet.id, [1]))
    })
    const { channel, start, meters } = await startChannel({ url: broker.url })
    const taken: { resolve: () => void; reject: (error: unknown) => void }[] = []
    channel.receive(() => new Promise((resolve, reject) => void taken.push({ resolve, reject })))
    start()
    await until(() => meters.of('picket_channel_connected', 'field') === 1)
    broker.sockets[0]!.write(publishOf('picket/p-7/ack', '{}', { qos: 1, id: 1 }))
    await until(() => taken.length === 1)
    expect(broker.packets.some(({ type }) => type === PUBACK)).toBe(false)
    taken[0]!.resolve()
    await until(() => broker.packets.some(({ type }) => type === PUBACK))
    broker.sockets[0]!.write(publishOf('picket/p-7/ack', '{}', { qos: 1, id: 2 }))
    await until(() => taken.length === 2)
    taken[1]!.reject(new Error('the log is gone'))
    await until(() => broker.sockets.length === 2)
  })
})
