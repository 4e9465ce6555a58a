/** The device contract on the wire: command, desired state, signature, and what devices answer, good or bad. */
import { generateKeyPairSync, verify } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { createDeviceCommand } from '../../src/respond/device-command.ts'
import type { Ack, Command, Enforcer } from '../../src/respond/enforcer.ts'
import { ManualClock, settle } from '../clock.ts'
import { MemoryChannel } from './channel.ts'
import { CountingMetrics, silent, START } from './fleet.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')

const quarantine: Command = {
  id: 'a'.repeat(24),
  kind: 'quarantine',
  lease: { device: 'hall/pump 1', generation: START, incident: 'incident-1', reason: 'odd', issuedAt: START, until: START + 600_000 },
}
const release: Command = { ...quarantine, id: 'b'.repeat(24), kind: 'release', lease: { ...quarantine.lease, generation: START + 1, reason: 'over' } }

let channel: MemoryChannel
let metrics: CountingMetrics
let clock: ManualClock
let enforcer: Enforcer
let acks: Ack[]

function make(key: typeof privateKey | null): Enforcer {
  const made = createDeviceCommand({ channel, clock, metrics, logger: silent, key })
  made.onAck(async (ack) => void acks.push(ack))
  return made
}

beforeEach(() => {
  channel = new MemoryChannel()
  metrics = new CountingMetrics()
  clock = new ManualClock(START)
  acks = []
  enforcer = make(null)
})

describe('a quarantine', () => {
  it('is the desired state, retained, and then the command, not retained', async () => {
    expect(await enforcer.send(quarantine)).toMatchObject({ status: 'done' })
    expect(channel.published).toEqual([
      { topic: 'picket/hall%2Fpump 1/desired', retain: true, payload: { v: 1, state: 'quarantined', generation: START, until: START + 600_000, reason: 'odd' } },
      {
        topic: 'picket/hall%2Fpump 1/command',
        retain: false,
        payload: {
          v: 1, id: 'a'.repeat(24), generation: START, kind: 'quarantine', device: 'hall/pump 1', reason: 'odd', incident: 'incident-1',
          issued: START, expires: START + 600_000, ttl: 600, reply: 'picket/hall%2Fpump 1/ack',
        },
      },
    ])
  })

  it('sent later has less to live, for a device without a clock', async () => {
    await clock.advance(599_500)
    await enforcer.send(quarantine)
    expect(channel.published[1]!.payload).toMatchObject({ ttl: 1, expires: START + 600_000 })
  })

  it('is asserted by its desired state alone', async () => {
    await enforcer.assertDesired(quarantine)
    expect(channel.published.map(({ topic }) => topic)).toEqual(['picket/hall%2Fpump 1/desired'])
  })
})

it('a release makes the desired state normal, without an end', async () => {
  await enforcer.send(release)
  expect(channel.published[0]!.payload).toEqual({ v: 1, state: 'normal', generation: START + 1, until: null, reason: 'over' })
  expect(channel.published[1]!.payload).toMatchObject({ kind: 'release', generation: START + 1 })
})

describe('a signature', () => {
  function isSigned(payload: Record<string, unknown>, lines: readonly unknown[]): boolean {
    return verify(null, Buffer.from(lines.join('\n'), 'utf8'), publicKey, Buffer.from(String(payload['sig']), 'base64'))
  }

  it('covers the command', async () => {
    await make(privateKey).send(quarantine)
    const { payload } = channel.published[1]!
    const lines = [1, 'a'.repeat(24), START, 'quarantine', 'hall/pump 1', START, START + 600_000, 'picket/hall%2Fpump 1/ack', 'odd']
    expect(isSigned(payload, lines)).toBe(true)
    expect(isSigned(payload, lines.with(3, 'release'))).toBe(false)
  })

  it('covers the desired state, with empty lines for what it has not', async () => {
    const signer = make(privateKey)
    await signer.assertDesired(quarantine)
    await signer.assertDesired(release)
    expect(isSigned(channel.published[0]!.payload, [1, '', START, 'quarantined', 'hall/pump 1', '', START + 600_000, '', 'odd'])).toBe(true)
    expect(isSigned(channel.published[1]!.payload, [1, '', START + 1, 'normal', 'hall/pump 1', '', '', '', 'over'])).toBe(true)
  })
})

