/** Topic patterns: which topics they fit, what they read from them, which they refuse. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TopicEntry } from '../../src/core/topic-rule.ts'
import { compilePattern, compilePatterns, filterMatches } from '../../src/ingest/topic-pattern.ts'
import type { TopicPatterns } from '../../src/ingest/topic-pattern.ts'
import { PLAN } from './lab.ts'

const patterns = (...entries: TopicEntry[]) => compilePatterns({ patterns: entries, nameLength: 64 })
/** What a topic says, and names with what its payload says. */
function meaningIn(compiled: TopicPatterns, topic: string, ...said: string[]) {
  const meaning = compiled.meaning(topic)
  return meaning && { ...meaning.nameOf(said), metric: meaning.metric }
}
const meaning = (topic: string) => meaningIn(patterns('telemetry/{class}/{device}', 'telemetry/{class}/{device}/{metric}'), topic)

describe('a topic pattern', () => {
  it('reads device and labels', () => {
    expect(meaning('telemetry/pump/p-7')).toEqual({ device: 'p-7', labels: { class: 'pump' }, metric: null })
  })

  it('reads the metric where it has one', () => {
    expect(meaning('telemetry/pump/p-7/vibration')).toEqual({ device: 'p-7', labels: { class: 'pump' }, metric: 'vibration' })
  })

  it.each(['telemetry/pump', 'telemetry/pump/p-7/a/b', 'other/pump/p-7', '', '/telemetry/pump/p-7', 'Telemetry/pump/p-7'])('does not fit %j', (topic) => {
    expect(meaning(topic)).toBeNull()
  })

  it('takes a level as it is, without decoding percent signs', () => {
    expect(meaning('telemetry/pump/p%2F7')?.device).toBe('p%2F7')
  })

  it.each([
    ['an empty level', 'telemetry/pump/'],
    ['a NUL', 'telemetry/pump/a\0b'],
    ['a control character', 'telemetry/pump/a\nb'],
    ['a C1 control character', 'telemetry/pump/a\u0085b'],
    ['a plus', 'telemetry/pump/a+b'],
    ['a hash', 'telemetry/pump/a#b'],
    ['what was no UTF-8', 'telemetry/pump/a\ufffdb'],
    ['__proto__', 'telemetry/pump/__proto__'],
    ['a name too long', `telemetry/pump/${'x'.repeat(65)}`],
  ])('refuses a name with %s, with the reason name', (_, topic) => {
    expect(() => meaning(topic)).toThrow(expect.objectContaining({ reason: 'name', code: 'REFUSED' }))
  })

  it('says in a refusal which part it is about', () => {
    expect(() => meaning('telemetry/pump/a\0b')).toThrow('topic part {device} "a\\u0000b" holds a control character')
  })

  it('makes the filter to subscribe to', () => {
    expect(patterns('telemetry/pump/{device}', 'telemetry/{class}/{device}', '{device}/up', 'raw/{device}/{metric+}').filters).toEqual([
      'telemetry/pump/+', 'telemetry/+/+', '+/up', 'raw/+/+/#',
    ])
  })

  it('is tried in order, and the first that fits wins', () => {
    expect(meaningIn(patterns('a/b/{device}', 'a/{device}/{metric}'), 'a/b/c')).toEqual({ device: 'c', labels: {}, metric: null })
  })

  it('names devices by the template', () => {
    const both = compilePatterns({ patterns: ['t/{site}/{line}/{device}'], device: '{site}/{device}', nameLength: 64 })
    expect(meaningIn(both, 't/leeds/2/p')).toEqual({ device: 'leeds/p', labels: { site: 'leeds', line: '2' }, metric: null })
  })

  it('refuses a name that is too long only as the template puts it together', () => {
    const both = compilePatterns({ patterns: ['t/{site}/{device}'], device: '{site}/{device}', nameLength: 64 })
    expect(() => both.meaning(`t/${'s'.repeat(40)}/${'d'.repeat(40)}`)).toThrow(expect.objectContaining({ reason: 'name', message: expect.stringContaining('has 81 characters') as string }))
  })

  it.each([
    ['telemetry//{device}', 'has an empty level'],
    ['telemetry/x{device}', 'must be plain text or one part'],
    ['telemetry/+/{device}', 'holds +, # or NUL'],
    ['{device}/{device}', 'names a part twice'],
    ['picket/{device}/telemetry', 'topics under picket/'],
    ['$SYS/{device}', 'topics under picket/ and $'],
    ['{__proto__}/{device}', 'must be plain text or one part'],
    ['{metric+}/{device}', '{metric+} takes all levels that are left, so it must be the last'],
    ['telemetry/x+', 'holds +, # or NUL'],
  ])('%j is refused as config', (text, why) => {
    expect(() => compilePattern(text)).toThrow(expect.objectContaining({ code: 'BAD_CONFIG', message: expect.stringContaining(why) as string }))
  })

  it('is refused as config without the parts the device is named by', () => {
    expect(() => patterns('telemetry/{class}')).toThrow('lacks {device}')
    expect(() => compilePatterns({ patterns: ['t/{device}'], device: '{site}', nameLength: 64 })).toThrow('lacks {site}')
  })
})

