/** Runs detect over a given log on the memory adapter, in any cut, with any crashes, and says what it came to. */
import { compareStamps, type Stamp } from '../../src/core/position.ts'
import type { Incident } from '../../src/core/incident.ts'
import { createDetect } from '../../src/detect/detect.ts'
import type { CheckpointPace } from '../../src/detect/task.ts'
import { type Control, encodeControl } from '../../src/log/control.ts'
import { encodeFrame, type Frame } from '../../src/log/frame.ts'
import { type Faults, MemoryCluster, type MemoryLog, type SlicePolicy } from '../../src/log/memory.ts'
import { decodeIncidentRecord, type IncidentRecord } from '../../src/log/revision.ts'
import { ManualClock } from '../clock.ts'
import { rowsOf } from '../rows.ts'
import { Counts, Lines, START } from './fleet.ts'

/** A record of the readings, with its append time. */
export interface Entry {
  readonly time: number
  readonly value: Frame | Control
}

export interface RunOptions {
  readonly slices?: SlicePolicy
  readonly pace?: CheckpointPace
  readonly faults?: Faults
  /** Called before each operation on the log; true kills the process that works. */
  readonly crashAt?: (operation: number) => boolean
}

export interface Outcome {
  readonly rows: Map<string, string>
  /** As a reader of the incidents takes them, in order. */
  readonly revisions: { readonly stamp: Omit<Stamp, 'epoch'>; readonly arrival: number; readonly incident: Incident }[]
  /** All that stands in the incidents, in order. */
  readonly records: readonly IncidentRecord[]
  readonly takeovers: number
  /** On the log, of all processes. */
  readonly operations: number
  readonly counts: Counts
}

const isControlRecord = (value: Frame | Control): value is Control => 'body' in value

const PATIENCE = 20_000

export async function run(entries: readonly Entry[], options: RunOptions = {}): Promise<Outcome> {
  const clock = new ManualClock(START)
  const counts = new Counts()
  let working: MemoryLog | undefined
  let operations = 0
  const fail: Faults['fail'] = (operation) => {
    const at = operations++
    if (options.crashAt?.(at)) working?.crash()
    return options.faults?.fail?.(operation)
  }
  const cluster = new MemoryCluster({ clock, faults: { ...options.faults, fail }, slices: options.slices ?? ((available) => available), takeoverMs: 5 })
  cluster.load('readings', 0, entries.map(({ time, value }) => ({ key: '', value: isControlRecord(value) ? encodeControl(value) : encodeFrame(value), time })))
  let takeovers = 0
  for (let round = 0; round < PATIENCE; round++) {
    const log = cluster.connect()
    working = log
    takeovers++
    const detect = createDetect({ log, clock, metrics: counts, logger: new Lines() }, options.pace ?? { everyMs: 50, bytes: 1 << 20 })
    const stop = new AbortController()
    const failed: unknown[] = []
    detect.run(stop.signal).catch((error: unknown) => failed.push(error))
    while (log.live && failed.length === 0 && detect.places()[0]?.next !== entries.length) await clock.advance(5)
    if (failed.length > 0) throw failed[0]
    if (!log.live) continue
    stop.abort()
    await clock.advance(1_000)
    if (!log.live) continue
    const records = cluster.dump('incidents', 0).map(({ value }) => decodeIncidentRecord(value!))
    return { rows: rowsOf(cluster.dump('state', 0)), revisions: heard(records), records, takeovers, operations, counts }
  }
  throw new Error('the log was never worked through')
}

/** DESIGN.md section 2, "Readers of incidents": what is at or below the mark or bears an older epoch is dropped. */
function heard(records: readonly IncidentRecord[]): Outcome['revisions'] {
  const taken: Outcome['revisions'] = []
  let mark: Stamp | null = null
  for (const record of records) {
    if (record.kind !== 'revision') continue
    const { stamp, arrival, incident } = record
    if (mark && (stamp.epoch < mark.epoch || compareStamps(stamp, mark) <= 0)) continue
    mark = stamp
    const { incarnation, position, n } = stamp
    taken.push({ stamp: { incarnation, position, n }, arrival, incident })
  }
  return taken
}
