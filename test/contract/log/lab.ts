/** What the cases of the log contract work with: logs, owners and readers over one store, whose time moves only when a case waits. */
import { PipelineError } from '../../../src/core/errors.ts'
import { offsetKey } from '../../../src/log/log.ts'
import type { Cut, Log, LogRecord, Opened, Owned, Partition, Restored, Slice, StoredRecord, Topic, Write } from '../../../src/log/log.ts'
import type { LogHarness, OpenOptions } from './harness.ts'

export type Need = 'many processes' | 'stalled flushes'

export interface Case {
  readonly it: string
  readonly needs?: readonly Need[]
  run(lab: Lab): Promise<void>
}

/** A promise looked at from outside. */
export interface Watched<T> {
  state: 'pending' | 'resolved' | 'rejected'
  value?: T
  error?: unknown
}

/** One takeover of a partition or name, as its holder saw it. */
export interface Term {
  readonly owned: Owned
  /** −1 for a leader. */
  readonly partition: number
  readonly restored: Restored
  readonly rows: ReadonlyMap<string, string>
  readonly slices: Slice[]
  closed: number
}

export interface Script {
  /** After the fence, before `restore`. */
  readonly fenced?: (owned: Owned, partition: number) => Promise<void>
  /** After `restore`, before the first slice; a leader leads until it resolves (left out: until its signal aborts). */
  readonly restored?: (term: Term) => Promise<void>
  readonly process?: (term: Term, slice: Slice) => Promise<void>
  readonly closing?: (term: Term) => Promise<void>
  /** Where slices start; the restored place where left out. */
  readonly from?: (term: Term) => number
}

const LONGEST_WAIT_MS = 20_000

export class Lab {
  readonly harness: LogHarness
  readonly #stops: AbortController[] = []

  constructor(harness: LogHarness) {
    this.harness = harness
  }

  /** Why a case can't run here; undefined when it can. */
  missing(needs: readonly Need[]): string | undefined {
    if (needs.includes('many processes') && this.harness.processes === 'one') return 'one process at a time'
    if (needs.includes('stalled flushes') && !this.harness.stall) return 'append and flush are one'
    return undefined
  }

  open(options?: OpenOptions): Promise<Log> {
    return this.settle(this.harness.open(options))
  }

  /** Lets the log's time pass until `condition` holds. */
  async until(condition: () => boolean, what = condition.toString()): Promise<void> {
    const { stepMs = 10 } = this.harness
    for (let waited = 0; waited < LONGEST_WAIT_MS; waited += stepMs) {
      if (condition()) return
      await this.harness.advance(stepMs)
    }
    throw new Error(`never came true: ${what}`)
  }

  /** Lets the log's time pass until `promise` settles, and gives its outcome. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    const outcome = watch(promise)
    await this.until(() => outcome.state !== 'pending', 'a promise that settles')
    return promise
  }

  /** What `promise` rejects with; undefined when it resolves. */
  async failure(promise: Promise<unknown>): Promise<unknown> {
    const outcome = watch(promise)
    await this.until(() => outcome.state !== 'pending', 'a promise that settles')
    return outcome.error
  }

  /** Gives everything under way the time to finish, and what must not happen the time to happen. */
  quiet(): Promise<void> {
    return this.harness.advance(200)
  }

  consume(log: Log, script: Script = {}): Holder {
    const holder = this.#holder()
    const open = async (owned: Partition): Promise<Opened> => {
      const term = await holder.begin(owned, owned.number, script)
      const next = term.restored.next.get(offsetKey('readings', owned.number)) ?? 0
      const process = async (slice: Slice) => {
        await script.process?.(term, slice)
        term.slices.push(slice)
      }
      const close = async () => {
        term.closed++
        await script.closing?.(term)
      }
      return { task: { process, close }, from: script.from?.(term) ?? next }
    }
    holder.ended = watch(log.consume(open, holder.stop.signal))
    return holder
  }

  lead(log: Log, name: string, script: Script = {}): Holder {
    const holder = this.#holder()
    const run = async (owned: Owned) => {
      const term = await holder.begin(owned, -1, script)
      if (!script.restored) await aborted(owned.signal)
      term.closed++
      await script.closing?.(term)
    }
    holder.ended = watch(log.lead(name, run, holder.stop.signal))
    return holder
  }

  tail(log: Log, topic: Topic, from: ReadonlyMap<number, number> = new Map(), each?: (slice: Slice) => Promise<void>): Tail {
    const stop = this.#stop()
    const slices: Slice[] = []
    const take = async (slice: Slice) => {
      await each?.(slice)
      slices.push(slice)
    }
    return { stop, slices, ended: watch(log.tail(topic, from, take, stop.signal)) }
  }

