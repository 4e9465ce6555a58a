/** What the tests of the journal open, write and look at: a journal on a disk in memory, its owners, its readers. */
import type { Damage } from '../../../src/log/journal/damage.ts'
import { openJournal } from '../../../src/log/journal/journal.ts'
import type { Journal, JournalOptions } from '../../../src/log/journal/journal.ts'
import type { Log, LogRecord, Owned, Restored, StoredRecord, Topic, Write } from '../../../src/log/log.ts'
import type { LogFields, Logger } from '../../../src/ops/logger.ts'
import { systemRandom } from '../../../src/ops/random.ts'
import { ManualClock, settle } from '../../clock.ts'
import { Disk } from './disk.ts'

export interface Opened {
  readonly journal: Journal
  readonly clock: ManualClock
  readonly damages: Damage[]
  /** kill −9. */
  end(): void
}

export async function openOn(disk: Disk, options: Partial<JournalOptions> = {}): Promise<Opened> {
  const clock = new ManualClock()
  const damages: Damage[] = []
  const mount = disk.mount()
  const defaults = { path: disk.folder, files: mount, partitions: 2, key: 'device', reserveBytes: 0, clock, random: systemRandom, onDamage: (damage: Damage) => damages.push(damage) }
  return { journal: await openJournal({ ...defaults, ...options }), clock, damages, end: () => mount.end() }
}

export function record(value: string, key = ''): LogRecord {
  return { key, value: Buffer.from(value) }
}

export function put(topic: Topic, partition: number, key: string, value: string | null = key): Write {
  return { topic, partition, key, value: value === null ? null : Buffer.from(value) }
}

export async function append(log: Log, topic: Topic, partition: number, ...texts: string[]): Promise<void> {
  await (await log.append(topic, partition, texts.map((value) => record(value)))).flushed
}

/** What a partition holds, and what of it was lost on the way. */
export async function all(log: Pick<Log, 'read'>, topic: Topic, partition: number): Promise<{ records: StoredRecord[]; lost: number }> {
  const records: StoredRecord[] = []
  let lost = 0
  for (let from = 0; ; ) {
    const slice = await log.read(topic, partition, from, 1_000)
    if (!slice) return { records, lost }
    records.push(...slice.records)
    lost += slice.lost
    from = slice.next
  }
}

export async function values(log: Pick<Log, 'read'>, topic: Topic, partition: number): Promise<string[]> {
  return (await all(log, topic, partition)).records.map(({ value }) => text(value))
}

export function text(bytes: Uint8Array | null): string {
  return bytes ? Buffer.from(bytes).toString() : ''
}

export interface Owner {
  readonly owned: Owned
  readonly restored: Restored
  readonly rows: ReadonlyMap<string, string>
  /** Lets go and waits until it has. */
  stop(): Promise<void>
}

/** Takes partition `number` over, or leads respond with 'leases', once. */
export async function own(log: Log, number: number | 'leases'): Promise<Owner> {
  const stop = new AbortController()
  const rows = new Map<string, string>()
  let took: (owner: Owner) => void = () => undefined
  let failed: (error: unknown) => void = () => undefined
  const taken = new Promise<Owner>((resolve, reject) => {
    took = resolve
    failed = reject
  })
  const take = async (owned: Owned) => {
    const restored = await owned.restore((key, value) => rows.set(key, text(value)))
    const end = async () => {
      stop.abort()
      await running
    }
    took({ owned, restored, rows, stop: end })
    return restored
  }
  const running = number === 'leases' ? lead(log, take, stop.signal) : consume(log, number, take, stop.signal)
  running.catch(failed)
  return taken
}

async function lead(log: Log, take: (owned: Owned) => Promise<Restored>, signal: AbortSignal): Promise<void> {
  await log.lead(
    'respond',
    async (owned) => {
      await take(owned)
      await new Promise<void>((resolve) => owned.signal.addEventListener('abort', () => resolve(), { once: true }))
    },
    signal,
  )
}

async function consume(log: Log, number: number, take: (owned: Owned) => Promise<Restored>, signal: AbortSignal): Promise<void> {
  const task = { process: async () => {}, close: async () => {} }
  await log.consume(async (owned) => {
    if (owned.number === number) await take(owned)
    return { task, from: (await log.bounds('readings', owned.number)).high }
  }, signal)
}

/** A logger and its lines, each after its level; `next` resolves at the next of a level. */
export class Lines implements Logger {
  readonly all: string[] = []
  #waiting: { readonly level: string; readonly tell: () => void }[] = []

  readonly debug = this.#writer('debug')
  readonly info = this.#writer('info')
  readonly warn = this.#writer('warn')
  readonly error = this.#writer('error')

  of(level: string): string[] {
    return this.all.filter((line) => line.startsWith(`${level} `))
  }

  next(level: string): Promise<void> {
    return new Promise((tell) => this.#waiting.push({ level, tell }))
  }

  #writer(level: string): (fields: LogFields, message: string) => void {
    return (_, message) => {
      this.all.push(`${level} ${message}`)
      for (const one of this.#waiting) if (one.level === level) one.tell()
    }
  }
}

/** Lets everything under way come to rest, as far as no timer is needed. */
export async function rest(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await settle()
}

/** A seeded stream of numbers in [0, 1): mulberry32. */
export function dice(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
