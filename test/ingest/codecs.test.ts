/** The codecs: what payloads become, and which are refused for which reason. */
import { describe, expect, it } from 'vitest'
import { hashText } from '../../src/core/hash.ts'
import { decodePayload } from '../../src/ingest/codecs/codec.ts'
import type { PayloadPlan, PayloadSample } from '../../src/ingest/codecs/payload-plan.ts'
import { LIMITS, PLAN } from './lab.ts'

const all = (text: string, metric: string | null = null, plan: Partial<PayloadPlan> = {}) =>
  decodePayload(Buffer.from(text, 'utf8'), metric, { ...PLAN, ...plan }, LIMITS)
const decode = (text: string, metric: string | null = null) => all(text, metric)[0]!
const named = ({ fields }: PayloadSample) => fields.map(({ metric, kind, value }) => [metric, kind, value])
const values = (text: string, metric: string | null = null) => named(decode(text, metric))

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
    expect(decode('{}')).toEqual({ time: null, fields: [], names: [] })
  })

  it('under a topic with a metric, is that metric by its value and others beside it', () => {
    expect(values('{"value":3,"quality":"good","ts":1}', 'flow').map(([name]) => name)).toEqual(['flow', 'flow.quality'])
  })

  it('names the plain values of a list by their places', () => {
    expect(values('{"acc":[1,-2.5],"state":{"on":[true,"x",null]},"none":[]}')).toEqual([
      ['acc.0', 0, 1], ['acc.1', 0, -2.5], ['state.on.0', 1, 1], ['state.on.1', 2, hashText('x')], ['state.on.2', 3, 0],
    ])
  })

  it('takes constructor for a name like any other', () => {
    expect(values('{"constructor":1,"toString":2}')).toEqual([['constructor', 0, 1], ['toString', 0, 2]])
  })
})

describe('{ts, values}', () => {
  it('is a sample of what is in values', () => {
    expect(all('{"ts":1700000000000,"values":{"t":20,"motor":{"rpm":5}}}').map((sample) => [sample.time, ...named(sample)])).toEqual([
      [1_700_000_000_000, ['t', 0, 20], ['motor.rpm', 0, 5]],
    ])
  })

  it('may leave out its time, so that names do not change with it', () => {
    expect(values('{"values":{"t":20}}')).toEqual([['t', 0, 20]])
  })

  it('may name its device beside them', () => {
    const [sample] = all('{"meter":{"id":"m-1"},"ts":1700000000000,"values":{"id":7}}', null, { nameFields: ['meter.id'] })
    expect([sample!.names, named(sample!)]).toEqual([['m-1'], [['id', 0, 7]]])
  })

  it('may have its time and device in values, where the topic says so', () => {
    const [sample] = all('{"values":{"id":"m-1","at":1700000000000,"t":2}}', null, { nameFields: ['values.id'], timeFields: ['values.at'] })
    expect([sample!.time, sample!.names, named(sample!)]).toEqual([1_700_000_000_000, ['m-1'], [['t', 0, 2]]])
  })

  it.each([
    ['{"q":1,"values":{"t":20}}', [['q', 0, 1], ['values.t', 0, 20]]],
    ['{"values":{"t":20},"q":1}', [['q', 0, 1], ['values.t', 0, 20]]],
    ['{"ts":1700000000000,"values":5}', [['values', 0, 5]]],
    ['{"values":[5]}', [['values.0', 0, 5]]],
  ])('is not meant by %s', (text, expected) => {
    expect(values(text)).toEqual(expected)
  })

  it('reads values as deep as an object without it', () => {
    expect(values('{"values":{"a":{"b":{"c":{"d":1}}}}}')).toEqual([['a.b.c.d', 0, 1]])
  })
})

describe('a list of objects', () => {
  it('is as many samples, in its order, each with its time', () => {
    const samples = all('[{"ts":1700000002000,"t":2},{"ts":1700000001000,"t":1},{"t":3}]')
    expect(samples.map((sample) => [sample.time, ...named(sample)])).toEqual([
      [1_700_000_002_000, ['t', 0, 2]], [1_700_000_001_000, ['t', 0, 1]], [null, ['t', 0, 3]],
    ])
  })

  it('may be one of {ts, values}', () => {
    expect(all('[{"ts":1700000001000,"values":{"t":1}},{"values":{"t":2}}]').map(named)).toEqual([[['t', 0, 1]], [['t', 0, 2]]])
  })

  it('is values of the metric that the topic names', () => {
    expect(all('[{"value":1},{"value":2}]', 'flow').map(named)).toEqual([[['flow', 0, 1]], [['flow', 0, 2]]])
  })

  it('counts fields a sample', () => {
    const sample = JSON.stringify(Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`m${i}`, i])))
    expect(all(`[${sample},${sample}]`)).toHaveLength(2)
  })

  it.each([
    ['[]', 'array', 'payload is an empty list'],
    ['[{"t":1},7]', 'array', 'sample 2 of 2 is a number, expected a JSON object'],
    ['[[{"t":1}]]', 'array', 'sample 1 of 1 is a list, expected a JSON object'],
    ['[{"t":1},{"ts":"now"}]', 'event_time', 'sample 2 of 2: ts is "now", expected'],
    [JSON.stringify(Array.from({ length: 17 }, () => ({ t: 1 }))), 'too_many_samples', 'payload has 17 samples, at most 16 are allowed'],
  ])('%.40s is refused with the reason %s', (text, reason, message) => {
    expect(() => all(text)).toThrow(expect.objectContaining({ reason, message: expect.stringContaining(message) as string }))
  })
})

