/** The framing of what stands in the log, by Avro's published vectors, and schemas that grew read both ways. */
import avro from 'avsc'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { makeSchema, rabin } from '../../src/log/schema.ts'

/** apache/avro, share/test/data/schema-tests.txt: schema, canonical form, fingerprint. */
const VECTORS: [string, string, bigint][] = [
  ['"null"', '"null"', 7195948357588979594n],
  ['"int"', '"int"', 8247732601305521295n],
  ['{"name":"foo","type":"fixed","size":15}', '{"name":"foo","type":"fixed","size":15}', 1756455273707447556n],
  ['{ "items":{"type":"null"}, "type":"array"}', '{"type":"array","items":"null"}', -589620603366471059n],
  [
    '{"namespace":"x.y.z", "type":"enum", "name":"foo", "doc":"foo bar", "symbols":["A1", "A2"]}',
    '{"name":"x.y.z.foo","type":"enum","symbols":["A1","A2"]}',
    -4448647247586288245n,
  ],
  [
    '{ "fields":[{"type":"boolean", "aliases":[], "name":"f1", "default":true}, {"order":"descending","name":"f2","doc":"Hello","type":"int"}], "type":"record", "name":"foo"}',
    '{"name":"foo","type":"record","fields":[{"name":"f1","type":"boolean"},{"name":"f2","type":"int"}]}',
    -4860222112080293046n,
  ],
]

describe('the fingerprint', () => {
  it.each(VECTORS)('of %s is Avro’s', (_, canonical, fingerprint) => {
    expect(BigInt.asIntN(64, rabin(Buffer.from(canonical)))).toBe(fingerprint)
  })
})

describe('single-object framing', () => {
  it('is C3 01 and the fingerprint, little-endian', () => {
    expect(makeSchema('"null"').encode(null).toString('hex')).toBe('c3018a8f25cce724dd63')
  })

  it.each([
    [2, [1, 2]],
    [3, [null, null]],
    [5, { f1: true, f2: 7 }],
  ])('has the fingerprint of the canonical form, without docs, defaults and order (vector %i)', (at, value) => {
    const [schema, , fingerprint] = VECTORS[at]!
    const bytes = makeSchema(schema).encode(at === 2 ? Buffer.alloc(15) : value)
    expect(bytes.readBigInt64LE(2)).toBe(fingerprint)
  })
})

const OLD = '{"type":"record","name":"Reading","fields":[{"name":"device","type":"string"},{"name":"unit","type":"string","default":"?"}]}'
const NEW =
  '{"type":"record","name":"Reading","fields":[{"name":"device","type":"string"},{"name":"value","type":"double","default":-1},{"name":"site","type":["null","string"],"default":null}]}'

describe('a schema that grew', () => {
  it('reads what an older writer wrote, new fields by their defaults', () => {
    const old = makeSchema<{ device: string; unit: string }>(OLD)
    const reader = makeSchema<Record<string, unknown>>(NEW, [OLD])
    expect({ ...reader.decode(old.encode({ device: 'd', unit: 'mm' })) }).toEqual({ device: 'd', value: -1, site: null })
  })

  it('is read by an older reader, fields it lacks by its own defaults and unknown ones left out', () => {
    const writer = makeSchema<{ device: string; value: number; site: string | null }>(NEW)
    const old = makeSchema<Record<string, unknown>>(OLD, [NEW])
    expect({ ...old.decode(writer.encode({ device: 'd', value: 3, site: 'north' })) }).toEqual({ device: 'd', unit: '?' })
  })

  it('writes as itself', () => {
    const value = { device: 'd', value: 3, site: null }
    expect(makeSchema(NEW, [OLD]).encode(value)).toEqual(makeSchema(NEW).encode(value))
  })

  it('is recognised by those who know it, and refused by those who don’t', () => {
    const bytes = makeSchema(NEW).encode({ device: 'd', value: 3, site: null })
    expect(makeSchema(OLD, [NEW]).recognises(bytes)).toBe(true)
    expect(makeSchema(OLD).recognises(bytes)).toBe(false)
    expect(() => makeSchema(OLD).decode(bytes)).toThrow(expect.objectContaining({ code: 'BAD_RECORD', message: expect.stringContaining('not a Reading: unknown schema marker c301') }))
  })

  it('that can not be resolved is refused at start', () => {
    expect(() => makeSchema('{"type":"record","name":"Reading","fields":[{"name":"x","type":"int"}]}', [OLD])).toThrow(/x/)
  })
})

describe('bytes that are no record', () => {
  const schema = makeSchema<{ device: string }>(OLD.replace(',"default":"?"', ''))
  const whole = schema.encode({ device: 'd', unit: 'mm' } as { device: string })

  it('cut anywhere are BAD_RECORD', () => {
    for (let length = 0; length < whole.length; length++) expect(() => schema.decode(whole.subarray(0, length))).toThrow(expect.objectContaining({ code: 'BAD_RECORD' }))
  })

  it('with some left over are BAD_RECORD', () => {
    expect(() => schema.decode(Buffer.concat([whole, Buffer.of(0)]))).toThrow(expect.objectContaining({ code: 'BAD_RECORD', message: expect.stringContaining('damaged Reading') }))
  })

  it('may stand anywhere in a larger buffer', () => {
    const around = new Uint8Array(whole.length + 5)
    around.set(whole, 3)
    expect({ ...schema.decode(around.subarray(3, 3 + whole.length)) }).toEqual({ device: 'd', unit: 'mm' })
  })
})

it('no two schemas of the log can be taken for each other', () => {
  const folder = new URL('../../src/log/schemas/', import.meta.url)
  const files = readdirSync(folder).map((file) => ({ file, text: readFileSync(new URL(file, folder), 'utf8') }))
  // An older form bears the name of the newer, which reads it.
  const names = files.filter(({ file }) => !/-\d+\.avsc$/.test(file)).map(({ text }) => makeSchema(text).name)
  expect(new Set(names).size).toBe(names.length)
  const fingerprints = files.map(({ text }) => avro.Type.forSchema(JSON.parse(text) as avro.Schema).fingerprint().toString('hex'))
  expect(new Set(fingerprints).size).toBe(files.length)
})
