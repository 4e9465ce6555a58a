/** How far one revision goes. */
import { describe, expect, it } from 'vitest'
import type { Incident } from '../../src/core/incident.ts'
import { rungOf } from '../../src/respond/ladder.ts'
import { closing, incident, SETTINGS } from './fleet.ts'

function rung(fields: Partial<Incident>, { isLeased = false, notifiers = 1 } = {}) {
  return rungOf({ settings: SETTINGS, incident: incident(fields), isLeased, released: null, past: null, notifiers })
}

describe('the ladder', () => {
  it('quarantines from the severity of the class on, for the class\'s time', () => {
    expect(rung({ severity: 'critical' })).toEqual({ rung: 'quarantine', forMs: 600_000 })
    expect(rung({ severity: 'major' })).toEqual({ rung: 'notify' })
  })

  it('treats a class not in the settings as default', () => {
    expect(rung({ class: 'valve', severity: 'major' })).toEqual({ rung: 'quarantine', forMs: 60_000 })
    expect(rung({ class: '__proto__', severity: 'minor' })).toEqual({ rung: 'notify' })
  })

  it('never quarantines a class that says never', () => {
    expect(rung({ class: 'monitor' })).toEqual({ rung: 'notify' })
  })

  it('obeys what the device’s site and the device itself say over the class', () => {
    const settings = { ...SETTINGS, sites: { north: { quarantine: { forMs: 5_000 } } }, devices: { dear: { quarantine: null } } }
    const labels = { site: 'north' }
    const of = (fields: Partial<Incident>) => rungOf({ settings, incident: incident({ labels, ...fields }), isLeased: false, released: null, past: null, notifiers: 1 })
    expect(of({ severity: 'critical' })).toEqual({ rung: 'quarantine', forMs: 5_000 })
    expect(of({ severity: 'critical', device: 'dear' })).toEqual({ rung: 'notify' })
  })

  it.each(['silence', 'clock', 'loss', 'capacity', 'common'] as const)('never quarantines for %s', (cause) => {
    expect(rung({ cause })).toEqual({ rung: 'notify' })
  })

  it('never quarantines for an incident that closes', () => {
    expect(rung(closing())).toEqual({ rung: 'notify' })
  })

  it('holds back while the device has a lease', () => {
    expect(rung({}, { isLeased: true })).toEqual({ rung: 'held', reason: 'already quarantined' })
  })

  it('observes where there is nobody to tell', () => {
    expect(rung({ severity: 'minor' }, { notifiers: 0 })).toEqual({ rung: 'observe' })
  })
})
