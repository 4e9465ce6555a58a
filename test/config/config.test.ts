/** `loadConfig`: defaults, layers, `--set`, secrets, and that equal settings have equal hashes. */
import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import { DETECTORS, settingsFor } from '../../src/core/settings.ts'

const load = (text: string, set: readonly string[] = [], environment = {}) => loadConfig({ file: 'test.yaml', text, set, environment })
const shipped = readdirSync('config', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.yaml'))

describe('the files that ship', () => {
  it.each(shipped)('config/%s loads', (file) => {
    expect(loadConfig({ file: `config/${file}`, environment: {} }).settings.classes['default']).toBeDefined()
  })

  it('say nothing in picket.yaml that is not the default, but the units of the first device’s class', () => {
    const { file: _, ...config } = loadConfig({ file: 'config/picket.yaml', environment: {} })
    const { file: __, ...defaults } = load('classes: { pump: { metrics: { vibration: { unit: mm/s }, temperature: { unit: °C } } } }')
    expect(config).toEqual(defaults)
  })

  it('include pumps.yaml, whose controllers are never quarantined', () => {
    const { classes } = loadConfig({ file: 'config/examples/pumps.yaml', environment: {} }).settings
    expect(classes['controller']!.quarantine).toBeNull()
    expect(classes['pump']!.metrics['vibration']).toEqual({ unit: 'mm/s', above: 7.1, below: null, severity: 'critical' })
  })
})

describe('the examples', () => {
  it('of wearables never cut anybody off, whatever class and site', () => {
    const { settings } = loadConfig({ file: 'config/examples/wearables.yaml', environment: {} })
    const of = (klass: string, site: string) => settingsFor(settings, { class: klass, site, device: 'd' }).quarantine
    const everybody = [...Object.keys(settings.classes), 'unknown'].flatMap((klass) => [...Object.keys(settings.sites), 'unknown'].map((site) => of(klass, site)))
    expect(new Set(everybody)).toEqual(new Set([null]))
  })

  it('of gateways take a meter’s name and class from the payload, and never cut off a gateway', () => {
    const { settings, sources } = loadConfig({ file: 'config/examples/gateways.yaml', environment: {} })
    expect(sources[0]!.topics[0]).toMatchObject({ pattern: 'up/{site}/{gateway}', device: '{site}/{payload.meter.id}', class: '{payload.meter.model}' })
    expect(settingsFor(settings, { class: 'gateway', site: 'south', device: 'south/gw-1' }).quarantine).toBeNull()
    expect(settingsFor(settings, { class: 'heat', site: 'south', device: 'south/m-1' }).quarantine).toEqual({ from: 'critical', forMs: 3_600_000 })
    expect(settingsFor(settings, { class: 'heat', site: 'north', device: 'north/m-17' }).metrics['power']).toMatchObject({ below: 0, above: 120 })
  })
})

describe('defaults', () => {
  it('are filled in for an empty file', () => {
    expect(load('# nothing\n')).toMatchObject({
      listen: { mqtt: { host: '127.0.0.1', port: 1883 }, http: { host: '127.0.0.1', port: 8080 } },
      log: { embedded: { path: './data', partitions: 4, retention: { size: 8 * 1024 ** 3, age: 7 * 86_400_000 }, reserve: 16 * 1024 ** 2 } },
      sources: [{ name: 'embedded', topics: ['telemetry/{class}/{device}', 'telemetry/{class}/{device}/{metric}'], device: '{device}' }],
      notify: [],
      auth: { credentials: null, signingKey: null },
      roles: ['ingest', 'detect', 'respond'],
      settings: {
        detectors: DETECTORS,
        capacity: { devices: 10_000, series: 100_000, classes: 64, incidents: 10_000 },
        toleranceMs: 300_000,
        expireMs: 2_592_000_000,
      },
    })
  })

  it('of a class are one false alarm a month, 300 readings of warm-up, ten minutes for what is critical', () => {
    expect(load('').settings.classes['default']).toEqual({
      budget: { alarms: 1, perMs: 2_592_000_000 },
      backfill: false,
      reports: 'periodic',
      heartbeatMs: null,
      silence: true,
      warmup: 300,
      quarantine: { from: 'critical', forMs: 600_000 },
      timezone: 'UTC',
      metrics: {},
    })
  })

  it('stand in for a key without a value', () => {
    expect(load('listen:\nclasses:\n  default:\n').listen.mqtt.port).toBe(1883)
  })
})

describe('layers', () => {
  it('let a class say over default, and default over the built-in', () => {
    const { classes } = load('classes: { default: { warmup: 50, budget: 2 per day }, pump: { budget: 1 per week } }').settings
    expect(classes['pump']).toMatchObject({ warmup: 50, budget: { alarms: 1, perMs: 604_800_000 }, silence: true })
  })

  it('merge metrics and the keys of a metric one by one', () => {
    const text = 'classes: { default: { metrics: { t: { above: 90, unit: C }, u: {} } }, pump: { metrics: { t: { below: 5 } } } }'
    expect(load(text).settings.classes['pump']!.metrics).toEqual({
      t: { unit: 'C', above: 90, below: 5, severity: 'major' },
      u: { unit: '', above: null, below: null, severity: 'major' },
    })
  })

  it('let a class quarantine again where default never does, with the built-in values for what it leaves out', () => {
    const { classes } = load('classes: { default: { quarantine: never }, pump: { quarantine: { for: 1h } } }').settings
    expect(classes['default']!.quarantine).toBeNull()
    expect(classes['pump']!.quarantine).toEqual({ from: 'critical', forMs: 3_600_000 })
  })

  it('of sites and devices hold only what they say', () => {
    const text = `
sites: { "hall 1": { timezone: Europe/Berlin, heartbeat: 30s } }
devices: { hall 1/p7: { quarantine: never, metrics: { t: { above: 70 } } }, p8: { quarantine: { for: 1h } } }`
    const { sites, devices } = load(text).settings
    expect(sites).toStrictEqual({ 'hall 1': { timezone: 'Europe/Berlin', heartbeatMs: 30_000 } })
    expect(devices).toStrictEqual({ 'hall 1/p7': { quarantine: null, metrics: { t: { above: 70 } } }, p8: { quarantine: { forMs: 3_600_000 } } })
  })

  it('take names that every JavaScript object has as ordinary ones', () => {
    const { classes } = load('classes: { constructor: { metrics: { toString: { above: 1 } } } }').settings
    expect(Object.hasOwn(classes, 'constructor')).toBe(true)
    expect(classes['constructor']!.metrics['toString']).toEqual({ unit: '', above: 1, below: null, severity: 'major' })
  })
})

describe('--set', () => {
  it('of a section no config has, though every JavaScript object does, is refused by name', () => {
    expect(() => load('', ['constructor.secret=${X}'])).toThrow('constructor')
  })

  it('changes one key and leaves the rest of the file', () => {
    const config = load('listen: { mqtt: 127.0.0.1:1, http: 127.0.0.1:2 }', ['listen.http=127.0.0.1:18080'])
    expect(config.listen).toMatchObject({ mqtt: { host: '127.0.0.1', port: 1 }, http: { host: '127.0.0.1', port: 18_080 } })
  })

  it('lets a later one win', () => {
    expect(load('', ['log.embedded.path=a', 'log.embedded.path=b']).log.embedded?.path).toBe('b')
  })

  it('reaches into lists by number', () => {
    const text = 'sources: [{ name: a, embedded: true, topics: ["x/{device}"] }]'
    expect(load(text, ['sources.0.topics.0=y/{device}']).sources[0]!.topics).toEqual(['y/{device}'])
  })

  it('makes a list that is not there', () => {
    expect(load('', ['notify.0.webhook.url=http://127.0.0.1:9/x']).notify).toMatchObject([
      { webhook: { url: 'http://127.0.0.1:9/x', secret: null } },
    ])
  })

  it('takes YAML, and names with dots in quotes', () => {
    const { metrics } = load('', ['classes.pump.metrics."a.b"={above: 3}']).settings.classes['pump']!
    expect(metrics['a.b']!.above).toBe(3)
  })
})

describe('--set without a value', () => {
  it('is null: the key is not set, whatever the file says', () => {
    expect(load('log: { embedded: { path: elsewhere } }', ['log.embedded.path=null']).log.embedded?.path).toBe('./data')
  })
})

describe('secrets', () => {
  it('are read from the environment', () => {
    const { notify } = load('notify: [{ webhook: { url: "http://h/", secret: "a-${HOOK}-b" } }]', [], { HOOK: 's' })
    expect(notify[0]!.webhook.secret).toBe('a-s-b')
  })

  it('stay as they are written where nobody needs them and the variable is not set', () => {
    const text = 'notify: [{ webhook: { url: "http://h/", secret: "a-${HOOK}-${OTHER}" } }]'
    const { notify } = loadConfig({ file: 'test.yaml', text, environment: { OTHER: 'o' }, unsetSecrets: 'leave' })
    expect(notify[0]!.webhook.secret).toBe('a-${HOOK}-o')
  })
})

describe('settingsHash', () => {
  it('is the same for the same settings in another order and notation', () => {
    const a = load('classes: { a: { warmup: 20, quarantine: { for: 60s } }, b: {} }')
    const b = load('classes: { b: {}, a: { quarantine: { for: 1m }, warmup: 20 } }\nlisten: { http: 127.0.0.1:1 }')
    expect(a.settingsHash).toBe(b.settingsHash)
  })

  it('differs where a setting does', () => {
    expect(load('classes: { a: { warmup: 20 } }').settingsHash).not.toBe(load('classes: { a: { warmup: 21 } }').settingsHash)
  })
})

describe('remarks', () => {
  it('say what has no effect in this version', () => {
    expect(load('classes: { pump: { window: { size: 10 } } }').remarks).toEqual([
      'classes.pump.window has no effect: no detector of this version looks at windows',
    ])
  })

  it('say that sites without a topic that tells them have none', () => {
    const text = 'sites: { north: { silence: false } }\nsources: [{ name: a, embedded: true, topics: ["x/{SITE}/{device}"] }]'
    expect(load(text.replace('{SITE}', '{hall}')).remarks).toEqual(['sites has no effect: no topic of sources has the part {site}'])
    expect(load(text.replace('{SITE}', '{site}')).remarks).toEqual([])
  })

  it('are none where everything has', () => {
    expect(load('').remarks).toEqual([])
  })
})
