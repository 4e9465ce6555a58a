/** Owners, leaders and tails of the journal: who works through a partition, from takeover to takeover, and who reads along. */
import type { Clock } from '../../ops/clock.ts'
import type { PipelineError } from '../../core/errors.ts'
import type { Logger } from '../../ops/logger.ts'
import type { Opened, Offsets, Owned, Partition, Slice, Topic } from '../log.ts'
import { untilStopped } from '../retry.ts'
import type { Progress } from '../retry.ts'
import { ownAll, stopWith } from '../stopping.ts'
import { LEADER_WITH_STATE, leadWithoutState, takeOver } from '../takeover.ts'
import type { TakeoverOptions } from '../takeover.ts'
import type { Core } from './core.ts'
import type { Flusher } from './flush.ts'
import { Seat } from './seat.ts'
import type { Tenure } from './seat.ts'
import { stateStore } from './state-store.ts'

export interface OwningOptions {
  readonly core: Core
  readonly flusher: Flusher
  readonly clock: Clock
  readonly logger: Logger | undefined
  readonly partitions: number
  readonly key: string
  readonly chunkBytes: number
  /** Told of the place of every durable commit of a partition's or leader's state. */
  readonly onCut: (topic: 'state' | 'leases', partition: number, next: Offsets) => void
}

export class Owning {
  readonly #options: OwningOptions
  /** By `readings/NUMBER` or the leader's name: as many as the config names. */
  readonly #seats = new Map<string, Seat>()
  readonly #closing = new AbortController()
  readonly #running = new Set<Promise<unknown>>()
  #failure: PipelineError | null = null
  /** Until then, by `Clock.monotonic`, the last line about a full disk stands for all. */
  #toldFullUntil = 0

  constructor(options: OwningOptions) {
    this.#options = options
  }

  consume(open: (owned: Partition) => Promise<Opened>, signal: AbortSignal): Promise<void> {
    return this.#run(signal, (stop) => ownAll(this.#options.partitions, (number) => this.#own(number, open, stop.signal), stop))
  }