const level = fc.stringMatching(/^[a-zA-Z0-9 %._~-]{1,16}$/).filter((name) => name !== '__proto__')

describe('a pattern with a tail', () => {
  const tailed = patterns('telemetry/{class}/{device}/{metric+}', 'site/{device+}')

  it.each([
    ['telemetry/pump/p-7/rpm', { device: 'p-7', labels: { class: 'pump' }, metric: 'rpm' }],
    ['telemetry/pump/p-7/motor/bearing/t', { device: 'p-7', labels: { class: 'pump' }, metric: 'motor.bearing.t' }],
    ['site/leeds/hall-2/p-7', { device: 'leeds/hall-2/p-7', labels: {}, metric: null }],
  ])('reads %s to its end', (topic, expected) => {
    expect(meaningIn(tailed, topic)).toEqual(expected)
  })

  it.each(['telemetry/pump/p-7', 'site', 'telemetry'])('does not fit %j, which leaves it nothing', (topic) => {
    expect(tailed.meaning(topic)).toBeNull()
  })

  it.each(['telemetry/pump/p-7/', 'telemetry/pump/p-7/a/', 'telemetry/pump/p-7//a', 'telemetry/pump/p-7/a/__proto__/\0', `site/${'x/'.repeat(40)}x`])(
    'refuses %j, with the reason name',
    (topic) => {
      expect(() => tailed.meaning(topic)).toThrow(expect.objectContaining({ reason: 'name' }))
    },
  )

  it('takes no dot in a level of its metric, so that no two topics are one metric', () => {
    expect(() => tailed.meaning('telemetry/pump/p-7/motor.rpm')).toThrow('topic part {metric+} "motor.rpm" holds a dot, which is what joins its levels')
  })
})

