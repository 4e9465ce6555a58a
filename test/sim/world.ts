/** The simulated world's time: one queue of events, run one by one; between two of them everything awaited settles. */
import type { Clock } from '../../src/ops/clock.ts'

interface Event {
  readonly due: number
  readonly order: number
  readonly run: () => void
  canceled: boolean
}

export class World {
  /** ms since the world began. */
  time = 0
  events = 0
  #order = 0
  readonly #heap: Event[] = []
  readonly #before: (() => void)[] = []

  /** Runs `run` after `ms`; those due at one moment in the order they were asked for. */
  after(ms: number, run: () => void): () => void {
    const event: Event = { due: this.time + Math.max(0, ms), order: this.#order++, run, canceled: false }
    push(this.#heap, event)
    return () => {
      event.canceled = true
    }
  }

  /** `run` is called right before the next event, so that what it starts runs in among that event's promises. */
  beforeNext(run: () => void): void {
    this.#before.push(run)
  }

  /** Runs events up to and at `end`, or until `done` says so, which is asked between events. */
  async run(end: number, done: () => boolean = () => false): Promise<void> {
    await settled()
    while (!done()) {
      const event = this.#heap[0]
      if (!event || event.due > end) {
        this.time = Math.max(this.time, end)
        return
      }
      pop(this.#heap)
      if (event.canceled) continue
      this.time = Math.max(this.time, event.due)
      this.events++
      for (const run of this.#before.splice(0)) run()
      event.run()
      await settled()
    }
  }
}

/** Microtasks, however many, all run before the next turn of Node's loop. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function isBefore(a: Event, b: Event): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order)
}

function push(heap: Event[], event: Event): void {
  let at = heap.push(event) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!isBefore(event, heap[parent]!)) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = event
}

function pop(heap: Event[]): void {
  const last = heap.pop()!
  if (heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
    if (!isBefore(heap[child]!, last)) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = last
}

/** When the world began, ms since epoch. */
export const EPOCH = 1_700_000_000_000

export interface Drift {
  /** Its second lasts so much too long or short. */
  readonly perMillion: number
}

/** A clock of one machine: runs a little fast or slow, its wall clock can be set, and what it was to run dies with its process. */
export class SimClock implements Clock {
  readonly #world: World
  readonly #rate: number
  #offset = 0

  constructor(world: World, { perMillion }: Drift = { perMillion: 0 }) {
    this.#world = world
    this.#rate = 1 + perMillion / 1e6
  }

  now(): number {
    return Math.floor(EPOCH + this.#offset + this.#world.time * this.#rate)
  }

  monotonic(): number {
    return this.#world.time * this.#rate
  }

  after(ms: number, run: () => void): () => void {
    return this.#world.after(ms / this.#rate, run)
  }

  /** ms by which the wall clock was set wrong. */
  get offset(): number {
    return this.#offset
  }

  /** Sets the wall clock, and nothing else. */
  set(offset: number): void {
    this.#offset = offset
  }
}

/** The clock as a process sees it: its timers end with it. */
export function mortal(clock: Clock, isAlive: () => boolean): Clock {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (ms, run) =>
      clock.after(ms, () => {
        if (isAlive()) run()
      }),
  }
}
