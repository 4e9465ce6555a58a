/** The verdict on a demonstration: what counts as found, as false, as a quarantine that was seen to its end. */
import { describe, expect, it } from 'vitest'
import type { Happening } from '../../../src/cli/demo/happening.ts'
import { Verdict } from '../../../src/cli/demo/verdict.ts'
import type { Cause } from '../../../src/core/incident.ts'
import type { Trouble } from '../../../src/fleet/truth.ts'
import { course, found, truth } from './rig.ts'

const BEARING = truth('pump-01', 'bearing')

function verdictOn(happenings: readonly Happening[], truths = [BEARING]): Verdict {
  const verdict = new Verdict(truths)
  for (const happening of happenings) verdict.take(happening)
  return verdict
}

describe('a fault', () => {
  it('is found by an incident on its device after it began, and says after how long, as what and how bad it became', () => {
    const verdict = verdictOn([...course('pump-01', 50_000), found(44_500), found(46_000, { severity: 'critical' }, 'worse')])
    expect(verdict.failures()).toEqual([])
    expect(verdict.json()['faults']).toEqual([
      { ...BEARING, found: true, after: 4_500, cause: 'telemetry', severity: 'critical', summary: 'vibration is 4 mm/s, expected 1 to 3' },
    ])
  })

  it.each([
    ['before it began', found(39_000)],
    ['on another device', found(45_000, { device: 'pump-02' })],
    ['of a cause it does not have', found(45_000, { cause: 'silence' })],
    ['that opened before and only becomes worse', found(45_000, {}, 'worse')],
  ])('is not found by an incident %s', (_name, happening) => {
    expect(verdictOn([...course('pump-01', 50_000), happening]).failures()).toEqual(['pump-01 was not found: a bearing wears (looked for: telemetry or limit)'])
  })

  it('is found though its device has a clock that is a little behind', () => {
    expect(verdictOn([...course('pump-01', 50_000), found(39_980)]).json()['faults']).toMatchObject([{ found: true, after: 0 }])
  })

  const plausible: readonly (readonly [Trouble, readonly Cause[]])[] = [
    ['bearing', ['telemetry', 'limit']],
    ['stuck', ['telemetry']],
    ['takeover', ['rate', 'shape']],
    ['silence', ['silence']],
    ['clock', ['clock']],
  ]
  it.each(plausible)('of kind %s is found as %s and nothing else', (kind, causes) => {
    const all: readonly Cause[] = ['telemetry', 'limit', 'silence', 'rate', 'shape', 'clock', 'identity', 'cardinality', 'capacity', 'loss', 'common']
    const finding = all.filter((cause) => verdictOn([...course('pump-01', 50_000), found(45_000, { cause })], [truth('pump-01', kind)]).failures().length === 0)
    expect(finding.toSorted()).toEqual(causes.toSorted())
  })
})

describe('a healthy device', () => {
  it('fails the demonstration when it is quarantined, and by an incident alone does not', () => {
    const verdict = verdictOn([found(45_000), ...course('pump-01', 50_000), found(60_000, { id: 'i2', device: 'pump-02' }), ...course('pump-03', 61_000)])
    expect(verdict.failures()).toEqual(['pump-03 was quarantined, and nothing was wrong with it'])
    expect(verdict.text()).toContain('healthy devices quarantined: 1 (pump-03)')
    expect(verdict.text()).toContain('false incidents: 1\n  1:00.0 pump-02: minor telemetry: vibration is 4 mm/s')
  })

  it('is one whose fault has not begun yet, and not one whose fault is over', () => {
    expect(verdictOn([...course('pump-01', 30_000)]).json()['healthyQuarantined']).toEqual(['pump-01'])
    expect(verdictOn([...course('pump-01', 80_000)]).json()['healthyQuarantined']).toEqual([])
  })

  it('is told with its incidents up to 20 of them, and counted beyond', () => {
    const verdict = verdictOn(Array.from({ length: 30 }, (_, i) => found(1_000, { id: `i${i}`, device: 'pump-02' })))
    expect(verdict.json()['falseIncidents']).toBe(30)
    expect(verdict.text().split('pump-02').length - 1).toBe(20)
  })
})

describe('a quarantine', () => {
  const whole = course('pump-01', 50_000)
  const missing = ['no device was quarantined, acknowledged it, was released and acknowledged that']

  it('counts once it was acknowledged, released, and that acknowledged', () => {
    expect(verdictOn([found(45_000), ...whole]).failures()).toEqual([])
    expect(verdictOn([found(45_000), ...whole]).text()).toContain('quarantined, acknowledged, released, acknowledged: 1 (pump-01)')
  })

  it.each([
    ['its answer', (one: Happening) => one.kind === 'ack' && one.command === 'quarantine' && one.status === 'done'],
    ['its release', (one: Happening) => one.kind === 'command' && one.command === 'release'],
    ["its release's answer", (one: Happening) => one.kind === 'ack' && one.command === 'release'],
  ])('does not count without %s', (_name, isMissing) => {
    expect(verdictOn([found(45_000), ...whole.filter((one) => !isMissing(one))]).failures()).toEqual(missing)
  })
})

describe('its table', () => {
  it('has a line a fault, found or not', () => {
    const lines = verdictOn([found(44_500)], [BEARING, truth('pump-02', 'stuck', 41_000)]).text().split('\n')
    expect(lines[1]).toMatch(/^pump-01 +a bearing wears +0:40\.0 +in 4\.5 s +telemetry +minor +vibration is 4 mm\/s/)
    expect(lines[2]).toMatch(/^pump-02 +its flow sensor sticks +0:41\.0 +NO$/)
  })

  it('holds no fault against Picket that had not begun at the end, or had no time to be found', () => {
    const verdict = verdictOn([], [BEARING, truth('pump-02', 'stuck', 41_000), truth('pump-03', 'clock', 80_001)])
    verdict.end(80_000)
    const lines = verdict.text().split('\n').slice(1, 4)
    expect(lines).toEqual([expect.stringMatching(/0:40\.0 +NO$/), expect.stringMatching(/0:41\.0 +NO$/), expect.stringMatching(/runs away +– +not begun$/)])
    verdict.end(74_500)
    expect(verdict.text().split('\n').slice(1, 3)).toEqual([expect.stringMatching(/NO$/), expect.stringMatching(/not yet$/)])
    expect(verdict.json()['endedAt']).toBe(74_500)
  })

  it('is no wider than the terminal: the sentence is cut, or left out', () => {
    const verdict = verdictOn([found(44_500, { summary: 'vibration '.repeat(20) })])
    for (const [columns, has] of [[79, false], [100, true], [120, true]] as const) {
      const lines = verdict.text({ columns }).split('\n').slice(0, 2)
      expect([Math.max(...lines.map((line) => line.length)) <= columns, lines[0]!.includes('SENTENCE')], `${columns}`).toEqual([true, has])
    }
  })
})
