/** Incidents of one partition: what opens, moves and closes them, and what each revision says. */
import { describe, expect, it } from 'vitest'
import { idOf } from '../../src/core/hash.ts'
import { type Cause, type Incident } from '../../src/core/incident.ts'
import type { Position } from '../../src/core/position.ts'
import { course, Incidents, type Judgement } from '../../src/detect/incidents.ts'
import { Table } from '../../src/detect/table.ts'
import { START } from './fleet.ts'

const CONFIG = { version: 3, hash: 'of 3' }
const PUMP = { device: 'pump-1', class: 'pump', labels: { site: 'north' } }

function setUp(capacity = 8) {
  const table = new Table('incident', capacity, [course], () => {})
  const made: { position: Position; incident: Incident }[] = []
  const watch = () => new Incidents(table, { incarnation: 'first', partition: 3, config: CONFIG }, (position, incident) => made.push({ position, incident }))
  let offset = 0
  const judge = (incidents: Incidents, excess: number, fields: Partial<Judgement> = {}, subject = PUMP) =>
    incidents.judge(subject, {
      cause: 'telemetry', excess, severity: Math.max(0, Math.min(3, Math.floor(excess))), surprise: 4 + excess, when: START + offset, arrival: START + offset,
      position: { offset: offset++, index: 0 }, explain: () => ({ summary: `odd by ${excess}`, votes: [] }), ...fields,
    })
  return { table, made, watch, judge, incidents: watch(), last: () => made.at(-1)!.incident }
}

function times(count: number, act: () => unknown): void {
  for (let i = 0; i < count; i++) act()
}

