/** Who may publish and subscribe to what, and the topics of the device contract. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeDeviceLevel, deviceTopic, encodeDeviceLevel, parseDeviceTopic } from '../../src/core/device-topic.ts'
import type { Account } from '../../src/core/message.ts'
import { mayReceive, subscriptionRefusal, useOf } from '../../src/ingest/access.ts'
import { compilePatterns } from '../../src/ingest/topic-pattern.ts'

const telemetry = compilePatterns({
  patterns: ['telemetry/{class}/{device}', { pattern: 'gateway/{gateway}', device: '{payload.id}' }, { pattern: 'typed/{device}', class: '{payload.type}' }],
  nameLength: 64,
})
const P7: Account = { name: 'p-7', isGateway: false, mayBe: (device) => device === 'p-7' }
const GATEWAY: Account = { name: 'g-1', isGateway: true, mayBe: (device) => /^(g-1|p-.*)$/.test(device) }
const use = (topic: string, account: Account | null) => useOf(topic, account, telemetry).kind

describe('a device with credentials', () => {
  it.each([
    ['telemetry/pump/p-7', 'telemetry'], ['picket/p-7/ack', 'ack'],
    ['gateway/any', 'telemetry'], ['typed/p-7', 'telemetry'], ['typed/p-8', 'refused'],
    ['telemetry/pump/p-8', 'refused'], ['telemetry/pump/p-7/x', 'refused'], ['telemetry/pump/', 'refused'], ['other', 'refused'],
    ['picket/p-8/ack', 'refused'], ['picket/p-7/command', 'refused'], ['picket/p-7/desired', 'refused'], ['picket', 'refused'], ['$SYS/x', 'refused'],
  ])('publishing %s is %s', (topic, kind) => {
    expect(use(topic, P7)).toBe(kind)
  })

  it.each([
    ['picket/p-7/#', true], ['picket/p-7/command', true], ['picket/p-7/+', true],
    ['picket/p-8/#', false], ['picket/+/command', false], ['picket/#', false], ['#', false], ['+/p-7/command', false], ['picket/p-77/#', false],
    ['telemetry/pump/p-7', false], ['$share/g/picket/p-7/#', false], ['$SYS/#', false],
  ])('subscribing to %s is allowed: %s', (filter, allowed) => {
    expect(subscriptionRefusal(filter, P7) === null).toBe(allowed)
  })

  it('answers under its name as it is encoded', () => {
    const leeds: Account = { name: 'leeds/7', isGateway: false, mayBe: (device) => device === 'leeds/7' }
    expect(use('picket/leeds%2F7/ack', leeds)).toBe('ack')
    expect(subscriptionRefusal('picket/leeds%2F7/#', leeds)).toBeNull()
  })

  it('receives what is for it alone', () => {
    expect(['picket/p-7/command', 'picket/p-8/command', 'telemetry/pump/p-7', '$SYS/x'].map((topic) => mayReceive(topic, P7))).toEqual([true, false, false, false])
  })
})

describe('a gateway with credentials', () => {
  it.each([
    ['telemetry/pump/p-7', 'telemetry'], ['telemetry/gateway/g-1', 'telemetry'], ['gateway/any', 'telemetry'], ['picket/p-8/ack', 'ack'],
    ['telemetry/pump/q-7', 'refused'], ['picket/q-7/ack', 'refused'],
  ])('publishing %s is %s', (topic, kind) => {
    expect(use(topic, GATEWAY)).toBe(kind)
  })

  it.each([
    ['picket/g-1/#', true], ['picket/p-8/command', true], ['picket/+/command', true], ['picket/+/#', true],
    ['picket/q-8/command', false], ['picket/#', false], ['#', false], ['+/p-7/command', false], ['telemetry/pump/p-7', false], ['picket', false],
  ])('subscribing to %s is allowed: %s', (filter, allowed) => {
    expect(subscriptionRefusal(filter, GATEWAY) === null).toBe(allowed)
  })

  it('receives of what it subscribed to only what is for its devices', () => {
    expect(['picket/p-8/command', 'picket/q-8/command'].map((topic) => mayReceive(topic, GATEWAY))).toEqual([true, false])
  })
})

describe('anyone without credentials', () => {
  it.each([
    ['telemetry/pump/p-8', 'telemetry'], ['anything', 'telemetry'], ['picket/p-8/ack', 'ack'],
    ['picket/p-8/command', 'refused'], ['picket/p-8/desired', 'refused'], ['picket/p-8/other', 'refused'], ['$SYS/x', 'refused'],
  ])('publishing %s is %s', (topic, kind) => {
    expect(use(topic, null)).toBe(kind)
  })

  it.each([['#', true], ['$SYS/#', true], ['picket/+/command', true], ['$share/g/telemetry/#', false]])('subscribing to %s is allowed: %s', (filter, allowed) => {
    expect(subscriptionRefusal(filter, null) === null).toBe(allowed)
  })
})

describe('a device in a topic', () => {
  it.each([['a/b', 'a%2Fb'], ['50%', '50%25'], ['+#', '%2B%23'], ['a\0b', 'a%00b'], ['söm', 'söm']])('%j is %s', (device, level) => {
    expect(encodeDeviceLevel(device)).toBe(level)
  })

  it.each(['', 'a%2fb', 'a%20b', '100%', 'a+b', 'a#b', 'a%'])('is not %j', (level) => {
    expect(decodeDeviceLevel(level)).toBeNull()
  })

  it('comes back as it went, whatever its name', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: fc.constantFrom('/', '%', '+', '#', '\0', '2', 'F', 'a', 'ö') }), (device) => {
        expect(parseDeviceTopic(deviceTopic(device, 'ack'))).toEqual({ device, kind: 'ack' })
      }),
    )
  })

  it.each(['picket/a', 'picket/a/ack/b', 'picket/a/other', 'other/a/ack', 'picket//ack'])('%s is none of the contract', (topic) => {
    expect(parseDeviceTopic(topic)).toBeNull()
  })
})
