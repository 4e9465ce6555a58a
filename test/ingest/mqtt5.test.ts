/** What MQTT 5 says beside the payload, and what ingest makes of it: content type, user properties, and whom the broker names. */
import { describe, expect, it } from 'vitest'
import type { Message } from '../../src/core/message.ts'
import { propertiesOf, readAs } from '../../src/core/topic-rule.ts'
import type { TopicEntry } from '../../src/core/topic-rule.ts'
import { Decoder } from '../../src/ingest/decoder.ts'
import { Routes } from '../../src/ingest/routes.ts'
import { compilePatterns } from '../../src/ingest/topic-pattern.ts'
import { LIMITS } from './lab.ts'

function decode(entry: TopicEntry, topic: string, payload: string, fields: Partial<Message> = {}) {
  const routes = new Routes(compilePatterns({ patterns: [entry], nameLength: 64 }), 1)
  const message: Message = { source: 'field', client: '', topic, payload: Buffer.from(payload), qos: 1, dup: false, retain: false, arrival: 5_000, ...fields }
  return new Decoder(LIMITS, 1_000_000).decode(message, routes.find(topic)!).messages.map(({ message: { device, samples } }) => ({
    ...device,
    samples: samples.map(({ time, fields: of }) => ({ time, fields: of.map(({ metric, value, text }) => [metric, text === '' ? value : text]) })),
  }))
}

const properties = (of: Readonly<Record<string, string>>) => new Map(Object.entries(of))

describe('the content type', () => {
  it.each([
    ['application/json', 'auto', 'auto'],
    ['application/json; charset=utf-8', 'text', 'auto'],
    ['application/senml+json', 'number', 'auto'],
    ['APPLICATION/JSON', 'json', 'json'],
    ['text/plain', 'auto', 'plain'],
    ['text/plain;charset=UTF-8', 'json', 'plain'],
    ['text/plain', 'number', 'number'],
    ['text/plain', 'text', 'text'],
    ['application/octet-stream', 'text', 'text'],
    ['application/cbor', 'auto', 'auto'],
    ['', 'number', 'number'],
  ] as const)('%s on a topic of codec %s is read as %s', (contentType, own, expected) => {
    expect(readAs(contentType, own)).toBe(expected)
  })

  it('goes before what the topic says', () => {
    const topic = { pattern: 'a/{device}/{metric}', codec: 'text' } as const
    expect(decode(topic, 'a/d/m', '{"value":1,"x":2}', { contentType: 'application/json' })[0]!.samples[0]!.fields).toEqual([['m', 1], ['m.x', 2]])
    expect(decode(topic, 'a/d/m', '{"value":1,"x":2}')[0]!.samples[0]!.fields).toEqual([['m', '{"value":1,"x":2}']])
  })

  it.each([['42.5', 42.5], ['open', 'open'], ['{"a":1}', '{"a":1}']])('text/plain makes of %s a number or text', (payload, value) => {
    expect(decode('a/{device}/{metric}', 'a/d/m', payload, { contentType: 'text/plain' })[0]!.samples[0]!.fields).toEqual([['m', value]])
  })

  it('text/plain that should be a number by its start, and is none, is refused', () => {
    expect(() => decode('a/{device}/{metric}', 'a/d/m', '4 bar', { contentType: 'text/plain' })).toThrow(expect.objectContaining({ reason: 'not_json' }))
  })
})

describe('a user property', () => {
  const timed = { pattern: 'a/{device}/{metric}', codec: 'number', time: { fields: [], unit: 'auto', property: 'at' } } as const

  it.each([['1767225600000', 1_767_225_600_000], ['1767225600', 1_767_225_600_000], ['2026-01-01T00:00:00.5Z', 1_767_225_600_500], ['-5', -5]])(
    'may be the event time: %s',
    (at, time) => {
      expect(decode(timed, 'a/d/m', '4', { properties: properties({ at }) })[0]!.samples[0]!.time).toBe(time)
    },
  )

  it('of the event time has the unit its topic says', () => {
    const inSeconds = { ...timed, time: { ...timed.time, unit: 's' } } as const
    expect(decode(inSeconds, 'a/d/m', '4', { properties: properties({ at: '17' }) })[0]!.samples[0]!.time).toBe(17_000)
  })

  it.each([{}, { other: '4' }])('that is missing leaves the event time to arrival: %o', (of) => {
    expect(decode(timed, 'a/d/m', '4', { properties: properties(of) })[0]!.samples[0]!.time).toBeNull()
  })

  it('that is no time is refused by its name', () => {
    expect(() => decode(timed, 'a/d/m', '4', { properties: properties({ at: 'soon' }) })).toThrow('user property "at" is "soon", expected seconds, ms')
  })

  it('is the time of all samples of a list, whose own fields are metrics then', () => {
    const [message] = decode({ pattern: 'a/{device}', time: timed.time }, 'a/d', '[{"ts":1,"x":2},{"ts":3,"x":4}]', { properties: properties({ at: '7000' }) })
    expect(message!.samples).toEqual([
      { time: 7_000, fields: [['ts', 1], ['x', 2]] },
      { time: 7_000, fields: [['ts', 3], ['x', 4]] },
    ])
  })

  const named = { pattern: 'gateway/{site}', device: '{site}/{property.serial}', class: '{property.kind}' } as const

  it('may name device and class, of each message its own', () => {
    const routes = new Routes(compilePatterns({ patterns: [named], nameLength: 64 }), 1)
    const route = routes.find('gateway/leeds')!
    for (const serial of ['m-1', 'm-2'])
      expect(route.placeOf([], properties({ serial, kind: 'meter' })).device).toEqual({ name: `leeds/${serial}`, labels: { site: 'leeds', class: 'meter' } })
    expect(compilePatterns({ patterns: [named], nameLength: 64 }).meaning('gateway/leeds')!.device).toBeNull()
  })

  it.each([
    [{ kind: 'meter' }, 'device', 'user property "serial", which names the device or its class, is missing'],
    [{ serial: '', kind: 'meter' }, 'name', 'user property "serial" is empty'],
    [{ serial: 'a\n', kind: 'meter' }, 'name', 'user property "serial" "a\\n" holds a control character'],
  ])('that should name the device and does not is refused: %o', (of, reason, text) => {
    expect(() => decode(named, 'gateway/leeds', '{"t":1}', { properties: properties(of) })).toThrow(
      expect.objectContaining({ reason, message: expect.stringContaining(text) as string }),
    )
  })

  it('is found in every place that may need one', () => {
    expect(propertiesOf([named, timed, 'a/{device}'], '{property.id}')).toEqual(['serial', 'kind', 'id', 'at'])
    expect(propertiesOf(['a/{device}'], '{device}')).toEqual([])
  })
})

describe('a message whose broker names its publisher', () => {
  const account = (name: string) => ({ name, isGateway: false, mayBe: (device: string) => device === name })

  it('is taken of the device of that name, and refused of any other', () => {
    expect(decode('a/{device}', 'a/p-7', '{"t":1}', { account: account('p-7') })).toHaveLength(1)
    expect(() => decode('a/{device}', 'a/p-8', '{"t":1}', { account: account('p-7') })).toThrow(expect.objectContaining({ reason: 'identity' }))
  })
})