describe('publishing', () => {
  it('is one at a time, over all devices, in the order of the calls', async () => {
    channel.slow = true
    const both = [enforcer.send(quarantine), enforcer.send({ ...release, lease: { ...release.lease, device: 'other' } })]
    for (let i = 0; i < 4; i++) {
      await settle()
      expect(channel.waiting).toHaveLength(1)
      channel.waiting.shift()!()
    }
    await Promise.all(both)
    expect(channel.published.map(({ topic }) => topic.split('/').slice(1).join(' '))).toEqual([
      'hall%2Fpump 1 desired', 'hall%2Fpump 1 command', 'other desired', 'other command',
    ])
  })

  it('asks right before each whether it may, and is for later when it may not', async () => {
    let left = 1
    expect(await enforcer.send(quarantine, () => left-- > 0)).toMatchObject({ status: 'retry' })
    expect(channel.published.map(({ topic }) => topic.split('/').at(-1))).toEqual(['desired'])
    expect(await enforcer.assertDesired(quarantine, () => false)).toMatchObject({ status: 'retry' })
    expect(channel.published).toHaveLength(1)
  })

  it('that fails is for later, and does not stop the next', async () => {
    channel.failure = new Error('no broker')
    expect(await enforcer.send(quarantine)).toEqual({ status: 'retry', detail: 'no broker' })
    channel.failure = null
    expect(await enforcer.send(quarantine)).toMatchObject({ status: 'done' })
  })
})

describe('an ack', () => {
  const topic = 'picket/hall%2Fpump 1/ack'
  const good = { v: 1, id: 'a'.repeat(24), generation: START, status: 'done', reason: 'valve shut', extra: true }

  it('is handed on with the device its topic names', async () => {
    await channel.say(topic, good)
    expect(acks).toEqual([{ id: 'a'.repeat(24), device: 'hall/pump 1', generation: START, status: 'done', reason: 'valve shut' }])
  })

  it('needs no reason', async () => {
    await channel.say(topic, { ...good, reason: undefined })
    expect(acks[0]!.reason).toBe('')
  })

  it.each([
    ['not JSON', '{', 'not-json'],
    ['no object', '[]', 'not-json'],
    ['null', 'null', 'not-json'],
    ['another version', { ...good, v: 2 }, 'bad-version'],
    ['no id', { ...good, id: '' }, 'bad-id'],
    ['a long id', { ...good, id: 'a'.repeat(65) }, 'bad-id'],
    ['a fractional generation', { ...good, generation: 1.5 }, 'bad-generation'],
    ['a generation as text', { ...good, generation: '1' }, 'bad-generation'],
    ['another status', { ...good, status: 'toString' }, 'bad-status'],
    ['a reason that is none', { ...good, reason: {} }, 'bad-reason'],
    ['too many bytes', { ...good, reason: 'x'.repeat(5_000) }, 'too-long'],
  ])('that is %s is dropped and counted', async (_what, payload, reason) => {
    await channel.say(topic, payload)
    expect(acks).toEqual([])
    expect(metrics.value(`picket_messages_dropped_total{stage=ack,reason=${reason}}`)).toBe(1)
  })

  it.each(['picket/a/b/ack', 'picket//ack', 'picket/a%2f/ack', 'other/a/ack', 'picket/a/command'])('under %s is none', async (bad) => {
    await channel.say(bad, good)
    expect(metrics.value('picket_messages_dropped_total{stage=ack,reason=bad-topic}')).toBe(1)
  })
})
