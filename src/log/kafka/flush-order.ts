/** Tells appends that they are durable in the order in which they were called, over all topics, as the log port promises. */
import type { Clock } from '../../ops/clock.ts'

/** An append that was called and whose `flushed` is still to be told. */
export interface Place {
  /** It was stored, or it failed. To be called once. The promise resolves when all earlier ones were, too. */
  settle(): Promise<void>
}

interface Entry {
  isSettled: boolean
  resolve: () => void
}

/** Bounded by the appends under way. */
export class FlushOrder {
  readonly #clock: Clock
  /** In the order of the calls. */
  readonly #entries = new Set<Entry>()
  #scheduled = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  enter(): Place {
    const entry: Entry = { isSettled: false, resolve: () => {} }
    this.#entries.add(entry)
    return {
      settle: () => {
        entry.isSettled = true
        if (this.#first() === entry) {
          this.#entries.delete(entry)
          this.#schedule()
          return Promise.resolve()
        }
        return new Promise((resolve) => (entry.resolve = resolve))
      },
    }
  }

  #first(): Entry | undefined {
    return this.#entries.values().next().value
  }

  /** In a turn of its own, so that who was let go before has taken notice by then. */
  #schedule(): void {
    if (this.#scheduled || this.#first()?.isSettled !== true) return
    this.#scheduled = true
    this.#clock.after(0, () => {
      this.#scheduled = false
      for (const entry of this.#entries) {
        if (!entry.isSettled) return
        this.#entries.delete(entry)
        entry.resolve()
      }
    })
  }
}
