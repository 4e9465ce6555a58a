/** One process's handle of the memory log: the log port over what all handles share. */
import { assert } from '../../core/assert.ts'
import { PipelineError } from '../../core/errors.ts'
import { delay } from '../../ops/clock.ts'
import type { Logger } from '../../ops/logger.ts'
import { APPEND_MOST } from '../log.ts'
import type { Appended, Bounds, Log, LogRecord, Opened, Owned, Partition, Slice, Topic, Write } from '../log.ts'
import { untilStopped } from '../retry.ts'
import type { Progress } from '../retry.ts'
import { ownAll, stopWith } from '../stopping.ts'
import { LEADER_WITH_STATE, leadWithoutState, takeOver } from '../takeover.ts'
import type { Layout, StateStore, TakeoverOptions } from '../takeover.ts'
import type { Failure, Operation } from './faults.ts'
import { Group } from './flush.ts'
import type { FlushQueue } from './flush.ts'
import { Lane } from './lane.ts'
import type { Reader } from './partition.ts'
import type { Candidate, Seat, Tenure } from './seat.ts'
import type { Store } from './store.ts'

/** Writes drawn from a commit between two awaits. */
const DRAWN_AT_ONCE = 16

export interface HandleOptions extends Layout {
  readonly name: string
  readonly logger: Logger | undefined
}

export class MemoryLog implements Log {
  readonly name: string
  readonly partitions: number
  readonly #key: string
  readonly #store: Store
  readonly #queue: FlushQueue
  readonly #lane: Lane
  readonly #logger: Logger | undefined
  readonly #closing = new AbortController()
  /** Calls of consume, lead and tail that have not ended. */
  readonly #running = new Set<Promise<unknown>>()
  #last: Group | undefined
  #state: 'open' | 'closed' | 'crashed' = 'open'

  constructor(store: Store, options: HandleOptions) {
    this.name = options.name
    this.partitions = options.partitions
    this.#key = options.key
    this.#store = store
    this.#logger = options.logger
    this.#queue = store.queue()
    this.#lane = new Lane(store.options.clock)
  }

  /** Neither closed nor crashed. */
  get live(): boolean {
    return this.#state === 'open'
  }

  async append(topic: Topic, partition: number, records: readonly LogRecord[]): Promise<Appended> {
    this.#checkOpen()
    if (this.#state === 'crashed') return never()
    assert(records.length > 0 && records.length <= APPEND_MOST, `an append has 1 to ${APPEND_MOST} records`)
    this.#store.partition(topic, partition)
    const operation = { kind: 'append', process: this.name, topic, partition } as const
    const latency = this.#latency(operation)
    const group = new Group(this.name, records.map((record) => ({ ...record, topic, partition })))
    const { losses } = this.#store
    const landing = this.#lane.pass(latency, () => {
      this.#checkFault(operation)
      // It may follow from what was lost while it was under way.
      if (this.#store.losses !== losses) throw failed(operation, 'IO')
      this.#write(group)
    })
    await this.#alive(landing)
    if (this.#store.options.visible === 'flushed') await this.#alive(group.flushed)
    const flushed = this.#alive(group.flushed)
    flushed.catch(() => {}) // nobody has to listen: the port says so
    return { offset: group.offset, flushed }
  }

  async flushed(): Promise<void> {
    if (this.#state === 'crashed') return never()
    // Where others' records are read before they are durable, these have to be waited for too.
    const shared = this.#store.options.visible === 'appended'
    const { losses } = this.#store
    const last = await this.#alive(this.#lane.pass(0, () => (shared ? this.#queue.newest : this.#last)))
    if (this.#store.losses !== losses) throw new PipelineError('IO', 'what was not stored yet was lost meanwhile')
    if (last) await this.#alive(last.flushed)
  }

  reasons(): readonly string[] {
    return []
  }

  holder(place: string): string | null {
    const { sitting } = this.#store.seat(place)
    return sitting instanceof MemoryLog ? sitting.name : null
  }

  consume(open: (owned: Partition) => Promise<Opened>, signal: AbortSignal): Promise<void> {
    return this.#run(signal, (stop) => ownAll(this.partitions, (number) => this.#own(number, open, stop.signal), stop))
  }

  lead(name: string, run: (owned: Owned) => Promise<void>, signal: AbortSignal): Promise<void> {
    const seat = this.#store.seat(name)
    return this.#run(signal, (stop) =>
      this.#untilStopped(name, stop.signal, async (progress) => {
        const candidate = { process: this }
        seat.join(candidate)
        try {
          await this.#hold(seat, candidate, stop.signal, async (tenure) => run(await this.#leaderOf(name, seat, tenure, progress)))
        } finally {
          seat.leave(candidate)
        }
      }),
    )
  }

