/** The log port in memory: one log shared by simulated processes, for the simulation and for the tests of everything above the log. */
import { assert } from '../core/assert.ts'
import type { Clock } from '../ops/clock.ts'
import type { Logger } from '../ops/logger.ts'
import type { Bounds, LogRecord, StoredRecord, Topic } from './log.ts'
import type { Faults } from './memory/faults.ts'
import { MemoryLog } from './memory/handle.ts'
import { Store } from './memory/store.ts'
import type { SlicePolicy } from './memory/store.ts'
import { checkLayout } from './takeover.ts'

export type { Failure, Faults, Operation } from './memory/faults.ts'
export type { MemoryLog } from './memory/handle.ts'
export type { SlicePolicy } from './memory/store.ts'

export interface ClusterOptions {
  readonly clock: Clock
  /** Of the topics marked `all`; 1 where left out. */
  readonly partitions?: number
  /** `log.key`; 'device' where left out. */
  readonly key?: string
  readonly faults?: Faults
  /**
   * When readers see a record. 'appended' (as the embedded log): at once; a crash or failed flush then loses a suffix of the whole log,
   * and every holder is made to take over anew. 'flushed' (as Kafka): when it is durable, each process flushing for itself.
   */
  readonly visible?: 'appended' | 'flushed'
  /** ms until a crash is noticed by those who wait, and that a holder told to go may take; 3,000 where left out. */
  readonly takeoverMs?: number
  /** Where slices are cut; all there is, at most 256 records, where left out. */
  readonly slices?: SlicePolicy
}

export interface ConnectOptions {
  /** Unique among the live handles. */
  readonly name?: string
  /** As this process's config asks; the cluster's where left out. */
  readonly partitions?: number
  readonly key?: string
  readonly logger?: Logger
}

/** The first candidate in the order of the calls holds a partition or name, unless a test assigns it. */
export class MemoryCluster {
  readonly #store: Store
  /** The newest of each name. */
  readonly #handles = new Map<string, MemoryLog>()
  #unnamed = 0

  constructor(options: ClusterOptions) {
    const { clock, partitions = 1, key = 'device', faults = {}, visible = 'appended', takeoverMs = 3_000 } = options
    const slices = options.slices ?? ((available) => Math.min(available, 256))
    this.#store = new Store({ clock, partitions, key, faults, visible, takeoverMs, slices })
  }

  /** Throws PARTITIONS_CHANGED when the process's config asks for another number or key than the log was made with. */
  connect(options: ConnectOptions = {}): MemoryLog {
    const made = this.#store.options
    const { name = `process-${++this.#unnamed}`, partitions = made.partitions, key = made.key, logger } = options
    checkLayout(made, { partitions, key })
    assert(!this.#handles.get(name)?.live, `${name} is connected already`)
    const handle = new MemoryLog(this.#store, { name, partitions, key, logger })
    this.#handles.set(name, handle)
    return handle
  }

  /** Gives a partition to a process as long as it lives. `notice: false`: the old owner isn't told and goes on, fenced without knowing. */
  assign(partition: number, to: MemoryLog, { notice = true }: { readonly notice?: boolean } = {}): void {
    this.#store.partition('readings', partition)
    assert(to.live, `${to.name} can own nothing any more`)
    this.#store.seat(`readings/${partition}`).assign(to, { notice })
  }

  assignLeader(name: string, to: MemoryLog, { notice = true }: { readonly notice?: boolean } = {}): void {
    assert(to.live, `${to.name} can lead nothing any more`)
    this.#store.seat(name).assign(to, { notice })
  }

  /** The process learns what it no longer owns or leads. */
  notice(process: MemoryLog): void {
    for (const seat of this.#store.seats()) seat.notice(process)
  }

  /** Retention: the records below `before` are gone. */
  trim(topic: Topic, partition: number, before: number): void {
    this.#store.partition(topic, partition).trim(before)
  }

  /** Somebody deletes a topic and makes it again: empty, offsets from 0. Nothing may be waiting for a flush. */
  recreate(topic: Topic): void {
    for (const partition of this.#store.partitions(topic)) partition.recreate()
    this.#store.bell(topic).ring()
  }

  /** Appends durable records with append times of their own, such as `dump` gives; times may not go back. */
  load(topic: Topic, partition: number, records: readonly (LogRecord & { readonly time: number })[]): void {
    const into = this.#store.partition(topic, partition)
    for (const record of records) into.append(record, record.time)
    into.store(into.bounds().high)
    this.#store.bell(topic).ring()
  }

  /** Everything a partition holds, unflushed records too. */
  dump(topic: Topic, partition: number): readonly StoredRecord[] {
    return this.#store.partition(topic, partition).all()
  }

  bounds(topic: Topic, partition: number): Bounds {
    return this.#store.partition(topic, partition).bounds()
  }
}
