/** Compares the rows a disturbed service left in its data folder with those of an undisturbed run over the same readings. */
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

/** Names of the rows that differ. The service has ended, so its state stands at the end of its readings. */
export async function differingRows(path: string): Promise<string[]> {
  const journal = await openJournalReader(path)
  const cluster = new MemoryCluster({ clock: systemClock, partitions: journal.partitions })
  for (let p = 0; p < journal.partitions; p++) {
    cluster.load('readings', p, await all(journal, 'readings', p))
  }
  await runOver(cluster)
  const differ: string[] = []
  for (let p = 0; p < journal.partitions; p++)
    differ.push(...differences(rowsOf(await all(journal, 'state', p)), rowsOf(cluster.dump('state', p))).map((text) => `partition ${p}, ${text}`))
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

async function all(log: Pick<Log, 'read' | 'bounds'>, topic: Topic, partition: number): Promise<StoredRecord[]> {
  const records: StoredRecord[] = []
  let next = (await log.bounds(topic, partition)).low
  for (;;) {
    const slice = await log.read(topic, partition, next, READ_AT_ONCE)
    if (!slice) return records
    records.push(...slice.records)
    next = slice.next
  }
}
