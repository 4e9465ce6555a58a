/** What an adapter gives the contract suite so that one set of cases runs on all: a store that can be opened, killed, cut and aged. */
import type { Log, Topic } from '../../../src/log/log.ts'

export interface OpenOptions {
  /** 2 where left out. */
  readonly partitions?: number
  /** `log.key` of the config; 'device' where left out. */
  readonly key?: string
}

/** One store, empty at first. Everything here is for tests only and may be slow. */
export interface LogHarness {
  /** Logs that may be open on one store at a time. 'one': cases for two processes are skipped. */
  readonly processes: 'one' | 'many'

  /** Time that a wait lets pass before it looks again, ms; 10 where left out. Less where it is real time and each record costs a wait. */
  readonly stepMs?: number

  /** One process's log over the store. Throws what the adapter throws; PARTITIONS_CHANGED may come at the takeover instead. */
  open(options?: OpenOptions): Promise<Log>

  /**
   * kill −9: nothing the process behind `log` had under way takes effect after this resolves, its promises may hang for ever.
   * What was flushed stays; what was not may be lost from the end backwards, whole groups only. The store may be opened again.
   */
  crash(log: Log): Promise<void>

  /** Lets at least `ms` of the log's time pass (back-off, takeover delays) and what is due then settle. May really wait for a disk. */
  advance(ms: number): Promise<void>

  /**
   * Until the returned function is called no flush of `log` completes (nor a commit); appends still resolve.
   * Left out: the adapter can't separate the two (Kafka), and the cases for it are skipped.
   */
  stall?(log: Log): () => void

  /**
   * Retention takes records of `readings` or `incidents` below `before`, as far as the adapter can cut: the suite appends 200 records of
   * 1 KiB one by one, flushes each tenth, trims at 150, and wants 0 < low ≤ 150 (a journal: segments of some 16 KiB in the harness).
   */
  trim(log: Log, topic: Topic, partition: number, before: number): Promise<void>

  /** Somebody deletes `readings` and makes it again: empty, offsets from 0, all else kept. Called while no log is open. */
  recreate(): Promise<void>

  /** Frees everything; logs may still be open. */
  close(): Promise<void>
}
