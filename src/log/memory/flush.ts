/** The memory log's disk: what is appended waits here, in order, until a flush makes it durable, or loses it. */
import { PipelineError } from '../../core/errors.ts'
import type { Clock } from '../../ops/clock.ts'
import type { Write } from '../log.ts'
import type { Failure, Faults } from './faults.ts'
import type { MemoryPartition } from './partition.ts'

/** One append or commit: whole in the log, or not at all. */
export class Group {
  readonly process: string
  readonly writes: readonly Write[]
  readonly flushed: Promise<void>
  /** Offset of its first record, once it has landed. */
  offset = -1
  /** Where it landed. */
  readonly spans: { readonly partition: MemoryPartition; readonly from: number; to: number }[] = []
  /** Throws when it may not land. */
  readonly admit: () => void
  #resolve!: () => void
  #reject!: (error: unknown) => void

  constructor(process: string, writes: readonly Write[], admit: () => void = () => {}) {
    this.process = process
    this.writes = writes
    this.admit = admit
    this.flushed = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.flushed.catch(() => {}) // nobody has to listen: the port says so
  }

  settle(error?: unknown): void {
    if (error === undefined) this.#resolve()
    else this.#reject(error)
  }
}

export interface FlushOptions {
  readonly clock: Clock
  readonly faults: Faults
  /** 'appended': a group lands when it is added. 'flushed': when it is durable. */
  readonly visible: 'appended' | 'flushed'
  /** Puts the group's records into the partitions. */
  readonly land: (group: Group) => void
  /** Told when groups that had landed were lost. */
  readonly lost: () => void
}

/** One sync under way at a time; the next takes what gathered meanwhile. */
export class FlushQueue {
  readonly #options: FlushOptions
  #pending: Group[] = []
  /** Cancels the sync under way. */
  #sync: (() => void) | undefined
  #stalls = 0

  constructor(options: FlushOptions) {
    this.#options = options
  }

  /** Throws what the group's `admit` throws. */
  add(group: Group): void {
    if (this.#options.visible === 'appended') this.#land(group)
    this.#pending.push(group)
    this.#begin()
  }

  /** What was added last, while it waits. */
  get newest(): Group | undefined {
    return this.#pending.at(-1)
  }

  /** Resolves when all that waits now has been stored or lost. */
  async drained(): Promise<void> {
    await Promise.allSettled(this.#pending.map((group) => group.flushed))
  }

  /** No flush completes until the returned function is called. */
  stall(): () => void {
    this.#stalls++
    this.#cancel()
    let released = false
    return () => {
      if (released) return
      released = true
      this.#stalls--
      this.#begin()
    }
  }

  /** What the process had not flushed is lost from the end on, and in a shared queue what others appended behind it. */
  crash(process: string): void {
    const first = this.#pending.findIndex((group) => group.process === process)
    if (first < 0) return
    this.#cancel()
    const survivors = first + this.#survivors(this.#pending.length - first, process)
    this.#store(survivors)
    this.#lose(new PipelineError('IO', `the log lost what was not flushed when ${process} crashed`))
  }

  #begin(): void {
    const head = this.#pending[0]
    if (this.#sync || this.#stalls > 0 || !head) return
    const latency = this.#options.faults.latency?.({ kind: 'flush', process: head.process }) ?? 0
    if (latency > 0) {
      const covers = this.#pending.length
      this.#sync = this.#options.clock.after(latency, () => this.#finish(covers))
      return
    }
    let canceled = false
    this.#sync = () => (canceled = true)
    queueMicrotask(() => {
      if (!canceled) this.#finish(this.#pending.length)
    })
  }

  #finish(covers: number): void {
    const process = this.#pending[0]!.process
    const failure = this.#options.faults.fail?.({ kind: 'flush', process })
    this.#sync = undefined
    this.#store(failure === undefined ? covers : failure === 'HALF' ? this.#survivors(covers, process) : 0)
    if (failure !== undefined) this.#lose(flushError(failure))
    this.#begin()
  }

  #survivors(groups: number, process: string): number {
    return Math.min(groups, Math.max(0, this.#options.faults.survivors?.(groups, process) ?? 0))
  }

  #store(count: number): void {
    for (const group of this.#pending.splice(0, count)) {
      try {
        if (this.#options.visible === 'flushed') this.#land(group)
        for (const { partition, to } of group.spans) partition.store(to)
        group.settle()
      } catch (error) {
        group.settle(error) // fenced: the owner hears of it
      }
    }
  }

  #lose(error: PipelineError): void {
    const lost = this.#pending.splice(0)
    for (const group of lost) {
      for (const { partition, from } of group.spans) partition.truncate(from)
      group.settle(error)
    }
    if (lost.some((group) => group.spans.length > 0)) this.#options.lost()
  }

  #land(group: Group): void {
    group.admit()
    this.#options.land(group)
  }

  #cancel(): void {
    this.#sync?.()
    this.#sync = undefined
  }
}

function flushError(failure: Failure): PipelineError {
  if (failure === 'DISK_FULL') return new PipelineError('DISK_FULL', 'the disk of the log is full: nothing more was stored')
  return new PipelineError('IO', 'a flush of the log failed: what was not stored yet is lost')
}
