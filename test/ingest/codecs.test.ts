/** The codecs: what payloads become, and which are refused for which reason. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashText } from '../../src/core/hash.ts'
import { decodePayload } from '../../src/ingest/codecs/codec.ts'
import { LIMITS } from './lab.ts'

const decode = (text: string, metric: string | null = null) => decodePayload(Buffer.from(text, 'utf8'), metric, LIMITS)[0]!
const values = (text: string, metric: string | null = null) => decode(text, metric).fields.map(({ metric: name, kind, value }) => [name, kind, value])

describe('a JSON object', () => {
  it('gives a field of its kind for each value', () => {
    expect(values('{"n":1.5,"b":true,"f":false,"s":"open","m":null}')).toEqual([
      ['n', 0, 1.5], ['b', 1, 1], ['f', 1, 0], ['s', 2, hashText('open')], ['m', 3, 0],
    ])
  })

  it('keeps the text of a category', () => {
    expect(decode('{"s":"öffnen"}').fields[0]?.text).toBe('öffnen')
  })

  it('never takes text for a number', () => {
    expect(values('{"a":"NaN","b":"1.5","c":""}').map(([, kind]) => kind)).toEqual([2, 2, 2])
  })

  it('names nested fields by dots', () => {
    expect(values('{"motor":{"bearing":{"t":40}},"t":20}')).toEqual([['motor.bearing.t', 0, 40], ['t', 0, 20]])
  })

  it('takes minus zero for zero', () => {
    expect(Object.is(decode('{"a":-0}').fields[0]?.value, 0)).toBe(true)
  })

  it('may hold no metric at all: a sign of life', () => {
    expect(decode('{}')).toEqual({ time: null, fields: [] })
  })

  it('under a topic with a metric, is that metric by its value and others beside it', () => {
    expect(values('{"value":3,"quality":"good","ts":1}', 'flow').map(([name]) => name)).toEqual(['flow', 'flow.quality'])
  })

  it('takes constructor for a name like any other', () => {
    expect(values('{"constructor":1,"toString":2}')).toEqual([['constructor', 0, 1], ['toString', 0, 2]])
  })
})

describe('the event time', () => {
  it.each([
    ['1700000000123', 1_700_000_000_123],
    ['0.5', 0.5],
    ['"2026-01-31T08:00:00Z"', Date.UTC(2026, 0, 31, 8)],
    ['"2026-01-31T08:00:00.250+02:00"', Date.UTC(2026, 0, 31, 6, 0, 0, 250)],
    ['"2026-01-31 08:00:00,5-0330"', Date.UTC(2026, 0, 31, 11, 30, 0, 500)],
    ['"2024-02-29t08:00z"', Date.UTC(2024, 1, 29, 8)],
  ])('%s is read', (text, time) => {
    expect(decode(`{"ts":${text},"a":1}`)).toEqual({ time, fields: [{ metric: 'a', kind: 0, value: 1, text: '' }] })
  })

  it('may be null', () => {
    expect(decode('{"ts":null}').time).toBeNull()
  })

  it.each([
    '8640000000000001', '1e999', '-1e999', 'true', '{}', '[]', '"now"', '""', '"2026-01-31"', '"2026-01-31T08:00:00"', '"2026-02-30T08:00:00Z"',
    '"2026-13-01T08:00:00Z"', '"2026-01-31T24:00:00Z"', '"2026-01-31T08:60:00Z"', '"1700000000123"',
  ])('%s is refused', (text) => {
    expect(() => decode(`{"ts":${text}}`)).toThrow(expect.objectContaining({ reason: 'event_time' }))
  })

  it('is read at the top alone', () => {
    expect(decode('{"a":{"ts":5}}')).toEqual({ time: null, fields: [{ metric: 'a.ts', kind: 0, value: 5, text: '' }] })
  })
})

describe('a plain number', () => {
  it('is the metric the topic names', () => {
    expect(values(' -1.5e3\n', 'flow')).toEqual([['flow', 0, -1500]])
  })

  it('is called value where the topic names none', () => {
    expect(values('42')).toEqual([['value', 0, 42]])
  })

  it.each(['-', '01', '1.', '1e', '0x10', '1 2', '-Infinity', '1,5'])('%j is refused', (text) => {
    expect(() => decode(text)).toThrow(expect.objectContaining({ reason: 'not_json' }))
  })
})

describe('a refusal', () => {
  const deep = (levels: number) => '{"a":'.repeat(levels) + '1' + '}'.repeat(levels)

  it.each([
    ['{"a":1', 'not_json'], ['', 'not_json'], ['NaN', 'not_json'], ['{"a":NaN}', 'not_json'], ['\ufeff{"a":1}', 'not_json'],
    ['null', 'not_object'], ['true', 'not_object'], ['"text"', 'not_object'], ['[{"a":1}]', 'array'], ['{"a":[1]}', 'array'], ['{"a":{"b":[]}}', 'array'],
    ['{"a":1e999}', 'not_finite'], ['-1e400', 'not_finite'],
    ['{"a.b":1,"a":{"b":2}}', 'duplicate_metric'],
    ['{"__proto__":1}', 'name'], ['{"a":{"__proto__":{"b":1}}}', 'name'], ['{"":1}', 'name'], ['{"a\\u0000":1}', 'name'], ['{"\\ud800":1}', 'name'],
    [`{"${'x'.repeat(65)}":1}`, 'name'], [`{"${'x'.repeat(40)}":{"${'y'.repeat(40)}":1}}`, 'name'],
    [deep(5), 'too_deep'], ['['.repeat(60_000), 'not_json'], [deep(9_000), 'too_deep'],
    [JSON.stringify(Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`m${i}`, i]))), 'too_many_fields'],
    [`{"a":"${'x'.repeat(65_536)}"}`, 'payload_size'],
  ])('of %.40s has the reason %s', (text, reason) => {
    expect(() => decode(text)).toThrow(expect.objectContaining({ reason, code: 'REFUSED' }))
  })

  it('of bytes that are no UTF-8 has the reason encoding', () => {
    expect(() => decodePayload(Buffer.from([0x7b, 0xff, 0x7d]), null, LIMITS)).toThrow(expect.objectContaining({ reason: 'encoding' }))
  })

  it('names the field and what was expected', () => {
    expect(() => decode('{"motor":{"axis":[1]}}')).toThrow('field "motor.axis" is a list, expected a number, true, false, text, null or an object')
  })

  it.each([
    ['{"ts":{}}', 'ts is an object, expected'],
    ['{"ts":[]}', 'ts is a list, expected'],
    ['{"ts":true}', 'ts is true, expected'],
    ['x"y', 'payload is no JSON: Unexpected token \'x\', "x"y" is not valid JSON'],
    ['{"temperature":1,"pressure":2,', 'payload is no JSON: Expected double-quoted property name in JSON at position 30'],
    ['\n\u001bx', 'payload is no JSON: Unexpected token \'\\u001b\''],
    ['\ufeff{"a":1}', 'payload begins with a byte order mark (BOM), expected JSON without one'],
  ])('of %j is said plainly', (text, message) => {
    expect(() => decode(text)).toThrow(message)
  })

  it('does not come at the limit itself', () => {
    expect(decode(deep(4)).fields[0]?.metric).toBe('a.a.a.a')
  })
})

/** Flat and nested objects whose keys are fit names, so that every one must be read. */
const key = fc.stringMatching(/^[a-z]{1,8}$/).filter((name) => name !== 'ts')
const leaf = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.string({ maxLength: 12 }), fc.constant(null))
const { tree } = fc.letrec((tie) => ({
  tree: fc.dictionary(key, fc.oneof({ depthSize: 'small', maxDepth: 2 }, leaf, tie('tree')), { maxKeys: 4 }),
}))