describe('an incident', () => {
  it('opens when a score reaches its threshold, and says everything', () => {
    const { incidents, judge, made } = setUp()
    judge(incidents, -0.01)
    expect(made).toEqual([])
    judge(incidents, 0)
    expect(made).toEqual([
      {
        position: { offset: 1, index: 0 },
        incident: {
          id: idOf('first', 3, 1, 0, 'pump-1', 'telemetry'), revision: 1, device: 'pump-1', class: 'pump', labels: { site: 'north' },
          cause: 'telemetry', severity: 'warning', state: 'open', openedAt: START + 1, updatedAt: START + 1, closedAt: null, closedBy: null,
          surprise: 4, summary: 'odd by 0', votes: [], config: CONFIG,
        },
      },
    ])
  })

  it('is one a device and cause', () => {
    const { incidents, judge, made } = setUp()
    judge(incidents, 1)
    judge(incidents, 1)
    judge(incidents, 1, { cause: 'limit' })
    judge(incidents, 1, {}, { ...PUMP, device: 'pump-2' })
    expect(made.map(({ incident }) => `${incident.device} ${incident.cause}`)).toEqual(['pump-1 telemetry', 'pump-1 limit', 'pump-2 telemetry'])
  })

  it.each([[0.99, 'warning'], [1, 'minor'], [2.5, 'major'], [3, 'critical'], [40, 'critical']] as const)('exceeded by %f opens as %s', (excess, severity) => {
    const { incidents, judge, last } = setUp()
    judge(incidents, excess)
    expect(last().severity).toBe(severity)
  })

  it('rises at once, with a new account and the larger surprise', () => {
    const { incidents, judge, made, last } = setUp()
    judge(incidents, 0)
    judge(incidents, 2)
    expect(made).toHaveLength(2)
    expect(last()).toMatchObject({ revision: 2, severity: 'major', surprise: 6, summary: 'odd by 2', openedAt: START, updatedAt: START + 1 })
  })

  it('falls after fifteen readings without its severity, to the highest reached since, and keeps its account', () => {
    const { incidents, judge, made, last } = setUp()
    judge(incidents, 3)
    times(13, () => judge(incidents, 0.2))
    judge(incidents, 1.2)
    expect(made).toHaveLength(1)
    judge(incidents, 0.2)
    expect(made).toHaveLength(2)
    expect(last()).toMatchObject({ revision: 2, severity: 'minor', summary: 'odd by 3', surprise: 7 })
    times(13, () => judge(incidents, 0.2))
    expect(last().severity).toBe('minor')
    judge(incidents, 0.2)
    expect(last()).toMatchObject({ revision: 3, severity: 'warning' })
  })

  it('closes with the fifteenth reading in a row that lies more than half below the threshold', () => {
    const { incidents, judge, made, last } = setUp()
    judge(incidents, 0)
    times(14, () => judge(incidents, -0.6))
    judge(incidents, -0.5)
    times(14, () => judge(incidents, -0.6))
    expect(made).toHaveLength(1)
    judge(incidents, -0.6)
    expect(last()).toMatchObject({ revision: 2, state: 'closed', closedBy: 'calm', closedAt: START + 30, updatedAt: START + 30, severity: 'warning' })
    expect(incidents.has('pump-1')).toBe(false)
    expect(incidents.ids()).toEqual([])
  })

  it.each(['silence', 'loss', 'capacity'] as const)('of cause %s closes with the first calm', (cause: Cause) => {
    const { incidents, judge, last } = setUp()
    judge(incidents, 0, { cause })
    judge(incidents, -3, { cause })
    expect(last()).toMatchObject({ state: 'closed', revision: 2 })
  })

  it('opens again under another id', () => {
    const { incidents, judge, made } = setUp()
    judge(incidents, 0, { cause: 'silence' })
    judge(incidents, -1, { cause: 'silence' })
    judge(incidents, 0, { cause: 'silence' })
    expect(made.map(({ incident }) => incident.revision)).toEqual([1, 2, 1])
    expect(made[2]!.incident.id).not.toBe(made[0]!.incident.id)
  })

  it('counts its revisions without gaps', () => {
    const { incidents, judge, made } = setUp()
    for (const excess of [0, 1, 2, 3]) judge(incidents, excess)
    times(60, () => judge(incidents, -1))
    expect(made.map(({ incident }) => incident.revision)).toEqual(made.map((_, i) => i + 1))
    expect(made.at(-1)!.incident.state).toBe('closed')
  })

  it('is refused, and says so, when there is no row for it', () => {
    const { incidents, judge, made } = setUp(1)
    expect(judge(incidents, 0)).toBe(true)
    expect(judge(incidents, 0, { cause: 'limit' })).toBe(false)
    expect(judge(incidents, -1, { cause: 'limit' })).toBe(true)
    expect(made).toHaveLength(1)
  })

  it('can be ended for another reason than calm', () => {
    const { incidents, judge, last } = setUp()
    judge(incidents, 0)
    incidents.close('pump-1', 'telemetry', { offset: 9, index: 0 }, START + 9, 'expired')
    expect(last()).toMatchObject({ state: 'closed', closedBy: 'expired', revision: 2, closedAt: START + 9 })
    incidents.close('pump-1', 'telemetry', { offset: 10, index: 0 }, START + 10, 'expired')
    expect(last().revision).toBe(2)
  })

  it('goes on where it was when its row is read back', () => {
    const { incidents, judge, made, table, watch, last } = setUp()
    judge(incidents, 3)
    times(14, () => judge(incidents, -1))
    const again = watch()
    expect(again.isOpen('pump-1', 'telemetry')).toBe(true)
    expect(JSON.parse(table.about(0))).toMatchObject({ severity: 'critical', revision: 1 })
    judge(again, -1)
    expect(made).toHaveLength(2)
    expect(last()).toMatchObject({ state: 'closed', revision: 2 })
  })
})

describe('all incidents of a device', () => {
  it('close in one order, before and after a restart', () => {
    const order = (restarted: boolean) => {
      const { incidents, judge, made, watch } = setUp()
      judge(incidents, 0, { cause: 'cardinality' })
      judge(incidents, 0, { cause: 'telemetry' })
      incidents.close('pump-1', 'cardinality', { offset: 5, index: 0 }, START, 'calm')
      // Takes the freed row, before the older one.
      judge(incidents, 0, { cause: 'limit' })
      const before = made.length
      ;(restarted ? watch() : incidents).closeAll('pump-1', { offset: 9, index: 0 }, START, 'reset')
      return made.slice(before).map(({ incident }) => incident.cause)
    }
    expect(order(false)).toHaveLength(2)
    expect(order(true)).toEqual(order(false))
  })
})
