/** The JSON Schema for editors: takes what ships, refuses what is broken, says of each key what it is. */
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/config.ts'
import { describedSchema, editorSchema, type SchemaNode } from '../../src/config/json-schema.ts'
import { CLASS_DEFAULTS, METRIC_DEFAULTS } from '../../src/core/settings.ts'

interface Validator {
  (value: unknown): boolean
  readonly errors?: readonly { readonly instancePath: string }[] | null
}

/** Fastify brings a validator along; a second one only for this test is not worth a dependency. */
const Ajv2020 = createRequire(createRequire(import.meta.url).resolve('fastify'))('ajv/dist/2020') as new (options: object) => { compile(schema: object): Validator }
const validate = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true, formats: { uri: true } }).compile(editorSchema())

function placesOf(text: string): string[] {
  validate(parse(text))
  return [...new Set((validate.errors ?? []).map(({ instancePath }) => instancePath))]
}

const shipped = readdirSync('config', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.yaml'))

describe('the JSON Schema', () => {
  it.each(shipped)('takes config/%s', (file) => {
    expect(placesOf(readFileSync(`config/${file}`, 'utf8'))).toEqual([])
  })

  it('takes sections that are left empty, as Picket does', () => {
    const text = 'listen:\nclasses:\n  pump:\nnotify:\n'
    expect(placesOf(text)).toEqual([])
    expect(() => loadConfig({ file: 'f', text, environment: {} })).not.toThrow()
  })

  it.each(['', 'listen: { http: }', 'respond: { enforcement: }', 'classes: { a: { quarantine: , warmup: , metrics: { t: } } }', 'roles:'])('takes keys without a value, as Picket does: %s', (text) => {
    expect(placesOf(text)).toEqual([])
    expect(() => loadConfig({ file: 'f', text, environment: {} })).not.toThrow()
  })

  it.each([
    ['lisen: {}', ''],
    ['listen: { htpp: 127.0.0.1:80 }', '/listen'],
    ['listen: { http: 8080 }', '/listen/http'],
    ['log: { embedded: { partitions: 0 } }', '/log/embedded/partitions'],
    ['limits: { fields: 1.5 }', '/limits/fields'],
    ['limits: { payload: 64kb }', '/limits/payload'],
    ['classes: { pump: { budget: 1 per year } }', '/classes/pump/budget'],
    ['classes: { pump: { quarantine: { frm: major } } }', '/classes/pump/quarantine'],
    ['classes: { pump: { metrics: { t: { severity: bad } } } }', '/classes/pump/metrics/t/severity'],
    ['classes: { "a b": {} }', '/classes'],
    ['sites: { north: { budget: 1 per day } }', '/sites/north'],
    ['devices: { d: { warmup: 1 } }', '/devices/d/warmup'],
    ['sources: [ { embedded: true } ]', '/sources/0'],
    ['sources: []', '/sources'],
    ['sources: [ { name: , embedded: true } ]', '/sources/0/name'],
    ['notify: [ null ]', '/notify/0'],
    ['detectors: [ levle ]', '/detectors/0'],
    ['just text', ''],
  ])('refuses %s', (text, place) => {
    expect(placesOf(text)).toContain(place)
    expect(() => loadConfig({ file: 'f', text, environment: {} })).toThrow()
  })

  it('describes every key', () => {
    const bare = leaves(editorSchema()).filter(({ node }) => !node.description)
    expect(bare.map(({ key }) => key)).toEqual([])
  })

  it('gives every key its default, but those that are required, or mean something by their absence', () => {
    const without = leaves(editorSchema()).filter(({ key, node }) => node.default === undefined && !key.includes('[]') && !/^(?:sites|devices)\./.test(key))
    expect(without.map(({ key }) => key)).toEqual([
      'listen.advertise',
      'log.embedded',
      'log.kafka',
      'log.kafka.brokers',
      'log.kafka.tls',
      'log.kafka.tls.ca',
      'log.kafka.tls.cert',
      'log.kafka.tls.key',
      'log.kafka.sasl',
      'log.kafka.sasl.username',
      'log.kafka.sasl.password',
      'classes.*.heartbeat',
      'classes.*.window',
      'classes.*.window.size',
      'classes.*.quarantine',
      'classes.*.metrics',
      'classes.*.metrics.*.above',
      'classes.*.metrics.*.below',
      'respond.quarantines.group',
      'respond.quarantines.group.by',
      'respond.quarantines.group.atOnce',
      'auth.credentials',
      'auth.signingKey',
      'auth.api.token',
    ])
  })

  it('gives as defaults of a class those that are in force', () => {
    const keys = leaves(describedSchema()).flatMap(({ key, node }) => (key.startsWith('classes.*.') && node.default !== undefined ? [[key.slice(10).replace('*', 't'), node.default] as const] : []))
    const set = keys.map(([key, value]) => `classes.default.${key}=${JSON.stringify(value)}`).filter((argument) => !argument.includes('window'))
    const { classes } = loadConfig({ file: 'f', text: '', set, environment: {} }).settings
    expect(classes['default']).toEqual({ ...CLASS_DEFAULTS, metrics: { t: METRIC_DEFAULTS } })
  })

  it('says the notation of durations and sizes', () => {
    const nodes = new Map(leaves(editorSchema()).map(({ key, node }) => [key, node.description]))
    expect(nodes.get('time.tolerance')).toMatch(/Duration: 1s to 365d \(ms, s, m, h, d\)\.$/)
    expect(nodes.get('limits.payload')).toMatch(/Size: 16B to 256KiB \(B, KiB, MiB, GiB\)\.$/)
  })
})

/** Every key under a node: `*` for a name, `[]` for an entry of a list. */
function leaves(node: SchemaNode, at = ''): { key: string; node: SchemaNode }[] {
  const { properties = {}, additionalProperties, items, anyOf = [] } = node
  return [
    ...Object.entries(properties).flatMap(([name, inner]) => {
      const key = at ? `${at}.${name}` : name
      return [{ key, node: inner }, ...leaves(inner, key)]
    }),
    ...(typeof additionalProperties === 'object' ? leaves(additionalProperties, `${at}.*`) : []),
    ...(items ? leaves(items, `${at}[]`) : []),
    ...anyOf.flatMap((inner) => leaves(inner, at)),
  ]
}
