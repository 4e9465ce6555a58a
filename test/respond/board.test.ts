/** The board: what the API shows of incidents, and when. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Incident } from '../../src/core/incident.ts'
import { MemoryCluster } from '../../src/log/memory.ts'
import type { MemoryLog } from '../../src/log/memory.ts'
import { encodeIncidentRecord } from '../../src/log/revision.ts'
import type { IncidentRecord } from '../../src/log/revision.ts'
import type { Logger } from '../../src/ops/logger.ts'
import { Board } from '../../src/respond/board.ts'
import { ManualClock } from '../clock.ts'
import { closing, CountingMetrics, incident, keepingLogger, opened, revision, silent, START } from './fleet.ts'

let clock: ManualClock
let cluster: MemoryCluster
let log: MemoryLog
let metrics: CountingMetrics
let board: Board
let stop: AbortController
let offset: number

async function start(options: { mostOpen?: number; mostClosed?: number; logger?: Logger } = {}): Promise<void> {
  board = new Board({ log, clock, metrics, logger: silent, ...options })
  void board.run(stop.signal)
  await clock.advance(0)
}

async function put(record: IncidentRecord, partition = 0): Promise<void> {
  await log.append('incidents', partition, [{ key: '', value: encodeIncidentRecord(record) }])
  await clock.advance(0)
}

async function tell(body: Incident, partition = 0): Promise<void> {
  await put(revision(offset++, body), partition)
}

function ids(query: Partial<Parameters<Board['list']>[0]> = {}): string[] {
  return board.list({ limit: 100, ...query }).map(({ id }) => id)
}

beforeEach(() => {
  clock = new ManualClock(START)
  cluster = new MemoryCluster({ partitions: 2, clock })
  log = cluster.connect()
  metrics = new CountingMetrics()
  stop = new AbortController()
  offset = 0
})
afterEach(() => stop.abort())

describe('an incident', () => {
  it('is shown as its last revision has it', async () => {
    await start()
    await tell(incident())
    await tell(incident({ revision: 2, severity: 'major' }))
    expect(board.get('incident-1')).toMatchObject({ revision: 2, severity: 'major' })
    expect(board.list({ limit: 10 })).toHaveLength(1)
  })

  it('that nobody knows is null', async () => {
    await start()
    expect(board.get('no such')).toBeNull()
  })

  it('of before the start is there', async () => {
    await tell(incident())
    await start()
    expect(ids()).toEqual(['incident-1'])
  })

  it('is not shown before it is durable', async () => {
    await start()
    const flush = log.stall()
    await tell(incident())
    expect(ids()).toEqual([])
    flush()
    await clock.advance(0)
    expect(ids()).toEqual(['incident-1'])
  })

  it('that an opened record leaves out is closed as superseded', async () => {
    await start()
    await tell(incident())
    await put(opened(offset, 2, []))
    expect(board.get('incident-1')).toMatchObject({ state: 'closed', closedBy: 'superseded', revision: 2 })
  })

  it('of an older epoch is not shown', async () => {
    await start()
    await put(opened(5, 2, []))
    await put(revision(9, incident()))
    expect(ids()).toEqual([])
    expect(metrics.value('picket_messages_dropped_total{stage=board,reason=old-epoch}')).toBe(1)
  })
})

describe('the list', () => {
  beforeEach(async () => {
    await start({ mostClosed: 3 })
    for (let i = 0; i < 5; i++) await tell(incident({ id: `incident-${i}`, device: `pump-${i % 2}`, openedAt: START + i }), i % 2)
  })

  it('has the newest first', () => {
    expect(ids()).toEqual(['incident-4', 'incident-3', 'incident-2', 'incident-1', 'incident-0'])
  })

  it('is of one state or device where asked', async () => {
    await tell(closing({ id: 'incident-2', device: 'pump-0', openedAt: START + 2 }))
    expect(ids({ state: 'closed' })).toEqual(['incident-2'])
    expect(ids({ state: 'open', device: 'pump-0' })).toEqual(['incident-4', 'incident-0'])
  })

  it('goes on after the last of the page before, whatever opened or changed meanwhile', async () => {
    expect(ids({ limit: 2 })).toEqual(['incident-4', 'incident-3'])
    await tell(incident({ id: 'newer', openedAt: START + 9 }))
    await tell(closing({ id: 'incident-3', device: 'pump-1', openedAt: START + 3 }), 1)
    expect(ids({ limit: 2, after: 'incident-3' })).toEqual(['incident-2', 'incident-1'])
    expect(ids({ limit: 2, after: 'incident-1' })).toEqual(['incident-0'])
    expect(ids({ limit: 2, after: 'incident-0' })).toEqual([])
  })

  it('orders incidents of one moment by id', async () => {
    await tell(incident({ id: 'b', openedAt: START + 9 }))
    await tell(incident({ id: 'a', openedAt: START + 9 }))
    expect(ids({ limit: 1 })).toEqual(['b'])
    expect(ids({ limit: 1, after: 'b' })).toEqual(['a'])
  })

  it('refuses to go on after what it does not have', () => {
    expect(() => ids({ after: 'no such' })).toThrow('no incident no such is kept')
  })

  it('forgets the closed ones that closed first', async () => {
    for (let i = 4; i >= 0; i--) await tell(closing({ id: `incident-${i}`, openedAt: START + i }), i % 2)
    expect(ids()).toEqual(['incident-2', 'incident-1', 'incident-0'])
    expect(board.get('incident-4')).toBeNull()
  })
})

it('shows no more open incidents than its bound, and counts the others', async () => {
  await start({ mostOpen: 2 })
  for (let i = 0; i < 3; i++) await tell(incident({ id: `incident-${i}` }))
  expect(ids()).toHaveLength(2)
  expect(metrics.value('picket_messages_dropped_total{stage=board,reason=full}')).toBeGreaterThan(0)
})

it('skips and counts a record that can\'t be read', async () => {
  await start()
  await log.append('incidents', 0, [{ key: '', value: Buffer.from('nonsense') }])
  await tell(incident())
  expect(ids()).toEqual(['incident-1'])
  expect(metrics.value('picket_messages_dropped_total{stage=board,reason=bad-record}')).toBe(1)
})

it('counts what retention took before it was read, and says so in one line', async () => {
  let failing = 0
  cluster = new MemoryCluster({ partitions: 2, clock, faults: { fail: ({ kind }) => (kind === 'read' && failing-- > 0 ? 'IO' : undefined) } })
  log = cluster.connect()
  const { logger, lines } = keepingLogger()
  await tell(incident())
  await start({ logger })
  failing = 1
  for (let i = 2; i < 6; i++) await tell(incident({ id: `incident-${i}` }))
  cluster.trim('incidents', 0, 4)
  await clock.advance(100)
  expect(ids()).toEqual(['incident-5', 'incident-1'])
  expect(metrics.value('picket_messages_dropped_total{stage=board,reason=retention}')).toBe(3)
  expect(lines.filter((line) => line.includes('retention'))).toEqual(['warn board: retention took records of incidents before they were read'])
})

it('reads on after the log failed it for a while', async () => {
  let failing = 0
  cluster = new MemoryCluster({ partitions: 2, clock, faults: { fail: ({ kind }) => (kind === 'read' && failing-- > 0 ? 'IO' : undefined) } })
  log = cluster.connect()
  await tell(incident())
  await start()
  failing = 1
  await tell(incident({ id: 'incident-2' }))
  expect(ids()).toEqual(['incident-1'])
  await clock.advance(100)
  expect(ids()).toEqual(['incident-2', 'incident-1'])
  expect(metrics.value('picket_messages_dropped_total{stage=board,reason=seen}')).toBe(0)
})

it('reads a recreated topic from its start', async () => {
  await start()
  await tell(incident())
  await tell(incident({ revision: 2 }))
  cluster.recreate('incidents')
  await clock.advance(1_000)
  await tell(incident({ id: 'new', openedAt: START + 9 }))
  await clock.advance(1_000)
  expect(ids()).toEqual(['new', 'incident-1'])
})
