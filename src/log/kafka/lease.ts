/**
 * The lease of a member of a group: how long it may act on what it was given without having heard from the broker that it is a member
 * still. Counted from the *sending* of what was answered, so that an answer read late, by a process that stood still, renews nothing.
 */
import { PipelineError } from '../../core/errors.ts'
import type { Clock } from '../../ops/clock.ts'
import type { GroupTiming } from './options.ts'

/** Of the session, and of the time a member has to join again: what is left is for clocks that run unevenly and for what is under way. */
const SHARE = 2 / 3

interface Waiting {
  readonly since: number
  resolve(): void
  reject(error: Error): void
}

export interface LeaseOptions {
  readonly clock: Clock
  readonly timing: Pick<GroupTiming, 'sessionMs' | 'rebalanceMs'>
  /** For people: `the group picket.detect`. */
  readonly what: string
}

/**
 * A broker puts a member out in two ways: by its session when it hears nothing from it, and, while a rebalance is under way, by the
 * rebalance's own time when it doesn't join again. An answer that shows a rebalance therefore keeps the session alone.
 */
export class Lease {
  readonly #options: LeaseOptions
  readonly #ended = new AbortController()
  /** By `Clock.monotonic`: the broker keeps the session so long, and so long no rebalance can have ended without us. */
  #session: number
  #rebalance: number
  #cancel: () => void
  readonly #waiting = new Set<Waiting>()

  /** `sent`: by `Clock.monotonic`, before the request was made whose answer gave the lease. */
  constructor(sent: number, options: LeaseOptions) {
    this.#options = options
    this.#session = sent + SHARE * options.timing.sessionMs
    this.#rebalance = sent + SHARE * options.timing.rebalanceMs
    this.#cancel = this.#watch()
  }

  /** Aborts when it is over, which may be late; `holds` is the truth. */
  get signal(): AbortSignal {
    return this.#ended.signal
  }

  /** To be asked before every effect. Once false it stays so. */
  get holds(): boolean {
    if (!this.#ended.signal.aborted && this.#options.clock.monotonic() >= this.#until) this.end()
    return !this.#ended.signal.aborted
  }

  /** The broker answered, as to a member, what was sent at `sent`. `rebalancing`: and said that everybody has to join again. */
  renew(sent: number, { rebalancing }: { readonly rebalancing: boolean }): void {
    if (!this.holds) return
    this.#session = Math.max(this.#session, sent + SHARE * this.#options.timing.sessionMs)
    if (!rebalancing) this.#rebalance = Math.max(this.#rebalance, sent + SHARE * this.#options.timing.rebalanceMs)
    for (const waiting of this.#waiting) {
      if (sent < waiting.since) continue
      this.#waiting.delete(waiting)
      waiting.resolve()
    }
  }

  /** Resolves at the first renewal by what is sent from now on. Rejects with FENCED when it ends first. */
  confirmed(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.holds) return reject(this.error())
      this.#waiting.add({ since: this.#options.clock.monotonic(), resolve, reject })
    })
  }

  /** Over: by time, or because the broker said so. */
  end(): void {
    if (this.#ended.signal.aborted) return
    this.#cancel()
    this.#ended.abort()
    for (const waiting of this.#waiting) waiting.reject(this.error())
    this.#waiting.clear()
  }

  /** What whoever acts on it is refused with. */
  error(): PipelineError {
    return new PipelineError('FENCED', `this process may no longer act on what ${this.#options.what} gave it: it has lost touch, and others may hold it now`)
  }

  get #until(): number {
    return Math.min(this.#session, this.#rebalance)
  }

  #watch(): () => void {
    const { clock } = this.#options
    const look = () => {
      // It is pushed out once a heartbeat: looking again when it would have been over costs less than a new timer each time.
      if (this.holds) this.#cancel = this.#watch()
    }
    return clock.after(Math.max(1, this.#until - clock.monotonic()), look)
  }
}
