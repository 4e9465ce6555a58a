/** Compares the rows a disturbed service left in its log with those of an undisturbed run over the same readings. */
import { createDetect, type Detect } from '../../src/detect/detect.ts'
import { openJournalReader } from '../../src/log/journal/reader.ts'
import type { Log, StoredRecord, Topic } from '../../src/log/log.ts'
import { MemoryCluster } from '../../src/log/memory.ts'
import { systemClock } from '../../src/ops/clock.ts'
import type { Metrics } from '../../src/ops/metrics.ts'
import { differences, rowsOf } from '../rows.ts'
import { pause } from './service.ts'

const READ_AT_ONCE = 1000
const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const instrument = { add() {}, set() {}, observe() {} }
const unmeasured: Metrics = { counter: () => instrument, gauge: () => instrument, histogram: () => instrument }

type Readable = Pick<Log, 'partitions' | 'read' | 'bounds'>

/** Names of the rows that differ, of a journal. The service has ended, so its state stands at the end of its readings. */
export async function differingRows(path: string): Promise<string[]> {
  return differingRowsIn(await openJournalReader(path))
}

/** The same, of any log. */
export async function differingRowsIn(log: Readable): Promise<string[]> {
  const cluster = new MemoryCluster({ clock: systemClock, partitions: log.partitions })
  for (let p = 0; p < log.partitions; p++) cluster.load('readings', p, await recordsOf(log, 'readings', p))
  await runOver(cluster)
  const differ: string[] = []
  for (let p = 0; p < log.partitions; p++)
    differ.push(...differences(rowsOf(await recordsOf(log, 'state', p)), rowsOf(cluster.dump('state', p))).map((text) => `partition ${p}, ${text}`))
  return differ
}

async function runOver(cluster: MemoryCluster): Promise<void> {
  const log = cluster.connect()
  const end = new AbortController()
  const detect = createDetect({ log, clock: systemClock, metrics: unmeasured, logger: quiet }, { everyMs: 60_000, bytes: Infinity })
  const running = detect.run(end.signal)
  while (!(await isDone(cluster, detect))) await pause(20)
  end.abort()
  await running
}

async function isDone(cluster: MemoryCluster, detect: Detect): Promise<boolean> {
  return detect.reasons().length === 0 && detect.places().every(({ partition, next }) => next === cluster.bounds('readings', partition).high)
}

/** All that is there now. */
export async function recordsOf(log: Readable, topic: Topic, partition: number): Promise<StoredRecord[]> {
  const records: StoredRecord[] = []
  let next = (await log.bounds(topic, partition)).low
  for (;;) {
    const slice = await log.read(topic, partition, next, READ_AT_ONCE)
    if (!slice) return records
    records.push(...slice.records)
    next = slice.next
  }
}
