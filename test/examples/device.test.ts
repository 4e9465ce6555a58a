/** The example device against the real broker: it obeys the device contract, as Picket's own enforcer speaks it. */
import { generateKeyPairSync, sign } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Device } from '../../examples/device/device-client.mjs'
import type { Message } from '../../src/core/message.ts'
import { createBroker } from '../../src/ingest/broker.ts'
import type { Broker } from '../../src/ingest/broker.ts'
import { systemClock } from '../../src/ops/clock.ts'
import { createDeviceCommand } from '../../src/respond/device-command.ts'
import type { Ack } from '../../src/respond/enforcer.ts'
import { keepingLogger, Meters } from '../ingest/lab.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const PEM = publicKey.export({ type: 'spki', format: 'pem' })
const NAME = 'leeds/p-7'
const NOW = 1_700_000_000_000

let broker: Broker
let received: Message[]
let acks: Omit<Ack, 'device'>[]
let devices: Device[]

beforeEach(async () => {
  received = []
  acks = []
  devices = []
  broker = createBroker({
    name: 'embedded', listen: { host: '127.0.0.1', port: 0 }, credentials: null, telemetry: ['telemetry/{class}/{device}'],
    limits: { packetBytes: 65_536, connections: 10, topicLength: 256, subscriptionsPerClient: 10, retainedTopics: 10, nameLength: 64 },
    clock: systemClock, logger: keepingLogger().logger, metrics: new Meters(),
  })
  await broker.start(async (message) => void received.push(message))
  broker.receive(async (topic, payload) => {
    if (topic === 'picket/leeds%2Fp-7/ack') acks.push(JSON.parse(Buffer.from(payload).toString()) as Ack)
  })
})

afterEach(async () => {
  for (const device of devices) await device.stop()
  await broker.stop()
})

/** A device that has heard of its subscription. */
async function start(options: Partial<ConstructorParameters<typeof Device>[0]> = {}): Promise<Device> {
  const device = new Device({ url: `mqtt://127.0.0.1:${broker.address().port}`, device: NAME, topic: 'telemetry/pump/p-7', now: () => NOW, ...options })
  devices.push(device)
  await until(() => device.client.connected)
  // Answered in order: behind this the device's own subscription stands.
  await device.client.subscribeAsync('picket/none')
  return device
}

const LINES = ['v', 'id', 'generation', 'kind', 'device', 'issued', 'expires', 'reply', 'reason'] as const

/** A signed command; `changed` after signing. */
function command(fields: Record<string, unknown> = {}, changed: Record<string, unknown> = {}): string {
  const body = {
    v: 1, id: 'c-1', generation: 10, kind: 'quarantine', device: NAME, reason: 'vibration', incident: 'i-1', issued: NOW - 1000, expires: NOW + 60_000,
    ttl: 60, reply: 'picket/leeds%2Fp-7/ack', ...fields,
  } as Record<string, unknown>
  const text = LINES.map((line) => body[line]).join('\n')
  return JSON.stringify({ ...body, sig: sign(null, Buffer.from(text), privateKey).toString('base64'), ...changed })
}

const send = (text: string) => broker.publish('picket/leeds%2Fp-7/command', text, { retain: false })
const statuses = () => acks.map(({ id, status }) => `${id} ${status}`)

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

