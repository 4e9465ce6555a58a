/** At takeover: respond's state held against the ledger it wrote. A damaged log may have set it back, or taken it whole. */
import { isPipelineError } from '../core/errors.ts'
import { offsetKey } from '../log/log.ts'
import type { Log, StoredRecord } from '../log/log.ts'
import { decodeIncidentRecord } from '../log/revision.ts'
import type { Deciding } from './deciding.ts'
import type { IncidentReader } from './incident-reader.ts'
import { configOf } from './intake.ts'
import { parseLine } from './ledger.ts'
import type { Line } from './ledger.ts'

/** Records looked at for the newest line that can be read. */
const LINES = 256
/** Incidents read between two awaits. */
const RECORDS_AT_ONCE = 256

/** The newest line of the ledger; null where the newest records have none that can be read. */
export async function newestLine(log: Log): Promise<Line | null> {
  const { low, high } = await log.bounds('actions', 0)
  let newest: Line | null = null
  for (let next = Math.max(low, high - LINES); next < high; ) {
    const slice = await log.read('actions', 0, next, LINES)
    if (!slice) break
    for (const { value } of slice.records) newest = (value && parseLine(Buffer.from(value).toString('utf8'))) ?? newest
    next = slice.next
  }
  return newest
}

/** For people: what it means that the state knows `known` of the ledger's `written` lines. */
export function setBack(known: number, written: number): string {
  const since = known === 0 ? 'starts empty' : `is as of line ${known}`
  const again = known === 0 ? 'people are not told again of incidents of before' : 'incidents since are decided on again'
  return (
    `the state of respond was damaged and ${since}, the ledger has ${written} lines: ${again}; a quarantine that it does not know ends at its own end, ` +
    'to end it sooner quarantine the device anew and release it; what was decided: picket log read actions'
  )
}

/** Takes the incidents there are as known and told: only what comes from here on is decided on. */
export async function knowIncidents(log: Log, on: Deciding, reader: IncidentReader): Promise<void> {
  for (let partition = 0; partition < log.partitions; partition++) {
    const { low, high } = await log.bounds('incidents', partition)
    let next = low
    while (next < high) {
      const slice = await log.read('incidents', partition, next, RECORDS_AT_ONCE)
      if (!slice) break
      for (const record of slice.records) take(on, reader, partition, record)
      next = slice.next
    }
    on.state.offsets.set(offsetKey('incidents', partition), next)
    const mark = reader.mark(partition)
    if (mark) on.state.marks.set(String(partition), mark)
  }
  for (const { incident, partition, position } of reader.open())
    on.state.incidents.set(incident.id, { incident, partition, position, generation: 0, told: { revision: incident.revision, at: on.now() } })
}

function take(on: Deciding, reader: IncidentReader, partition: number, { value, time }: StoredRecord): void {
  try {
    const record = decodeIncidentRecord(value ?? new Uint8Array())
    reader.apply(partition, record, time)
    const mark = reader.mark(partition)
    const config = mark && configOf(record, mark)
    if (config) on.state.said.set(String(partition), config)
  } catch (error) {
    if (!isPipelineError(error, 'BAD_RECORD')) throw error
    on.meters.drops.add(1, { stage: 'respond', reason: 'bad-record' })
  }
}