describe('a field that names the device', () => {
  const names = (text: string) => all(text, null, { nameFields: ['id', 'meta.type'] }).map((sample) => sample.names)

  it('is no metric', () => {
    const [sample] = all('{"id":"p-1","meta":{"type":4,"fw":2},"t":1}', null, { nameFields: ['id', 'meta.type'] })
    expect([sample!.names, named(sample!)]).toEqual([['p-1', '4'], [['meta.fw', 0, 2], ['t', 0, 1]]])
  })

  it('may be a nested one or have a dot in its name', () => {
    expect(names('[{"id":"a","meta":{"type":"x"}},{"id":"b","meta.type":"y"}]')).toEqual([['a', 'x'], ['b', 'y']])
  })

  it('that one sample lacks or that is no name is refused', () => {
    expect(() => names('[{"id":"a","meta":{"type":"x"}},{"id":"b"}]')).toThrow(
      expect.objectContaining({ reason: 'device', message: 'sample 2 of 2: field "meta.type", which names the device or its class, is missing, expected text or a whole number' }),
    )
    for (const id of ['1.5', '1e300', 'true', 'null', '{}', '[]']) expect(() => names(`{"id":${id}}`)).toThrow(expect.objectContaining({ reason: 'device' }))
  })

  it('can not come in a payload that is one value', () => {
    expect(() => all('7', null, { nameFields: ['id'] })).toThrow('payload is one value, expected a JSON object with field id')
    expect(() => all('true', 'm', { nameFields: ['id'] })).toThrow(expect.objectContaining({ reason: 'not_object' }))
  })
})

describe('a codec chosen by topic', () => {
  it.each([
    ['json', '{"t":1}', [['t', 0, 1]]],
    ['number', '7', [['value', 0, 7]]],
    ['text', 'OPEN', [['value', 2, hashText('OPEN')]]],
    ['text', '7', [['value', 2, hashText('7')]]],
    ['text', '', [['value', 2, hashText('')]]],
  ] as const)('%s reads %s', (codec, text, expected) => {
    expect(all(text, null, { codec }).map(named)).toEqual([expected])
  })

  it.each([['json', '7', 'not_object'], ['number', '{"t":1}', 'not_json'], ['number', 'OPEN', 'not_json']] as const)('%s refuses %s', (codec, text, reason) => {
    expect(() => all(text, null, { codec })).toThrow(expect.objectContaining({ reason }))
  })

  it('keeps the text of a category', () => {
    expect(all('offen für alle', 'door', { codec: 'text' })[0]!.fields).toEqual([{ metric: 'door', kind: 2, value: hashText('offen für alle'), text: 'offen für alle' }])
  })
})

describe('true, false, text and null', () => {
  it.each([['true', [['on', 1, 1]]], [' false', [['on', 1, 0]]], ['"OPEN"', [['on', 2, hashText('OPEN')]]], ['null', [['on', 3, 0]]]])('%s is a reading where the topic names its metric', (text, expected) => {
    expect(values(text, 'on')).toEqual(expected)
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
    ['null', 'not_object'], ['true', 'not_object'], ['"text"', 'not_object'], ['{"a":[{"b":1}]}', 'array'], ['{"a":[[1]]}', 'array'],
    ['{"a":1e999}', 'not_finite'], ['-1e400', 'not_finite'],
    ['{"a.b":1,"a":{"b":2}}', 'duplicate_metric'], ['{"a":{"b":2},"a.b":1}', 'duplicate_metric'], ['{"a.0":1,"a":[2]}', 'duplicate_metric'],
    [`{"a":[${'1,'.repeat(64)}1]}`, 'too_many_fields'],
    ['{"__proto__":1}', 'name'], ['{"a":{"__proto__":{"b":1}}}', 'name'], ['{"":1}', 'name'], ['{"a\\u0000":1}', 'name'], ['{"\\ud800":1}', 'name'],
    [`{"${'x'.repeat(65)}":1}`, 'name'], [`{"${'x'.repeat(40)}":{"${'y'.repeat(40)}":1}}`, 'name'],
    [deep(5), 'too_deep'], ['['.repeat(60_000), 'not_json'], [deep(9_000), 'too_deep'],
    [JSON.stringify(Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`m${i}`, i]))), 'too_many_fields'],
    [`{"a":"${'x'.repeat(65_536)}"}`, 'payload_size'],
  ])('of %.40s has the reason %s', (text, reason) => {
    expect(() => decode(text)).toThrow(expect.objectContaining({ reason, code: 'REFUSED' }))
  })

  it('of bytes that are no UTF-8 has the reason encoding', () => {
    expect(() => decodePayload(Buffer.from([0x7b, 0xff, 0x7d]), null, PLAN, LIMITS)).toThrow(expect.objectContaining({ reason: 'encoding' }))
  })

  it('names the field and what was expected', () => {
    expect(() => decode('{"motor":{"axis":[1,{}]}}')).toThrow('field "motor.axis" is a list with an object in it, expected numbers, true, false, text or null')
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
