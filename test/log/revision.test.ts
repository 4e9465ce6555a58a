/** Records of the incidents topic: revisions and what is still open come back with their stamps. */
import { describe, expect, it } from 'vitest'
import type { Incident } from '../../src/core/incident.ts'
import { decodeIncidentRecord, encodeIncidentRecord, type IncidentRecord } from '../../src/log/revision.ts'
import { START } from '../detect/fleet.ts'

const INCIDENT: Incident = {
  id: 'a'.repeat(24), revision: 3, device: 'pump-1', class: 'pump', labels: { site: 'north', 'ü': '✓' }, cause: 'telemetry', severity: 'minor', state: 'open',
  openedAt: START, updatedAt: START + 1, closedAt: null, closedBy: null, surprise: 5.25, summary: 'vibration is 9 mm/s, expected 1 to 2',
  votes: [{ detector: 'level', metric: 'vibration', surprise: 5.25, observed: 9, expected: [1, null] }],
}

const STAMP = { incarnation: 'first', epoch: 4, position: { offset: 2 ** 40, index: 4_095 }, n: 2 }

describe('a record of the incidents', () => {
  it.each<IncidentRecord>([
    { kind: 'revision', stamp: STAMP, arrival: START - 7, incident: INCIDENT },
    { kind: 'opened', stamp: { ...STAMP, n: 0, position: { offset: -1, index: 4_096 } }, ids: ['b'.repeat(24), 'c'.repeat(24)] },
    { kind: 'opened', stamp: { ...STAMP, n: 0 }, ids: [] },
  ])('of kind $kind comes back as it was', (record) => {
    expect(decodeIncidentRecord(encodeIncidentRecord(record))).toEqual(record)
  })

  it('whose body is no JSON is BAD_RECORD', () => {
    const bytes = encodeIncidentRecord({ kind: 'revision', stamp: STAMP, arrival: START, incident: INCIDENT })
    bytes.write('<', bytes.indexOf('{"id"'))
    expect(() => decodeIncidentRecord(bytes)).toThrow(expect.objectContaining({ code: 'BAD_RECORD', message: 'incident revision without readable body' }))
  })

  it('cut anywhere is BAD_RECORD', () => {
    const bytes = encodeIncidentRecord({ kind: 'opened', stamp: STAMP, ids: ['b'.repeat(24)] })
    for (let length = 0; length < bytes.length; length++) expect(() => decodeIncidentRecord(bytes.subarray(0, length))).toThrow(expect.objectContaining({ code: 'BAD_RECORD' }))
  })
})