  async append(log: Log, topic: Topic, partition: number, ...values: string[]): Promise<number> {
    const { offset } = await this.settle(log.append(topic, partition, values.map((value) => record(value, value))))
    return offset
  }

  /** Everything that is in a partition. */
  async all(log: Log, topic: Topic, partition: number): Promise<StoredRecord[]> {
    const records: StoredRecord[] = []
    for (let from = 0; ;) {
      const slice = await this.settle(log.read(topic, partition, from, 100))
      if (!slice) return records
      records.push(...slice.records)
      from = slice.next
    }
  }

  async values(log: Log, topic: Topic, partition: number): Promise<string[]> {
    return (await this.all(log, topic, partition)).map((one) => text(one.value))
  }

  /** Appends 200 records to `readings/0` as `harness.trim` wants them, has retention take some, and gives what is the oldest kept then. */
  async trimmed(log: Log): Promise<number> {
    const padding = 'x'.repeat(1_000)
    for (let n = 0; n < 200; n++) {
      const { flushed } = await this.settle(log.append('readings', 0, [record(`${n}`, padding)]))
      if (n % 10 === 9) await this.settle(flushed)
    }
    await this.settle(this.harness.trim(log, 'readings', 0, 150))
    return (await this.settle(log.bounds('readings', 0))).low
  }

  async close(): Promise<void> {
    for (const stop of this.#stops) stop.abort()
    await this.harness.advance(0)
    await this.harness.close()
  }

  #holder(): Holder {
    return new Holder(this, this.#stop())
  }

  #stop(): AbortController {
    const stop = new AbortController()
    this.#stops.push(stop)
    return stop
  }
}

export interface Tail {
  readonly stop: AbortController
  readonly slices: Slice[]
  readonly ended: Watched<void>
}

/** One call of `consume` or `lead`, and the terms it was given. */
export class Holder {
  readonly terms: Term[] = []
  readonly stop: AbortController
  ended: Watched<void> = { state: 'pending' }
  readonly #lab: Lab

  constructor(lab: Lab, stop: AbortController) {
    this.#lab = lab
    this.stop = stop
  }

  async begin(owned: Owned, partition: number, script: Script): Promise<Term> {
    await script.fenced?.(owned, partition)
    const rows = new Map<string, string>()
    const restored = await owned.restore((key, value) => {
      if (rows.has(key)) throw new Error(`${key} was given twice`)
      rows.set(key, text(value))
    })
    const term: Term = { owned, partition, restored, rows, slices: [], closed: 0 }
    this.terms.push(term)
    await script.restored?.(term)
    return term
  }

  /** Waits for the `nth` takeover (from 0) of a partition; −1: of the name led. */
  async term(partition = 0, nth = 0): Promise<Term> {
    const found = () => this.terms.filter((term) => term.partition === partition)[nth]
    await this.#lab.until(() => found() !== undefined, `takeover ${nth} of partition ${partition}`)
    return found()!
  }

  led(nth = 0): Promise<Term> {
    return this.term(-1, nth)
  }

  /** Stops it and waits for its end. */
  async finish(): Promise<void> {
    this.stop.abort()
    await this.#lab.until(() => this.ended.state !== 'pending', 'the end of consume or lead')
  }
}

export function watch<T>(promise: Promise<T>): Watched<T> {
  const watched: Watched<T> = { state: 'pending' }
  promise.then(
    (value) => Object.assign(watched, { state: 'resolved', value }),
    (error: unknown) => Object.assign(watched, { state: 'rejected', error }),
  )
  return watched
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

export function record(key: string, value: string): LogRecord {
  return { key, value: Buffer.from(value) }
}

export function text(value: Uint8Array | null): string {
  return value === null ? '(deleted)' : Buffer.from(value).toString('utf8')
}

/** A write of `key` with itself or `value` as its value; null deletes. */
export function put(topic: Topic, partition: number, key: string, value: string | null = key): Write {
  return { topic, partition, key, value: value === null ? null : Buffer.from(value) }
}

/** The place `next` in `readings/partition`. */
export function cut(partition: number, next: number, incarnation = 'a'): Cut {
  return { next: new Map([[offsetKey('readings', partition), next]]), incarnation }
}

/** Every record of the slices, in order. */
export function recordsOf(slices: readonly Slice[]): StoredRecord[] {
  return slices.flatMap((slice) => [...slice.records])
}

/** What a task throws to be taken over anew. */
export function passing(): PipelineError {
  return new PipelineError('IO', 'passing trouble, made by the test')
}
