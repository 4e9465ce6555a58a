/** The gate before the queues: how many messages and bytes may be under way at once, and who waits meanwhile. */
import { PipelineError } from '../core/errors.ts'
import type { IngestLimits } from './limits.ts'

interface Waiter {
  readonly bytes: number
  readonly enter: () => void
  readonly refuse: (error: unknown) => void
}

/** First come, first served, so that no device's messages overtake each other. */
export class Admission {
  private readonly bound: IngestLimits['queue']
  private messages = 0
  private bytes = 0
  private waiters: Waiter[] = []
  /** Of the first that still waits. */
  private head = 0

  constructor(bound: IngestLimits['queue']) {
    this.bound = bound
  }

  /** Whether one more may enter at once. While anybody waits there is none. */
  hasRoom(): boolean {
    return this.messages < this.bound.messages && this.bytes < this.bound.bytes
  }

  /** Takes a place. `leave` gives it back. */
  enter(bytes: number): void {
    this.messages++
    this.bytes += bytes
  }

  /** One that entered turned out to be so many more. `shrink` gives their places back, before it leaves. */
  grow(messages: number): void {
    this.messages += messages
  }

  shrink(messages: number): void {
    this.messages -= messages
  }

  /**
   * Runs `enter` with a place taken, when there is one. At most as many wait as may be under way; sources hold back by themselves long
   * before. Beyond that `refuse` is called.
   */
  wait(bytes: number, enter: () => void, refuse: (error: unknown) => void): void {
    if (this.waiting >= this.bound.messages) {
      refuse(new PipelineError('UNAVAILABLE', `${this.waiting} messages wait to be taken in already`))
      return
    }
    this.waiters.push({ bytes, enter, refuse })
  }

  /** May run the `enter` of those who wait, and these may leave again at once. */
  leave(bytes: number): void {
    this.messages--
    this.bytes -= bytes
    while (this.waiting > 0 && this.messages < this.bound.messages && this.bytes < this.bound.bytes) {
      const next = this.waiters[this.head++]!
      if (this.head === this.waiters.length) {
        this.waiters = []
        this.head = 0
      }
      this.enter(next.bytes)
      next.enter()
    }
  }

  private get waiting(): number {
    return this.waiters.length - this.head
  }
}
