/** The readers' rule, record by record. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { IncidentRecord } from '../../src/log/revision.ts'
import { IncidentReader } from '../../src/respond/incident-reader.ts'
import type { Mark } from '../../src/respond/incident-reader.ts'
import { closing, incident, opened, revision, START } from './fleet.ts'

let remarks: string[]
let reader: IncidentReader

function read(record: IncidentRecord, partition = 0, time = START) {
  return reader.apply(partition, record, time).map(({ kind, incident: { id, revision: number, closedBy } }) => ({ kind, id, revision: number, closedBy }))
}

beforeEach(() => {
  remarks = []
  reader = new IncidentReader({ mostOpen: 3, remark: (what) => remarks.push(what) })
})

describe('revisions', () => {
  it('opens, updates and closes an incident', () => {
    expect(read(revision(5, incident()))).toMatchObject([{ kind: 'opened' }])
    expect(read(revision(6, incident({ revision: 2 })))).toMatchObject([{ kind: 'updated', revision: 2 }])
    expect(read(revision(7, closing({ revision: 3 })))).toMatchObject([{ kind: 'closed', closedBy: 'calm' }])
    expect(reader.openCount).toBe(0)
  })

  it('opens an unknown id whatever its revision', () => {
    expect(read(revision(5, incident({ revision: 9 })))).toMatchObject([{ kind: 'opened', revision: 9 }])
  })

  it('drops what is at or below the mark, by position and then by n', () => {
    read(revision(5, incident(), { n: 1 }))
    expect(read(revision(5, incident({ id: 'other' }), { n: 1 }))).toEqual([])
    expect(read(revision(4, incident({ id: 'other' }), { n: 7 }))).toEqual([])
    expect(remarks).toEqual(['seen', 'seen'])
    expect(read(revision(5, incident({ id: 'other' }), { n: 2 }))).toHaveLength(1)
  })

  it('keeps a mark for each partition', () => {
    read(revision(5, incident()))
    expect(read(revision(4, incident({ id: 'other' })), 1)).toHaveLength(1)
  })

  it('drops an older epoch even above the mark', () => {
    read(revision(5, incident(), { epoch: 2 }))
    expect(read(revision(9, incident({ id: 'other' }), { epoch: 1 }))).toEqual([])
    expect(remarks).toEqual(['old-epoch'])
  })

  it('raises the epoch even by a record it has seen', () => {
    read(revision(5, incident()))
    read(revision(5, incident(), { epoch: 3 }))
    expect(read(revision(6, incident({ revision: 2 }), { epoch: 2 }))).toEqual([])
    expect(remarks).toEqual(['seen', 'old-epoch'])
  })

  it('drops a second closing, and an update after the closing', () => {
    read(revision(5, incident()))
    read(revision(6, closing()))
    expect(read(revision(7, closing({ revision: 3 })))).toEqual([])
    expect(read(revision(8, incident({ revision: 4 })))).toEqual([])
    expect(remarks).toEqual(['closed', 'closed'])
  })

  it('passes on, but does not hold, what opens beyond its bound', () => {
    for (let i = 0; i < 3; i++) read(revision(i, incident({ id: `incident-${i}` })))
    expect(read(revision(3, incident({ id: 'one more' })))).toMatchObject([{ kind: 'opened' }])
    expect(remarks).toEqual(['full'])
    expect(reader.openCount).toBe(3)
  })
})

describe('an opened record', () => {
  it('closes as superseded what it does not list and was opened at or before it', () => {
    read(revision(5, incident({ id: 'kept' })))
    read(revision(6, incident({ id: 'gone' })))
    read(revision(7, incident({ id: 'gone', revision: 2 })))
    expect(read(opened(6, 2, ['kept']))).toEqual([{ kind: 'closed', id: 'gone', revision: 3, closedBy: 'superseded' }])
    expect(reader.openCount).toBe(1)
  })

  it('leaves what was opened after it: its owner will make that again', () => {
    read(revision(7, incident()))
    expect(read(opened(6, 2, []))).toEqual([])
    expect(read(revision(7, incident(), { epoch: 2 }))).toEqual([])
    expect(reader.openCount).toBe(1)
  })

  it('leaves other partitions alone', () => {
    read(revision(5, incident({ id: 'elsewhere' })), 1)
    expect(read(opened(9, 2, []), 0)).toEqual([])
  })

  it('of an older epoch says nothing', () => {
    read(revision(5, incident(), { epoch: 3 }))
    expect(read(opened(9, 2, []))).toEqual([])
    expect(remarks).toEqual(['old-epoch'])
  })

  it('shuts out the owner before it', () => {
    read(opened(5, 2, []))
    expect(read(revision(9, incident(), { epoch: 1 }))).toEqual([])
  })

  it('does not move the mark', () => {
    read(revision(3, incident()))
    read(opened(9, 2, ['incident-1']))
    expect(read(revision(4, incident({ revision: 2 }), { epoch: 2 }))).toMatchObject([{ kind: 'updated' }])
  })

  it('dates the closings by its own append time', () => {
    read(revision(5, incident()))
    const [closed] = reader.apply(0, opened(6, 2, []), START + 5_000)
    expect(closed?.incident).toMatchObject({ state: 'closed', closedAt: START + 5_000, updatedAt: START + 5_000 })
  })
})

describe('a new incarnation', () => {
  it('closes all of its partition and begins anew', () => {
    read(revision(50, incident({ id: 'old' })))
    read(revision(50, incident({ id: 'elsewhere' })), 1)
    expect(read(revision(2, incident({ id: 'new' }), { incarnation: 'second' }))).toMatchObject([
      { kind: 'closed', id: 'old', closedBy: 'superseded' },
      { kind: 'opened', id: 'new' },
    ])
  })

  it('begins with its own epoch, though it be lower', () => {
    read(revision(50, incident(), { epoch: 7 }))
    expect(read(opened(0, 1, [], { incarnation: 'second' }))).toMatchObject([{ kind: 'closed' }])
    expect(reader.mark(0)).toMatchObject({ incarnation: 'second', epoch: 1 })
  })

  it('leaves nothing to say to the one before', () => {
    read(revision(50, incident({ id: 'old' })))
    read(revision(2, incident({ id: 'new' }), { incarnation: 'second' }))
    expect(read(revision(60, incident({ id: 'late' }), { incarnation: 'first' }))).toEqual([])
    expect(remarks).toEqual(['old-incarnation'])
  })
})

describe('what it remembers is bounded', () => {
  it('to the last 4 incarnations', () => {
    for (let i = 0; i < 9; i++) read(revision(1, incident({ id: `incident-${i}` }), { incarnation: `incarnation-${i}` }))
    expect(reader.mark(0)!.left).toEqual(['incarnation-4', 'incarnation-5', 'incarnation-6', 'incarnation-7'])
  })

  it('to the last 10,000 closed ids', () => {
    for (let i = 0; i <= 10_000; i++) read(revision(i, closing({ id: `incident-${i}` })))
    expect(read(revision(20_000, incident({ id: 'incident-1' })))).toEqual([])
    expect(read(revision(20_001, incident({ id: 'incident-0' })))).toMatchObject([{ kind: 'opened' }])
  })
})

it('goes on from marks and open incidents that went through JSON', () => {
  read(revision(5, incident()))
  const mark = JSON.parse(JSON.stringify(reader.mark(0))) as Mark
  const next = new IncidentReader({ mostOpen: 3, remark: (what) => remarks.push(what) })
  next.restoreMark(0, mark)
  next.restoreOpen({ incident: incident(), partition: 0, position: { offset: 5, index: 0 } })
  expect(next.apply(0, revision(5, incident()), START)).toEqual([])
  expect(next.apply(0, opened(5, 2, []), START)).toMatchObject([{ kind: 'closed' }])
})
