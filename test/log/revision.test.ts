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
    { kind: 'opened', stamp: { ...STAMP, n: 0, position: { offset: -1, index: 4_096 } }, ids: ['b'.repeat(24), 'c'.repeat(24)], config: null },
    { kind: 'opened', stamp: { ...STAMP, n: 0 }, ids: [], config: { version: 3, hash: 'e'.repeat(64), offset: 2 ** 40 } },
  ])('of kind $kind comes back as it was', (record) => {
    expect(decodeIncidentRecord(encodeIncidentRecord(record))).toEqual(record)
  })

  it('of before the config in force was said is still read', () => {
    const opened = 'c3019b4044677717c5f80a6669727374080000000000001c408040020404693104693200'
    const revised = 'c3019b4044677717c5f80a6669727374080000000000001c400200040000000000001440167b226964223a226931227d'
    const stamp = { incarnation: 'first', epoch: 4, position: { offset: 7, index: 4_096 }, n: 0 }
    expect(decodeIncidentRecord(Buffer.from(opened, 'hex'))).toEqual({ kind: 'opened', stamp, ids: ['i1', 'i2'], config: null })
    expect(decodeIncidentRecord(Buffer.from(revised, 'hex'))).toMatchObject({ kind: 'revision', arrival: 5, incident: { id: 'i1' } })
  })

  it('whose body is no JSON is BAD_RECORD', () => {
    const bytes = encodeIncidentRecord({ kind: 'revision', stamp: STAMP, arrival: START, incident: INCIDENT })
    bytes.write('<', bytes.indexOf('{"id"'))
    expect(() => decodeIncidentRecord(bytes)).toThrow(expect.objectContaining({ code: 'BAD_RECORD', message: 'incident revision without readable body' }))
  })

  it('cut anywhere is BAD_RECORD', () => {
    const bytes = encodeIncidentRecord({ kind: 'opened', stamp: STAMP, ids: ['b'.repeat(24)], config: { version: 3, hash: 'e', offset: 7 } })
    for (let length = 0; length < bytes.length; length++) expect(() => decodeIncidentRecord(bytes.subarray(0, length))).toThrow(expect.objectContaining({ code: 'BAD_RECORD' }))
  })
})