  tail(topic: Topic, from: ReadonlyMap<number, number>, each: (slice: Slice) => Promise<void>, signal: AbortSignal): Promise<void> {
    const partitions = this.#store.partitions(topic)
    return this.#run(signal, async (stop) => {
      const readers = partitions.map((partition, number) => partition.enter(from.get(number) ?? partition.bounds().low))
      try {
        while (!stop.signal.aborted) {
          const ticket = this.#store.bell(topic).ticket()
          let idle = true
          for (const [number, reader] of readers.entries()) {
            const slice = await this.#next(topic, number, reader)
            if (!slice || stop.signal.aborted) continue
            idle = false
            await this.#alive(each(slice))
          }
          if (idle) await this.#alive(this.#store.bell(topic).wait(ticket, stop.signal))
        }
      } finally {
        for (const [number, reader] of readers.entries()) partitions[number]!.leave(reader)
      }
    })
  }

  async read(topic: Topic, partition: number, from: number, limit: number): Promise<Slice | null> {
    this.#checkOpen()
    const operation = { kind: 'read', process: this.name, topic, partition } as const
    await this.#pause(this.#latency(operation))
    this.#checkFault(operation)
    return this.#alive(Promise.resolve(this.#store.partition(topic, partition).slice(from, limit)))
  }

  async bounds(topic: Topic, partition: number): Promise<Bounds> {
    this.#checkOpen()
    return this.#alive(Promise.resolve(this.#store.partition(topic, partition).bounds()))
  }

  async close(): Promise<void> {
    if (this.#state === 'crashed') return never()
    this.#closing.abort()
    await this.#alive(Promise.allSettled(this.#running))
    try {
      await this.flushed()
    } finally {
      if (this.#state === 'open') this.#state = 'closed'
      for (const seat of this.#store.seats()) seat.drop(this, 'closed')
    }
  }

  /**
   * kill −9: none of its promises settles any more, nor does any later call; what it had not flushed is lost but for the groups
   * `Faults.survivors` leaves.
   */
  crash(): void {
    if (this.#state === 'crashed') return
    this.#state = 'crashed'
    this.#lane.clear()
    for (const seat of this.#store.seats()) seat.drop(this, 'crashed')
    this.#queue.crash(this.name)
  }

  /** No flush of this handle completes until the returned function is called (nor of any other, where what isn't flushed is visible). */
  stall(): () => void {
    return this.#queue.stall()
  }

  async #own(number: number, open: (owned: Partition) => Promise<Opened>, signal: AbortSignal): Promise<void> {
    const seat = this.#store.seat(`readings/${number}`)
    const candidate = { process: this }
    seat.join(candidate)
    try {
      await this.#untilStopped(`readings/${number}`, signal, (progress) =>
        this.#hold(seat, candidate, signal, async (tenure) => {
          const owned = await this.#takeOver(seat, { signal: tenure.stop.signal, topic: 'state', partition: number, progress })
          await this.#workThrough(number, owned.signal, await open(Object.assign(owned, { number })))
        }),
      )
    } finally {
      seat.leave(candidate)
    }
  }

  async #workThrough(number: number, signal: AbortSignal, { task, from }: Opened): Promise<void> {
    const partition = this.#store.partition('readings', number)
    const bell = this.#store.bell('readings')
    const reader = partition.enter(from)
    try {
      for (;;) {
        const ticket = bell.ticket()
        const slice = await this.#next('readings', number, reader)
        if (signal.aborted) break
        if (slice) await this.#alive(task.process(slice))
        else await this.#alive(bell.wait(ticket, signal))
      }
    } finally {
      partition.leave(reader)
    }
    await this.#alive(task.close())
  }

  /** The reader's next slice; null when there is none yet. Throws RECREATED when what it has read is no longer what the log says. */
  async #next(topic: Topic, number: number, reader: Reader): Promise<Slice | null> {
    const operation = { kind: 'read', process: this.name, topic, partition: number } as const
    await this.#pause(this.#latency(operation))
    const partition = this.#store.partition(topic, number)
    if (reader.broken) {
      const now = partition.bounds().high
      throw new PipelineError('RECREATED', `${topic}/${number} has lost what its reader at ${reader.next} had read (it now ends at ${now})`)
    }
    const available = partition.available(reader.next)
    if (available === 0) return null
    this.#checkFault(operation)
    const slice = partition.slice(reader.next, Math.max(1, this.#store.options.slices(available, topic, number, reader.next)))
    if (slice) reader.next = slice.next
    return this.#alive(Promise.resolve(slice))
  }

  async #leaderOf(name: string, seat: Seat, tenure: Tenure, progress: Progress): Promise<Owned> {
    if (name === LEADER_WITH_STATE) return this.#takeOver(seat, { signal: tenure.stop.signal, topic: 'leases', partition: 0, progress })
    return leadWithoutState(name, ++seat.epoch, tenure.stop.signal)
  }

  #takeOver(seat: Seat, of: Pick<TakeoverOptions, 'topic' | 'partition' | 'signal' | 'progress'>): Promise<Owned> {
    const store = this.#stateStore(seat, of.topic, of.partition)
    return this.#alive(takeOver({ store, ...of, partitions: this.partitions, key: this.#key }))
  }

  #stateStore(seat: Seat, topic: 'state' | 'leases', partition: number): StateStore {
    const about = { process: this.name, topic, partition }
    const checkOwner = () => {
      if (seat.owner !== store) throw new PipelineError('FENCED', `another owner has taken over ${topic}/${partition}`)
    }
    const store: StateStore = {
      fence: async () => {
        this.#checkOpen()
        await this.#pause(this.#latency({ kind: 'fence', ...about }))
        this.#checkFault({ kind: 'fence', ...about })
        await this.#alive(Promise.resolve())
        seat.owner = store
        await this.#alive(this.#store.quiet())
      },
      read: async (each) => {
        await this.#pause(this.#latency({ kind: 'read', ...about }))
        this.#checkFault({ kind: 'read', ...about })
        await this.#alive(Promise.resolve())
        for (const { key, value } of this.#store.partition(topic, partition).live()) each(key, value!)
      },
      transact: (writes) => this.#transact(writes, { kind: 'commit', ...about }, checkOwner),
      bounds: (of, number) => this.bounds(of, number),
    }
    return store
  }

  /** Two checks of the owner: one so that a fenced one draws nothing, one at the very moment its writes land. */
  async #transact(writes: Iterable<Write>, operation: Operation, checkOwner: () => void): Promise<void> {
    this.#checkOpen()
    checkOwner()
    const drawn: Write[] = []
    for (const write of writes) {
      this.#store.partition(write.topic, write.partition)
      if (drawn.push(write) % DRAWN_AT_ONCE === 0) await this.#alive(Promise.resolve())
    }
    await this.#pause(this.#latency(operation))
    const failure = this.#failure(operation)
    const doubt = new PipelineError('IN_DOUBT', `the commit to ${operation.topic}/${operation.partition} got no answer`)
    if (failure === 'DOUBT_LOST') throw doubt
    if (failure !== undefined && failure !== 'DOUBT_STORED') throw failed(operation, failure)
    const group = new Group(this.name, drawn, checkOwner)
    await this.#alive(this.#lane.pass(0, () => this.#write(group)))
    await this.#alive(group.flushed)
    if (failure === 'DOUBT_STORED') throw doubt
  }

  #write(group: Group): void {
    if (this.#state === 'crashed') return
    this.#queue.add(group)
    this.#last = group
    const settled = () => {
      if (this.#last === group) this.#last = undefined
    }
    group.flushed.then(settled, settled)
  }

  /** Waits for the seat, works while it is held, and lets go. */
  async #hold(seat: Seat, candidate: Candidate, signal: AbortSignal, work: (tenure: Tenure) => Promise<void>): Promise<void> {
    const tenure = await this.#alive(seat.turn(candidate, signal))
    if (!tenure) return
    const stop = () => tenure.stop.abort()
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop() // meanwhile
    try {
      await this.#alive(work(tenure))
    } finally {
      signal.removeEventListener('abort', stop)
      seat.end(tenure)
    }
  }

  #untilStopped(what: string, signal: AbortSignal, work: (progress: Progress) => Promise<void>): Promise<void> {
    // The pause is no call of this handle, and ends in a dead process too: it must not become a candidate again.
    return untilStopped((progress) => (this.#state === 'crashed' ? never() : this.#alive(work(progress))), {
      clock: this.#store.options.clock,
      signal,
      passing: ({ code, message }, pauseMs) => {
        this.#logger?.warn({ what, process: this.name, code, pauseMs }, `taken over anew: ${message}`)
      },
    })
  }

  /** Runs until `signal` aborts or the handle closes. */
  async #run(signal: AbortSignal, work: (stop: AbortController) => Promise<void>): Promise<void> {
    this.#checkOpen()
    if (this.#state === 'crashed') return never()
    const { stop, release } = stopWith([signal, this.#closing.signal])
    const running = work(stop)
    this.#running.add(running)
    try {
      await this.#alive(running)
    } finally {
      this.#running.delete(running)
      release()
    }
  }

  async #pause(ms: number): Promise<void> {
    if (ms > 0) await this.#alive(delay(this.#store.options.clock, ms))
  }

  /** Settles as `promise` does, unless the process has crashed by then: then never. */
  #alive<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => this.#state !== 'crashed' && resolve(value),
        (error: unknown) => this.#state !== 'crashed' && reject(error),
      )
    })
  }

  #checkOpen(): void {
    if (this.#state === 'closed') throw new PipelineError('CLOSED', `the log handle ${this.name} is closed`)
  }

  #latency(operation: Operation): number {
    return this.#store.options.faults.latency?.(operation) ?? 0
  }

  #failure(operation: Operation): Failure | undefined {
    return this.#store.options.faults.fail?.(operation)
  }

  #checkFault(operation: Operation): void {
    const failure = this.#failure(operation)
    if (failure !== undefined) throw failed(operation, failure)
  }
}

function failed({ kind, topic, partition }: Operation, failure: Failure): PipelineError {
  const code = failure === 'DISK_FULL' ? 'DISK_FULL' : 'IO'
  const reason = code === 'IO' ? 'an input or output error' : 'the disk is full'
  return new PipelineError(code, `${kind} of ${topic}/${partition} failed: ${reason}`)
}

function never(): Promise<never> {
  return new Promise(() => {})
}
