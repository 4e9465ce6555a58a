/** Who may publish and subscribe to what, and the topics of the device contract. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeDeviceLevel, deviceTopic, encodeDeviceLevel, parseDeviceTopic } from '../../src/core/device-topic.ts'
import { subscriptionRefusal, useOf } from '../../src/ingest/access.ts'
import { compilePatterns } from '../../src/ingest/topic-pattern.ts'

const telemetry = compilePatterns({ patterns: ['telemetry/{class}/{device}'], nameLength: 64 })
const use = (topic: string, owner: string | null) => useOf(topic, owner, telemetry).kind

describe('a device with credentials', () => {
  it.each([
    ['telemetry/pump/p-7', 'telemetry'], ['picket/p-7/ack', 'ack'],
    ['telemetry/pump/p-8', 'refused'], ['telemetry/pump/p-7/x', 'refused'], ['telemetry/pump/', 'refused'], ['other', 'refused'],
    ['picket/p-8/ack', 'refused'], ['picket/p-7/command', 'refused'], ['picket/p-7/desired', 'refused'], ['picket', 'refused'], ['$SYS/x', 'refused'],
  ])('publishing %s is %s', (topic, kind) => {
    expect(use(topic, 'p-7')).toBe(kind)
  })

  it.each([
    ['picket/p-7/#', true], ['picket/p-7/command', true], ['picket/p-7/+', true],
    ['picket/p-8/#', false], ['picket/+/command', false], ['picket/#', false], ['#', false], ['+/p-7/command', false], ['picket/p-77/#', false],
    ['telemetry/pump/p-7', false], ['$share/g/picket/p-7/#', false], ['$SYS/#', false],
  ])('subscribing to %s is allowed: %s', (filter, allowed) => {
    expect(subscriptionRefusal(filter, 'p-7') === null).toBe(allowed)
  })

  it('answers under its name as it is encoded', () => {
    expect(use('picket/leeds%2F7/ack', 'leeds/7')).toBe('ack')
    expect(subscriptionRefusal('picket/leeds%2F7/#', 'leeds/7')).toBeNull()
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
