/** `explain`: which layer says what, and that what it says is what is in force. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadConfig, loadWritten } from '../../src/config/config.ts'
import { explain } from '../../src/config/explain.ts'
import { settingsFor, type Asker } from '../../src/core/settings.ts'

const TEXT = `classes:
  default:
    warmup: 50
    metrics:
      t: { unit: °C, above: 90 }
  pump:
    budget: 1 per week
    heartbeat: 30s
    metrics:
      t: { above: 80 }
sites:
  north:
    timezone: Europe/Berlin
    quarantine: { for: 30m }
devices:
  pump-7:
    silence: false
    metrics:
      t: { below: 5 }
sources: [ { name: a, embedded: true, topics: [ "x/{site}/{class}/{device}" ] } ]
`
const PUMP: Asker = { class: 'pump', site: 'north', device: 'pump-7' }

function explained(text: string, asker: Asker, { metric = 't', set = [] as readonly string[] } = {}) {
  return explain(loadWritten({ file: 'my.yaml', text, set, environment: {} }), asker, metric)
}

describe('explain', () => {
  it('names of each value the layer and the line that says it', () => {
    expect(explained(TEXT, PUMP).map(({ key, value, none, layer, place }) => [key, value ?? none, layer, place])).toEqual([
      ['budget', '1 per week', 'class pump', 'my.yaml:7:13'],
      ['backfill', false, 'default', null],
      ['reports', 'periodic', 'default', null],
      ['heartbeat', '30s', 'class pump', 'my.yaml:8:16'],
      ['silence', false, 'device pump-7', 'my.yaml:17:14'],
      ['warmup', 50, 'class default', 'my.yaml:3:13'],
      ['timezone', 'Europe/Berlin', 'site north', 'my.yaml:13:15'],
      ['quarantine.from', 'critical', 'default', null],
      ['quarantine.for', '30m', 'site north', 'my.yaml:14:24'],
      ['metrics.t.unit', '°C', 'class default, metric t', 'my.yaml:5:18'],
      ['metrics.t.above', 80, 'class pump, metric t', 'my.yaml:10:19'],
      ['metrics.t.below', 5, 'device pump-7, metric t', 'my.yaml:19:19'],
      ['metrics.t.severity', 'major', 'default', null],
    ])
  })

  it('leaves out the layers of others', () => {
    const layers = new Set(explained(TEXT, { class: 'valve', site: 'south', device: 'v' }).map(({ layer }) => layer))
    expect([...layers]).toEqual(['default', 'class default', 'class default, metric t'])
  })

  it('names the argument that wrote a value', () => {
    const rows = explained(TEXT, PUMP, { set: ['devices.pump-7.warmup=60'] })
    expect(rows.find(({ key }) => key === 'warmup')).toMatchObject({ value: 60, layer: 'device pump-7', place: '--set devices.pump-7.warmup' })
  })

  it('says what it means that nobody says anything', () => {
    const rows = explained('', { class: 'default', device: 'd' })
    expect(rows.filter(({ value }) => value === null).map(({ key, none }) => [key, none])).toEqual([
      ['heartbeat', 'learnt'],
      ['metrics.t.above', 'no limit'],
      ['metrics.t.below', 'no limit'],
    ])
  })

  it.each([
    ['the never of a class that its site only lengthens', 'classes: { pump: { quarantine: never } }\nsites: { north: { quarantine: { for: 1h } } }', [['quarantine', 'never', 'class pump']]],
    [
      'the severity with which a device lifts it',
      'classes: { pump: { quarantine: never } }\ndevices: { pump-7: { quarantine: { from: major } } }',
      [['quarantine.from', 'major', 'device pump-7'], ['quarantine.for', '10m', 'default']],
    ],
    [
      'that a class lifts the never of default',
      'classes: { default: { quarantine: never }, pump: { quarantine: { for: 1h } } }',
      [['quarantine.from', 'critical', 'default'], ['quarantine.for', '1h', 'class pump']],
    ],
  ])('shows of a quarantine %s', (_, text, rows) => {
    const shown = explained(text, PUMP).filter(({ key }) => key.startsWith('quarantine'))
    expect(shown.map(({ key, value, layer }) => [key, value, layer])).toEqual(rows)
  })

  it('takes names that every JavaScript object has as ordinary ones', () => {
    const rows = explained('', { class: 'constructor', site: 'toString', device: 'valueOf' }, { metric: 'hasOwnProperty' })
    expect(new Set(rows.map(({ layer }) => layer))).toEqual(new Set(['default']))
  })

  it('says, of whatever layers, what is in force', () => {
    fc.assert(
      fc.property(fc.record({ default: layer, pump: layer }, { requiredKeys: [] }), fc.option(layer), fc.option(layer), (classes, north, own) => {
        const text = JSON.stringify({ classes, sites: north ? { north } : {}, devices: own ? { 'pump-7': own } : {} })
        const inForce = settingsFor(loadConfig({ file: 'f', text, environment: {} }).settings, PUMP)
        // What is explained, written down as the one layer there is, must come to the same.
        const said = { quarantine: {}, metrics: { t: {} } } as Record<string, unknown>
        for (const { key, value } of explained(text, PUMP)) if (value !== null) write(said, key.split('.'), value)
        const { classes: again } = loadConfig({ file: 'f', text: JSON.stringify({ classes: { default: said } }), environment: {} }).settings
        expect({ ...again['default'], metrics: again['default']!.metrics['t'] }).toEqual({ ...inForce, metrics: inForce.metrics['t'] ?? again['default']!.metrics['t'] })
      }),
      { numRuns: 300 },
    )
  })
})

const severity = fc.constantFrom('warning', 'minor', 'major', 'critical')
const layer = fc.record(
  {
    backfill: fc.boolean(),
    reports: fc.constantFrom('periodic', 'on-change', 'scheduled'),
    heartbeat: fc.constantFrom('5s', '1m'),
    warmup: fc.constantFrom(20, 30, 40),
    quarantine: fc.oneof(fc.constant('never'), fc.record({ from: severity, for: fc.constantFrom('1m', '2m', '3m') }, { requiredKeys: [] })),
    timezone: fc.constantFrom('UTC', 'Europe/Berlin', 'Asia/Tokyo'),
    metrics: fc.record({ t: fc.record({ unit: fc.constantFrom('a', 'b'), above: fc.constantFrom(7, 8), below: fc.constantFrom(1, 2), severity }, { requiredKeys: [] }) }),
  },
  { requiredKeys: [] },
)

function write(into: Record<string, unknown>, [key, ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) into[key!] = value
  else write((into[key!] ??= {}) as Record<string, unknown>, rest, value)
}