describe('a topic with a rule of its own', () => {
  const ruled = patterns(
    { pattern: 'gateway/{gateway}', device: '{gateway}/{payload.meter.id}', class: '{payload.type}' },
    { pattern: 'boiler/{metric+}', device: 'boiler', class: 'heating', codec: 'number' },
    { pattern: 'door/{device}', codec: 'text' },
    { pattern: 'meter/{device}', time: { fields: ['at'], unit: 's' } },
  )

  it('takes device and class from what the payload says', () => {
    expect(ruled.meaning('gateway/g-1')).toMatchObject({ device: null, plan: { nameFields: ['meter.id', 'type'] } })
    expect(meaningIn(ruled, 'gateway/g-1', 'm-7', 'electric')).toEqual({ device: 'g-1/m-7', labels: { gateway: 'g-1', class: 'electric' }, metric: null })
  })

  it.each([
    [['', 'electric'], 'field "meter.id" is empty'],
    [['m\n', 'electric'], 'field "meter.id" "m\\n" holds a control character'],
    [['m', 'x'.repeat(65)], 'field "type" "xxx'],
  ])('refuses the names %j of a payload', (said, message) => {
    expect(() => meaningIn(ruled, 'gateway/g-1', ...said)).toThrow(expect.objectContaining({ reason: 'name', message: expect.stringContaining(message) as string }))
  })

  it('may have one name for all', () => {
    expect(meaningIn(ruled, 'boiler/return/t')).toEqual({ device: 'boiler', labels: { class: 'heating' }, metric: 'return.t' })
  })

  it('says how its payloads are read, as usual where it says nothing', () => {
    expect(ruled.meaning('boiler/t')?.plan).toEqual({ ...PLAN, codec: 'number' })
    expect(ruled.meaning('door/d')?.plan).toEqual({ ...PLAN, codec: 'text' })
    expect(ruled.meaning('meter/m')?.plan).toEqual({ ...PLAN, timeFields: ['at'], timeUnit: 's' })
  })

  it.each<[TopicEntry[], string]>([
    [['b/{device}', 'a/{class}'], 'topic 2: pattern is "a/{class}", which lacks {device} of device: "{device}"'],
    [['b/{device}', 'a/b'], 'topic 2: pattern is "a/b", which lacks {device} of device: "{device}"'],
    [['a/{device}', 'a/{x}/{device}', 'a/b/{device}'], 'topic 3: pattern is "a/b/{device}", which never has its turn: a/{x}/{device} before it takes all its topics'],
    [['{device}/{x}', '{device}/{x}/{y+}', 'a/{device+}'], 'which never has its turn: {device}/{x} and {device}/{x}/{y+} before it takes all its topics'],
    [[{ pattern: 'a', device: '{site}' }], 'lacks {site} of device: "{site}"'],
    [[{ pattern: 'a/{device}', class: '{kind}' }], 'lacks {kind} of class: "{kind}"'],
    [[{ pattern: 'a/{class}/{device}', class: 'x' }], 'topic 1: class is "x", but a/{class}/{device} says {class} too'],
    [[{ pattern: 'a', device: '{payload.id}', codec: 'text' }], 'topic 1: codec is text, whose payloads have no fields as "{payload.id}" needs; allowed: json, auto'],
    [[{ pattern: 'a/{device}', codec: 'number', time: { fields: ['ts'], unit: 'ms' } }], 'topic 1: time is given, but payloads of codec number have no fields'],
    [[{ pattern: 'a', device: '{payload.id' }], 'device template "{payload.id" has a brace that is no part'],
  ])('is refused as config: %j', (entries, why) => {
    expect(() => patterns(...entries)).toThrow(expect.objectContaining({ code: 'BAD_CONFIG', message: expect.stringContaining(why) as string }))
  })
})

describe('any topic of a pattern', () => {
  it('gives back the parts it was built of', () => {
    fc.assert(
      fc.property(level, level, level, (kind, device, metric) => {
        expect(meaning(`telemetry/${kind}/${device}/${metric}`)).toEqual({ device, labels: { class: kind }, metric })
      }),
    )
  })

  it('is taken in by the pattern\'s filter', () => {
    fc.assert(
      fc.property(fc.constantFrom('telemetry/{class}/{device}', 'telemetry/{device+}'), fc.array(fc.constantFrom('telemetry', 'a', 'b', ''), { maxLength: 4 }), (pattern, levels) => {
        const one = compilePattern(pattern)
        const topic = levels.join('/')
        expect(one.match(topic) !== null).toBe(filterMatches(one.filter, topic))
      }),
    )
  })
})

describe('an MQTT filter', () => {
  it.each([
    ['a/#', 'a', true], ['a/#', 'a/b/c', true], ['#', 'a/b', true], ['#', '$SYS/x', false], ['+/x', '$SYS/x', false], ['$SYS/#', '$SYS/x', true],
    ['a/+', 'a', false], ['a/+', 'a/', true], ['a/+/c', 'a/b/c', true], ['a', 'a/b', false], ['a/b', 'a', false],
  ])('%s takes in %s: %s', (filter, topic, expected) => {
    expect(filterMatches(filter, topic)).toBe(expected)
  })
})
