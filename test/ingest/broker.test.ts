/** The embedded broker over real sockets: acknowledgements, commands to devices, stopping. */
import { describe, expect, it } from 'vitest'
import { ResendStore } from '../../examples/device/device-client.mjs'
import { PipelineError } from '../../src/core/errors.ts'
import { ManualClock } from '../clock.ts'
import { connect, event, inbox, login, open, OWN, start, until } from './broker-lab.ts'

function gate() {
  let lift: () => void = () => undefined
  const opened = new Promise<void>((resolve) => (lift = resolve))
  return { open: () => lift(), opened }
}

describe('a published message', () => {
  it('tells of a backlog while devices are still coming back after its start', async () => {
    const clock = new ManualClock()
    const { broker } = await start({ clock, returnMs: 30_000 })
    expect(broker.status().backlog).toBe(true)
    await clock.advance(29_999)
    expect(broker.status().backlog).toBe(true)
    await clock.advance(1)
    expect(broker.status().backlog).toBe(false)
    const stopped = broker.stop()
    await clock.advance(10)
    await stopped
  })

  it('arrives with its topic, payload, client and QoS', async () => {
    const { broker, received } = await start()
    const client = await connect(broker, { clientId: 'c-1' })
    await client.publishAsync('telemetry/pump/p-7', '{"t":1}', { qos: 1 })
    expect(received).toEqual([
      { source: 'embedded', client: 'c-1', account: null, topic: 'telemetry/pump/p-7', payload: Buffer.from('{"t":1}'), qos: 1, dup: false, retain: false, arrival: expect.any(Number) as number },
    ])
  })

  it.each([1, 2] as const)('of QoS %i is acknowledged only after it was taken', async (qos) => {
    const taken = gate()
    const { broker, received } = await start({}, () => taken.opened)
    const client = await connect(broker)
    let acknowledged = false
    const ack = client.publishAsync('telemetry/pump/p-7', '1', { qos }).then(() => (acknowledged = true))
    // A ping goes out and comes back by the same socket, so an acknowledgement would have come before it.
    await connect(broker).then((other) => other.publishAsync('picket/x/ack', '1', { qos: 1 }))
    expect([received.length, acknowledged]).toEqual([1, false])
    taken.open()
    await ack
  })

  it('that was not taken ends the connection, and comes again flagged DUP', async () => {
    let failures = 1
    const { broker, received } = await start({}, async () => {
      if (failures-- > 0) throw new PipelineError('DISK_FULL', 'disk full')
    })
    const client = await connect(broker, { reconnectPeriod: 1, outgoingStore: new ResendStore() })
    await client.publishAsync('telemetry/pump/p-7', '1', { qos: 1 })
    expect(received.map(({ dup }) => dup)).toEqual([false, true])
  })

  it('is one of many under way at once', async () => {
    const taken = gate()
    const { broker, received } = await start({}, () => taken.opened)
    const client = await connect(broker)
    const acks = Array.from({ length: 20 }, (_, i) => client.publishAsync('telemetry/pump/p-7', String(i), { qos: 1 }))
    await until(() => received.length === 20)
    taken.open()
    await Promise.all(acks)
    expect(received.map(({ payload }) => Number(payload))).toEqual(Array.from({ length: 20 }, (_, i) => i))
  })

  it('is neither retained nor taken for history where its device asks to retain it', async () => {
    const { broker, received } = await start()
    const first = await connect(broker)
    await first.subscribeAsync('telemetry/#')
    await first.publishAsync('telemetry/pump/p-7', '1', { qos: 1, retain: true })
    const client = await connect(broker)
    const { messages, arrived } = inbox(client)
    await client.subscribeAsync('telemetry/#')
    await client.publishAsync('telemetry/pump/p-8', '2', { qos: 1 })
    await arrived(1)
    expect(messages).toEqual([{ topic: 'telemetry/pump/p-8', text: '2', retain: false }])
    expect(received[0]?.retain).toBe(false)
  })

  it('may be a will', async () => {
    const { broker, received } = await start()
    const client = await connect(broker, { will: { topic: 'telemetry/pump/p-7', payload: Buffer.from('{"up":false}'), qos: 1, retain: false } })
    client.stream.destroy()
    await until(() => received.length === 1)
    expect(received[0]).toMatchObject({ topic: 'telemetry/pump/p-7', qos: 1 })
  })
})