  lead(name: string, run: (owned: Owned) => Promise<void>, signal: AbortSignal): Promise<void> {
    const seat = this.#seat(name)
    const work = (progress: Progress) => async (tenure: Tenure) => run(await this.#leaderOf(name, seat, tenure.stop.signal, progress))
    return this.#run(signal, (stop) => this.#untilStopped(name, stop.signal, (progress) => this.#sit(seat, stop.signal, work(progress))))
  }

  tail(topic: Topic, from: ReadonlyMap<number, number>, each: (slice: Slice) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { core } = this.#options
    const bell = core.bell(topic)
    return this.#run(signal, async (stop) => {
      const readers = core.partitionsOf(topic).map((number) => ({ number, reader: core.enterReader(topic, number, from.get(number) ?? null) }))
      try {
        while (!stop.signal.aborted) {
          const ticket = bell.ticket()
          let idle = true
          for (const { number, reader } of readers) {
            const slice = await core.next(topic, number, reader)
            if (!slice || stop.signal.aborted) continue
            idle = false
            await each(slice)
          }
          if (idle) await bell.wait(ticket, stop.signal)
        }
      } finally {
        for (const { number, reader } of readers) core.leaveReader(topic, number, reader)
      }
    })
  }

  /** Somebody works at `readings/NUMBER`, or leads by that name. */
  isHeld(place: string): boolean {
    return this.#seats.get(place)?.taken ?? false
  }

  /** Records that owners may have worked with are gone: all of them take over anew. */
  revoke(): void {
    for (const seat of this.#seats.values()) seat.revoke()
  }

  /** Nobody can work here any more: all of them end, with `error`. */
  fail(error: PipelineError): void {
    this.#failure = error
    this.#closing.abort()
  }

  /** Tells all of them to end, and waits until they have. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.allSettled(this.#running)
  }

  async #own(number: number, open: (owned: Partition) => Promise<Opened>, signal: AbortSignal): Promise<void> {
    const place = `readings/${number}`
    const seat = this.#seat(place)
    const work = (progress: Progress) => async (tenure: Tenure) => {
      const owned = await this.#takeOver(seat, { signal: tenure.stop.signal, topic: 'state', partition: number, progress })
      await this.#workThrough(number, owned.signal, await open(Object.assign(owned, { number })))
    }
    await this.#untilStopped(place, signal, (progress) => this.#sit(seat, signal, work(progress)))
  }

  async #workThrough(number: number, signal: AbortSignal, { task, from }: Opened): Promise<void> {
    const { core } = this.#options
    const bell = core.bell('readings')
    const reader = core.enterReader('readings', number, from)
    try {
      for (;;) {
        const ticket = bell.ticket()
        const slice = await core.next('readings', number, reader)
        if (signal.aborted) break
        if (slice) await task.process(slice)
        else await bell.wait(ticket, signal)
      }
    } finally {
      core.leaveReader('readings', number, reader)
    }
    await task.close()
  }

  async #leaderOf(name: string, seat: Seat, signal: AbortSignal, progress: Progress): Promise<Owned> {
    if (name === LEADER_WITH_STATE) return this.#takeOver(seat, { signal, topic: 'leases', partition: 0, progress })
    return leadWithoutState(name, ++seat.epoch, signal)
  }

  #takeOver(seat: Seat, { topic, partition, signal, progress }: Pick<TakeoverOptions, 'topic' | 'partition' | 'signal' | 'progress'>): Promise<Owned> {
    const { core, flusher, partitions, key, chunkBytes } = this.#options
    const onCut = (next: Offsets) => this.#options.onCut(topic, partition, next)
    const store = stateStore({ core, flusher, seat, topic, partition, chunkBytes, onCut })
    return takeOver({ store, topic, partition, partitions, key, signal, progress })
  }

  /** Waits for the seat, works while it is held, and lets go. */
  async #sit(seat: Seat, signal: AbortSignal, work: (tenure: Tenure) => Promise<void>): Promise<void> {
    const candidate = {}
    seat.join(candidate)
    try {
      const tenure = await seat.turn(candidate, signal)
      if (!tenure) return
      const stop = () => tenure.stop.abort()
      signal.addEventListener('abort', stop, { once: true })
      if (signal.aborted) stop() // meanwhile
      try {
        await work(tenure)
      } finally {
        signal.removeEventListener('abort', stop)
        seat.end(tenure)
      }
    } finally {
      seat.leave(candidate)
    }
  }

  #untilStopped(what: string, signal: AbortSignal, work: (progress: Progress) => Promise<void>): Promise<void> {
    return untilStopped(work, { clock: this.#options.clock, signal, passing: (error, pauseMs) => this.#tell(what, error, pauseMs) })
  }

  /** All of them meet a full disk at once, and those it fenced have nothing to add: one line a retry. */
  #tell(what: string, { code, message }: PipelineError, pauseMs: number): void {
    const { clock, logger } = this.#options
    if (code === 'FENCED') return logger?.debug({ what, code, pauseMs }, message)
    if (code !== 'DISK_FULL') return logger?.warn({ what, code, pauseMs }, `taken over anew after a pause: ${message}`)
    const now = clock.monotonic()
    if (now < this.#toldFullUntil) return
    this.#toldFullUntil = now + pauseMs
    logger?.warn({ code, pauseMs }, `${message}; trying again after a pause`)
  }

  /** Runs until `signal` aborts or the journal closes. Throws what `work` throws, or why nobody can work any more. */
  async #run(signal: AbortSignal, work: (stop: AbortController) => Promise<void>): Promise<void> {
    this.#options.core.checkOpen()
    const { stop, release } = stopWith([signal, this.#closing.signal])
    const running = work(stop)
    this.#running.add(running)
    try {
      await running
    } catch (error) {
      throw this.#failure ?? error
    } finally {
      this.#running.delete(running)
      release()
    }
    if (this.#failure) throw this.#failure
  }

  #seat(name: string): Seat {
    let seat = this.#seats.get(name)
    if (!seat) this.#seats.set(name, (seat = new Seat()))
    return seat
  }
}
