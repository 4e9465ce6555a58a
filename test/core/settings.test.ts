/** `settingsFor`: which layer wins, and what an older config record means by its silence. */
import { describe, expect, it } from 'vitest'
import { CLASS_DEFAULTS, completeSettings, settingsFor, type Asker, type Layer, type Settings } from '../../src/core/settings.ts'
import { classOf, metricOf, settingsOf } from '../detect/fleet.ts'

const PUMP = { class: 'pump', site: 'north', device: 'pump-7' }

/** Settings of a class `pump`, the site `north` and the device `pump-7`. */
function layered({ pump = {}, north = {}, own = {} }: { pump?: Parameters<typeof classOf>[0]; north?: Layer; own?: Layer }): Settings {
  return settingsOf({ classes: { default: classOf(), pump: classOf(pump) }, sites: { north }, devices: { 'pump-7': own } })
}

describe('settingsFor', () => {
  it('takes the class where nobody else says anything', () => {
    expect(settingsFor(layered({ pump: { warmup: 50 } }), PUMP).warmup).toBe(50)
  })

  it('takes default for a class that is not named', () => {
    const settings = settingsOf({ classes: { default: classOf({ warmup: 77 }) } })
    expect(settingsFor(settings, { class: 'valve', device: 'v' }).warmup).toBe(77)
  })

  it('lets the site say over the class, and the device over both', () => {
    const settings = layered({ pump: { warmup: 50, silence: false }, north: { warmup: 60, timezone: 'Europe/Berlin' }, own: { warmup: 70 } })
    expect(settingsFor(settings, PUMP)).toMatchObject({ warmup: 70, timezone: 'Europe/Berlin', silence: false })
    expect(settingsFor(settings, { ...PUMP, device: 'pump-8' })).toMatchObject({ warmup: 60, timezone: 'Europe/Berlin' })
  })

  it.each<[string, Asker]>([
    ['another site', { class: 'pump', site: 'south', device: 'pump-8' }],
    ['no site', { class: 'pump', device: 'pump-8' }],
    ['a site called as objects call theirs', { class: 'pump', site: 'constructor', device: 'toString' }],
  ])('leaves the class alone for %s', (_, asker) => {
    const settings = layered({ pump: { warmup: 50 }, north: { warmup: 60 }, own: { warmup: 70 } })
    expect(settingsFor(settings, asker)).toBe(settings.classes['pump'])
  })

  it('merges metrics and the keys of a metric one by one, the device’s own last', () => {
    const settings = layered({
      pump: { metrics: { t: metricOf({ above: 90, unit: '°C' }), flow: metricOf({ below: 0 }) } },
      north: { metrics: { t: { above: 80, below: 5 } } },
      own: { metrics: { t: { above: 70 }, v: { unit: 'mm/s' } } },
    })
    expect(settingsFor(settings, PUMP).metrics).toEqual({
      t: { unit: '°C', above: 70, below: 5, severity: 'major' },
      flow: { unit: '', above: null, below: 0, severity: 'major' },
      v: { unit: 'mm/s', above: null, below: null, severity: 'major' },
    })
  })

  it('merges the keys of a quarantine', () => {
    const settings = layered({ pump: { quarantine: { from: 'major', forMs: 1_000 } }, north: { quarantine: { forMs: 5_000 } } })
    expect(settingsFor(settings, PUMP).quarantine).toEqual({ from: 'major', forMs: 5_000 })
  })

  it('lifts a never of the class by naming a severity, not by naming a length', () => {
    const settings = layered({ pump: { quarantine: null }, north: { quarantine: { forMs: 5_000 } }, own: { quarantine: { from: 'major' } } })
    expect(settingsFor(settings, { ...PUMP, device: 'pump-8' }).quarantine).toBeNull()
    expect(settingsFor(settings, PUMP).quarantine).toEqual({ from: 'major', forMs: 600_000 })
  })

  it('lets a device be never cut off in a class that is', () => {
    expect(settingsFor(layered({ pump: { quarantine: { from: 'major', forMs: 1 } }, own: { quarantine: null } }), PUMP).quarantine).toBeNull()
  })
})

describe('an older config record', () => {
  it('means the defaults by what it does not say', () => {
    const { sites: _, devices: __, ...older } = settingsOf()
    const { timezone: ___, warmup: ____, ...klass } = classOf({ heartbeatMs: 5 })
    const written = { ...older, classes: { default: { ...klass, metrics: { t: { above: 3 } } } } } as unknown as Settings
    const settings = completeSettings(written)
    expect(settings).toMatchObject({ sites: {}, devices: {} })
    expect(settings.classes['default']).toEqual({
      ...klass,
      warmup: CLASS_DEFAULTS.warmup,
      timezone: 'UTC',
      metrics: { t: { unit: '', above: 3, below: null, severity: 'major' } },
    })
  })
})
