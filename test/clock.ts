/** A clock moved by hand, for every test that has to do with time. */
import type { Clock } from '../src/ops/clock.ts'

interface Timer {
  readonly due: number
  readonly order: number
  readonly run: () => void
}

const MOST_TIMERS = 1_000_000

/** Timers run only inside `advance`, in the order they are due; those due at one moment in the order they were set. */
export class ManualClock implements Clock {
  /** Wall clock minus monotonic, ms. */
  private offset: number
  private elapsed = 0
  private order = 0
  private timers: Timer[] = []

  /** `start`: the wall clock at first, ms since epoch. */
  constructor(start = 1_700_000_000_000) {
    this.offset = start
  }

  now(): number {
    return this.offset + this.elapsed
  }

  monotonic(): number {
    return this.elapsed
  }

  after(ms: number, run: () => void): () => void {
    const timer = { due: this.elapsed + Math.max(0, ms), order: this.order++, run }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter((other) => other !== timer)
    }
  }

  /** Timers not yet run or cancelled. */
  get pending(): number {
    return this.timers.length
  }

  /** Steps the wall clock alone, as NTP or a person would. */
  step(ms: number): void {
    this.offset += ms
  }

  /** Moves time on by `ms` and runs what falls due, each timer at its own moment; between timers, and before and after, everything awaited settles. */
  async advance(ms: number): Promise<void> {
    const end = this.elapsed + ms
    await settle()
    for (let ran = 0; ; ran++) {
      if (ran > MOST_TIMERS) throw new Error(`more than ${MOST_TIMERS} timers ran in ${ms} ms: something sets itself again and again`)
      const next = this.timers.reduce<Timer | undefined>((first, timer) => (first && !isBefore(timer, first) ? first : timer), undefined)
      if (!next || next.due > end) break
      this.timers = this.timers.filter((timer) => timer !== next)
      this.elapsed = Math.max(this.elapsed, next.due)
      next.run()
      await settle()
    }
    this.elapsed = end
    await settle()
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.due - b.due < 0 || (a.due === b.due && a.order < b.order)
}

/** Lets every chain of promises run until it waits for something outside: a timer, the disk, the network. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