describe('a device', () => {
  it('publishes its readings, each acknowledged', async () => {
    const device = await start()
    expect(await device.publish({ t: 20 })).toBe(true)
    expect(received.map(({ topic, payload, qos }) => [topic, Buffer.from(payload).toString(), qos])).toEqual([['telemetry/pump/p-7', '{"t":20}', 1]])
  })

  it('told to, accepts, stops its telemetry, says so, and goes on when released', async () => {
    const device = await start({ publicKey: PEM })
    await send(command())
    await until(() => acks.length === 2)
    expect([statuses(), device.isQuarantined, await device.publish({ t: 1 })]).toEqual([['c-1 accepted', 'c-1 done'], true, false])
    await send(command({ id: 'c-2', generation: 11, kind: 'release' }))
    await until(() => acks.length === 4)
    expect([statuses().slice(2), await device.publish({ t: 2 })]).toEqual([['c-2 accepted', 'c-2 done'], true])
    expect(received).toHaveLength(1)
  })

  it('executes an id once, and answers it again as before', async () => {
    const switches: boolean[] = []
    await start({ onQuarantine: (quarantined) => switches.push(quarantined) })
    await send(command())
    await send(command({ id: 'c-2', generation: 11, kind: 'release' }))
    await send(command())
    await until(() => acks.length === 5)
    expect([switches, statuses().at(-1)]).toEqual([[true, false], 'c-1 done'])
  })

  it.each<[string, string, string]>([
    ['without a signature', command({}, { sig: undefined }), 'bad signature'],
    ['with a field changed after signing', command({}, { expires: NOW + 120_000 }), 'bad signature'],
    ['for another device', command({ device: 'p-8' }), 'for p-8, not for leeds/p-7'],
    ['that has expired', command({ expires: NOW }), 'expired'],
    ['whose end is no time', command({ expires: 'Infinity' }).replace('"Infinity"', '1e999'), 'expired'],
    ['of an unknown kind', command({ kind: 'explode' }), 'unknown kind explode'],
    ['not newer than the last', command({ generation: 5 }), 'generation 5 is not newer than 5'],
  ])('rejects a command %s', async (_, text, reason) => {
    const device = await start({ publicKey: PEM, remembered: { generation: 5, answers: [] } })
    await send(text)
    await until(() => acks.length === 1)
    expect([acks[0]?.status, acks[0]?.reason, device.isQuarantined]).toEqual(['rejected', reason, false])
  })

  it('is not kept from a command by a forged one of its id', async () => {
    const device = await start({ publicKey: PEM })
    await send(command({}, { sig: 'AAAA' }))
    await send(command())
    await until(() => acks.length === 3)
    expect(device.isQuarantined).toBe(true)
  })

  it('releases itself when its quarantine is over', async () => {
    const device = await start()
    await send(command({ expires: NOW + 50 }))
    await until(() => device.isQuarantined)
    await until(() => !device.isQuarantined)
  })

  it('without a clock counts its quarantine from receipt, also where its desired state came first', async () => {
    const device = await start({ hasClock: false, now: () => 0 })
    await broker.publish('picket/leeds%2Fp-7/desired', JSON.stringify({ v: 1, state: 'quarantined', generation: 10, until: 0, reason: '' }), { retain: true })
    await until(() => device.isQuarantined)
    await send(command({ expires: 0, ttl: 0.05 }))
    await until(() => !device.isQuarantined)
    expect(statuses()).toEqual(['c-1 accepted', 'c-1 done'])
  })

  it('that was away finds its desired state', async () => {
    await broker.publish('picket/leeds%2Fp-7/desired', JSON.stringify({ v: 1, state: 'quarantined', generation: 10, until: NOW + 60_000, reason: 'x' }), { retain: true })
    const reasons: string[] = []
    const device = await start({ onQuarantine: (_, reason) => reasons.push(reason) })
    await until(() => device.isQuarantined)
    await broker.publish('picket/leeds%2Fp-7/desired', JSON.stringify({ v: 1, state: 'normal', generation: 9, until: null, reason: 'old' }), { retain: true })
    await broker.publish('picket/leeds%2Fp-7/desired', JSON.stringify({ v: 1, state: 'normal', generation: 11, until: null, reason: 'new' }), { retain: true })
    await until(() => !device.isQuarantined)
    expect([device.generation, reasons]).toEqual([11, ['x', 'new']])
  })

  it('remembers over a restart what it did', async () => {
    let kept: { generation: number; answers: { id: string; status: string; reason: string }[] } | undefined
    const first = await start({ remember: (remembered) => (kept = remembered) })
    await send(command())
    await until(() => acks.length === 2)
    await first.stop()
    devices.splice(0)
    await start({ remembered: kept! })
    await send(command())
    await until(() => acks.length === 3)
    expect([kept?.generation, statuses().at(-1)]).toEqual([10, 'c-1 done'])
  })

  it('is not shaken by what is no command', async () => {
    const device = await start()
    for (const text of ['', 'x', '[]', 'null', '{"v":2}', '{"v":1}', '{"v":1,"id":{},"generation":"x"}']) await send(text)
    await broker.publish('picket/leeds%2Fp-7/desired', '{"v":1}', { retain: true })
    expect(await device.publish({ t: 1 })).toBe(true)
  })
})

describe('Picket\'s own commands', () => {
  it('are understood by the device, signature and all', async () => {
    const device = await start({ publicKey: PEM })
    const enforcer = createDeviceCommand({ channel: broker, clock: { ...systemClock, now: () => NOW }, metrics: new Meters(), logger: keepingLogger().logger, key: privateKey })
    const lease = { device: NAME, generation: 20, incident: 'i', reason: 'too hot', issuedAt: NOW, until: NOW + 60_000 }
    await enforcer.send({ id: 'q', kind: 'quarantine', lease })
    await until(() => statuses().includes('q done'))
    expect(device.isQuarantined).toBe(true)
    await enforcer.send({ id: 'r', kind: 'release', lease: { ...lease, generation: 21 } })
    await until(() => statuses().includes('r done'))
    expect(device.isQuarantined).toBe(false)
  })
})
