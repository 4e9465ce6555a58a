/** The topics of a source: as a pattern or a mapping, and what of them is refused where. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import { ConfigError } from '../../src/config/problems.ts'
import { compilePatterns } from '../../src/ingest/topic-pattern.ts'

const load = (topics: string, device = '"{device}"') =>
  loadConfig({ file: 'my.yaml', text: `sources:\n- name: a\n  embedded: true\n  device: ${device}\n  topics:\n${topics}`, environment: {} })

function refusal(topics: string, device?: string): string[] {
  try {
    load(topics, device)
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n')
    throw error
  }
  throw new Error('was not refused')
}

describe('a topic', () => {
  it('may be a pattern alone or say how its payloads are read and its devices named', () => {
    const { topics } = load(`
  - telemetry/{class}/{device}
  - { pattern: "gateway/{site}", codec: json, time: { field: meta.at, unit: s }, device: "{site}/{payload.meter.id}", class: meter }
  - { pattern: "raw/{device}/{metric+}", codec: number }
  - { pattern: "log/{device}", time: { unit: us } }`).sources[0]!
    expect(topics).toEqual([
      'telemetry/{class}/{device}',
      { pattern: 'gateway/{site}', codec: 'json', time: { fields: ['meta.at'], unit: 's' }, device: '{site}/{payload.meter.id}', class: 'meter' },
      { pattern: 'raw/{device}/{metric+}', codec: 'number' },
      { pattern: 'log/{device}', time: { fields: ['ts', 'timestamp', 'time'], unit: 'us' } },
    ])
  })

  it('may leave its device to the source, which may take it from the payload', () => {
    expect(load('  - anything/{x+}', '"{payload.id}"').sources[0]!.topics).toEqual(['anything/{x+}'])
  })
})

describe('a topic is refused', () => {
  it.each([
    ['a/#', 'my.yaml:6:5: sources.0.topics.0: is "a/#"; allowed: levels of plain text or {name}'],
    ['5', 'my.yaml:6:5: sources.0.topics.0: is 5; allowed: levels of plain text or {name} (a-z, 0-9, _), the last also {name+}'],
    ['"{metric+}/{device}"', 'my.yaml:6:5: sources.0.topics.0: is "{metric+}/{device}"; allowed: levels of plain text'],
    ['picket/{device}', 'my.yaml:6:5: sources.0.topics.0: is "picket/{device}"; allowed: levels of plain text'],
    ['{ pattern: "a/#" }', 'my.yaml:6:16: sources.0.topics.0.pattern: is "a/#"; allowed: levels of plain text'],
    ['{ codec: json }', 'my.yaml:6:5: sources.0.topics.0.pattern: is missing; allowed: levels of plain text'],
    ['{ pattern: "a/{device}", codek: json }', 'sources.0.topics.0.codek: unknown key, did you mean codec? allowed: pattern, codec, time, device, class'],
    ['{ pattern: "a/{device}", codec: xml }', 'sources.0.topics.0.codec: is "xml"; allowed: one of auto, json, number, text'],
    ['{ pattern: "a/{device}", time: ts }', 'sources.0.topics.0.time: is "ts"; allowed: a mapping with the keys field, property, unit'],
    ['{ pattern: "a/{device}", time: { unit: min } }', 'sources.0.topics.0.time.unit: is "min"; allowed: one of auto, ms, s, us, iso'],
    ['{ pattern: "a/{device}", time: { field: "" } }', 'sources.0.topics.0.time.field: is ""; allowed: the name of a field of the payload'],
    ['{ pattern: "a", device: "{payload.}" }', 'sources.0.topics.0.device: is "{payload.}"; allowed: text that may have {name} of the topic'],
    ['{ pattern: "a", device: "{site}" }', 'sources.0.topics.0.pattern: is "a", which lacks {site} of device: "{site}"'],
    ['{ pattern: "a/{device}", class: "{kind}" }', 'sources.0.topics.0.pattern: is "a/{device}", which lacks {kind} of class: "{kind}"'],
    ['{ pattern: "{class}/{device}", class: x }', 'sources.0.topics.0.class: is "x", but {class}/{device} says {class} too; allowed: one of them'],
    ['{ pattern: a, device: "{payload.id}", codec: text }', 'sources.0.topics.0.codec: is text, whose payloads have no fields as "{payload.id}" needs'],
    ['{ pattern: "a/{device}", codec: number, time: { unit: s } }', 'sources.0.topics.0.time: is given, but payloads of codec number have no fields'],
    ['"{device}/{device}"', 'my.yaml:6:5: sources.0.topics.0: is "{device}/{device}"; allowed: each {name} once'],
    [
      'a/{device}\n  - { pattern: "a/b", device: b }',
      'my.yaml:7:16: sources.0.topics.1.pattern: is "a/b", which never has its turn: a/{device} before it takes all its topics; put it first or leave it out',
    ],
  ])('with its place, value and what is allowed: %s', (topic, line) => {
    expect(refusal(`  - ${topic}`)).toEqual([expect.stringContaining(line)])
  })

  it('where the device of the source is no template', () => {
    expect(refusal('  - a/{device}', 'pump')[0]).toContain('sources.0.device: is "pump"; allowed: text with at least one {name} of the topics, {payload.field} or {property.name}')
  })
})

describe('a user property of MQTT 5', () => {
  const source = (of: string, topics: string, device = '{device}') =>
    loadConfig({ file: 'my.yaml', text: `log: { kafka: { brokers: [k:1] } }\nsources: [ { name: a, ${of}, device: "${device}", topics: ${topics} } ]`, environment: {} }).sources[0]!

  it('may be the event time, and name device and class', () => {
    const { topics } = source('mqtt: { url: "mqtt://b" }', '[ { pattern: a/b, device: "{property.id}", class: "{property.kind}", time: { property: at, unit: s } } ]')
    expect(topics).toEqual([{ pattern: 'a/b', device: '{property.id}', class: '{property.kind}', time: { fields: [], unit: 's', property: 'at' } }])
  })

  it('may be the time of a topic whose payload is a number', () => {
    expect(() => source('mqtt: { url: "mqtt://b" }', '[ { pattern: "a/{device}", codec: number, time: { property: at } } ]')).not.toThrow()
  })

  it.each([
    ['embedded: true', '[ "a/{x}" ]', '{property.id}', 'sources.0.topics: name the user property id, and the broker inside Picket has none; allowed: with mqtt.version 5'],
    ['mqtt: { url: "mqtt://b", version: 3.1.1 }', '[ { pattern: "a/{device}", time: { property: at } } ]', '{device}', 'name the user property at, and MQTT 3.1.1 has none'],
    ['mqtt: { url: "mqtt://b" }', '[ { pattern: "a/{device}", time: { property: at, field: ts } } ]', '{device}', 'sources.0.topics.0.time: has field and property; allowed: one of them'],
  ])('is refused with %s', (of, topics, device, why) => {
    expect(() => source(of, topics, device)).toThrow(why)
  })
})

describe('any topics that the config takes', () => {
  it('are taken by ingest', () => {
    const level = fc.constantFrom('a', '{b}', '{device}', '{metric}', '{class}', '{metric+}', '{x+}', 'picket', '$x', '', '{', 'a b', '{payload.id}')
    const pattern = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'))
    const template = fc.constantFrom('{device}', '{b}/{payload.a.b}', 'fixed', '{payload}', '{payload.}', '{', '')
    const some = <T>(from: fc.Arbitrary<T>) => fc.option(from, { nil: undefined })
    const topic = fc.oneof(pattern, fc.record({ pattern, codec: some(fc.constantFrom('auto', 'json', 'number', 'text')), device: some(template), class: some(template) }))
    fc.assert(
      fc.property(fc.array(topic, { minLength: 1, maxLength: 3 }), (topics) => {
        const text = JSON.stringify({ sources: [{ name: 'a', embedded: true, device: '{device}', topics }] })
        try {
          const [source] = loadConfig({ file: 'f', text, environment: {} }).sources
          expect(() => compilePatterns({ patterns: source!.topics, device: source!.device, nameLength: 128 })).not.toThrow()
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error
        }
      }),
      { numRuns: 500 },
    )
  })
})