function flatten(value: object, prefix = ''): [string, unknown][] {
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) =>
    inner !== null && typeof inner === 'object' ? flatten(inner, `${prefix}${name}.`) : [[`${prefix}${name}`, inner] as [string, unknown]],
  )
}

describe('any payload', () => {
  it('that is an object of fit names is read as JSON.parse reads it', () => {
    fc.assert(
      fc.property(tree, (object) => {
        const text = JSON.stringify(object)
        const expected = flatten(JSON.parse(text) as object).map(([name, value]) => [
          name,
          typeof value === 'string' ? hashText(value) : value === null ? 0 : Number(value) + 0,
        ])
        expect(values(text).map(([name, , value]) => [name, value])).toEqual(expected)
      }),
    )
  })

  it('is read or refused, never anything else, and what is read is finite', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json({ maxDepth: 6 }), fc.string(), fc.json().map((text) => text.slice(1))), (text) => {
        try {
          for (const { value } of decode(text).fields) expect(Number.isFinite(value)).toBe(true)
        } catch (error) {
          expect(error).toMatchObject({ name: 'Refusal', code: 'REFUSED' })
        }
      }),
    )
  })

  it('that JSON.parse takes for a number is read as that number', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        expect(values(JSON.stringify(number))).toEqual([['value', 0, number + 0]])
      }),
    )
  })
})
