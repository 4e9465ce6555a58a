/** Topic patterns: which topics they fit, what they read from them, which they refuse. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compilePattern, compilePatterns, filterMatches } from '../../src/ingest/topic-pattern.ts'

const patterns = (...texts: string[]) => compilePatterns({ patterns: texts, nameLength: 64 })
const meaning = (topic: string) => patterns('telemetry/{class}/{device}', 'telemetry/{class}/{device}/{metric}').meaning(topic)

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
    expect(patterns('telemetry/{class}/{device}', 'telemetry/{site}/{device}', '{device}/up').filters).toEqual(['telemetry/+/+', '+/up'])
  })

  it('is tried in order, and the first that fits wins', () => {
    expect(patterns('a/{class}/{device}', 'a/{device}/{metric}').meaning('a/b/c')).toEqual({ device: 'c', labels: { class: 'b' }, metric: null })
  })

  it('names devices by the template', () => {
    const both = compilePatterns({ patterns: ['t/{site}/{line}/{device}'], device: '{site}/{device}', nameLength: 64 })
    expect(both.meaning('t/leeds/2/p')).toEqual({ device: 'leeds/p', labels: { site: 'leeds', line: '2' }, metric: null })
  })

  it.each([
    ['telemetry//{device}', 'has an empty level'],
    ['telemetry/x{device}', 'must be plain text or one part'],
    ['telemetry/+/{device}', 'holds +, # or NUL'],
    ['{device}/{device}', 'names a part twice'],
    ['picket/{device}/telemetry', 'topics under picket/'],
    ['$SYS/{device}', 'topics under picket/ and $'],
    ['{__proto__}/{device}', 'must be plain text or one part'],
  ])('%j is refused as config', (text, why) => {
    expect(() => compilePattern(text)).toThrow(expect.objectContaining({ code: 'BAD_CONFIG', message: expect.stringContaining(why) as string }))
  })

  it('is refused as config without the parts the device is named by', () => {
    expect(() => patterns('telemetry/{class}')).toThrow('lacks {device}')
    expect(() => compilePatterns({ patterns: ['t/{device}'], device: '{site}', nameLength: 64 })).toThrow('lacks {site}')
  })
})

const level = fc.stringMatching(/^[a-zA-Z0-9 %._~-]{1,16}$/).filter((name) => name !== '__proto__')

describe('any topic of a pattern', () => {
  it('gives back the parts it was built of', () => {
    fc.assert(
      fc.property(level, level, level, (kind, device, metric) => {
        expect(meaning(`telemetry/${kind}/${device}/${metric}`)).toEqual({ device, labels: { class: kind }, metric })
      }),
    )
  })

  it('is taken in by the pattern\'s filter', () => {
    const one = compilePattern('telemetry/{class}/{device}')
    fc.assert(
      fc.property(fc.array(fc.constantFrom('telemetry', 'a', 'b', ''), { maxLength: 4 }), (levels) => {
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