describe('a command', () => {
  it('reaches its device after the desired state, each once', async () => {
    const { broker } = await start()
    const client = await connect(broker)
    const { messages, arrived } = inbox(client)
    await client.subscribeAsync('picket/p-7/#', { qos: 1 })
    const sent = Array.from({ length: 20 }, (_, i) => [broker.publish('picket/p-7/desired', `d${i}`, { retain: true }), broker.publish('picket/p-7/command', `c${i}`, { retain: false })])
    await Promise.all(sent.flat())
    await arrived(40)
    expect(messages.map(({ text }) => text)).toEqual(Array.from({ length: 20 }, (_, i) => [`d${i}`, `c${i}`]).flat())
  })

  it.each(['picket/p-7/#', 'picket/p-7/desired', 'picket/+/desired', '#'])('leaves its desired state for who subscribes to %s later', async (filter) => {
    const { broker } = await start()
    await broker.publish('picket/p-7/desired', 'old', { retain: true })
    await broker.publish('picket/p-7/desired', 'quarantined', { retain: true })
    await broker.publish('picket/p-7/command', 'gone', { retain: false })
    const client = await connect(broker)
    const { messages, arrived } = inbox(client)
    await client.subscribeAsync(filter, { qos: 1 })
    await arrived(1)
    expect(messages).toEqual([{ topic: 'picket/p-7/desired', text: 'quarantined', retain: true }])
  })

  it('is not kept for a device that is away, whatever session it asked for', async () => {
    const { broker } = await start()
    const first = await connect(broker, { clientId: 'p-7', clean: false })
    await first.subscribeAsync('picket/p-7/command', { qos: 1 })
    await first.endAsync(true)
    await broker.publish('picket/p-7/command', 'missed', { retain: false })
    const again = open(broker, { clientId: 'p-7', clean: false })
    const { messages, arrived } = inbox(again)
    const [connack] = (await event(again, 'connect')) as [{ sessionPresent: boolean }]
    expect(connack.sessionPresent).toBe(false)
    await again.subscribeAsync('picket/p-7/command', { qos: 1 })
    await broker.publish('picket/p-7/command', 'heard', { retain: false })
    await arrived(1)
    expect(messages.map(({ text }) => text)).toEqual(['heard'])
  })

  it('is not taken before the broker runs, nor beyond its retained topics', async () => {
    const { broker } = await start()
    for (const device of ['a', 'b', 'c']) await broker.publish(`picket/${device}/desired`, '1', { retain: true })
    await expect(broker.publish('picket/d/desired', '1', { retain: true })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await broker.publish('picket/a/desired', '', { retain: true })
    await expect(broker.publish('picket/d/desired', '1', { retain: true })).resolves.toBeUndefined()
    await broker.stop()
    await expect(broker.publish('picket/d/command', '1', { retain: false })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  it('is answered by an ack that is acknowledged after it was heard', async () => {
    const heard = gate()
    const acks: [string, string][] = []
    const { broker, received } = await start()
    broker.receive(async (topic, payload) => {
      acks.push([topic, Buffer.from(payload).toString()])
      await heard.opened
    })
    const client = await connect(broker)
    let acknowledged = false
    const done = client.publishAsync('picket/p-7/ack', '{"v":1}', { qos: 1 }).then(() => (acknowledged = true))
    await until(() => acks.length === 1)
    await connect(broker).then((other) => other.publishAsync('telemetry/pump/x', '1', { qos: 1 }))
    expect(acknowledged).toBe(false)
    heard.open()
    await done
    expect([acks, received.map(({ topic }) => topic)]).toEqual([[['picket/p-7/ack', '{"v":1}']], ['telemetry/pump/x']])
  })
})

describe('starting', () => {
  it('on an address in use is refused as config, by its name', async () => {
    const { broker } = await start()
    const { port } = broker.address()
    await expect(start({ listen: { host: '127.0.0.1', port } })).rejects.toMatchObject({
      code: 'BAD_CONFIG', message: expect.stringContaining(`127.0.0.1:${port}`) as string,
    })
  })
})

describe('kicking a device', () => {
  it('ends its connections and leaves the others', async () => {
    const { broker } = await start({ credentials: OWN })
    const [kicked, stays] = [await connect(broker, login('p-7')), await connect(broker, login('p-8'))]
    const closed = event(kicked, 'close')
    expect([broker.kick('p-7'), broker.kick('nobody')]).toEqual([1, 0])
    await closed
    expect(stays.connected).toBe(true)
  })
})

describe('stopping', () => {
  it('waits for what was delivered, acknowledges it, and takes nothing more', async () => {
    const taken = gate()
    const clock = new ManualClock()
    const { broker, received } = await start({ clock }, () => taken.opened)
    const [client, late] = [await connect(broker), await connect(broker)]
    const ack = client.publishAsync('telemetry/pump/p-7', '1', { qos: 1 })
    await until(() => received.length === 1)
    const stopped = broker.stop()
    expect(broker.status().connectedSince).toBeNull()
    const closed = event(late, 'close')
    late.publish('telemetry/pump/p-7', '2', { qos: 1 })
    await late.publishAsync('telemetry/pump/p-7', '3', { qos: 0 })
    await clock.advance(1000)
    taken.open()
    await ack
    await clock.advance(1000)
    await Promise.all([stopped, closed])
    expect(received).toHaveLength(1)
  })
})
