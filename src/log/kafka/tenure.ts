/** A tenure: one time of being given a partition by a group, and the questions that whoever works at it has to ask. */
import type { Lease } from './lease.ts'

/** Until it is let go or lost. */
export interface Tenure {
  readonly partition: number
  /** In which it was given; a later tenure has a higher one, unless the brokers forgot the group: an empty one, when no offset was committed. */
  readonly generation: number
  /** Aborts when it is to be let go, or is lost. */
  readonly signal: AbortSignal
  /** False when it is lost, or was let go. To be asked before every effect, though a timer aborts the signal, too. */
  isHeld(): boolean
  /** Throws FENCED when it is not held. */
  check(): void
  /** See `Owned.confirmed`. */
  confirmed(): Promise<void>
  /** Next offset to be worked through, for tools that show lag. */
  at(next: number): void
}

export interface HeldOptions {
  readonly partition: number
  readonly generation: number
  readonly lease: Lease
  /** Told what `at` is. */
  readonly at: (next: number) => void
  /** Told that somebody waits for `confirmed`. */
  readonly wait: () => void
}

/** The membership's own side of it. */
export class Held implements Tenure {
  readonly partition: number
  readonly generation: number
  readonly #options: HeldOptions
  readonly #stop = new AbortController()
  #isOver = false

  constructor(options: HeldOptions) {
    this.#options = options
    this.partition = options.partition
    this.generation = options.generation
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  isHeld(): boolean {
    return this.#options.lease.holds && !this.#isOver
  }

  check(): void {
    if (!this.isHeld()) throw this.#options.lease.error()
  }

  async confirmed(): Promise<void> {
    this.check()
    const confirmed = this.#options.lease.confirmed()
    this.#options.wait()
    await confirmed
    this.check()
  }

  at(next: number): void {
    if (this.isHeld()) this.#options.at(next)
  }

  revoke(): void {
    this.#stop.abort()
  }

  letGo(): void {
    this.#isOver = true
    this.#stop.abort()
  }
}
