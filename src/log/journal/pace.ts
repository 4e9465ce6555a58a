/** How fast rounds follow each other: at once as a rule; where so much comes that most of the work would be syncs, a little apart. */
import type { Clock } from '../../ops/clock.ts'

/** From about so much on, some 5,000 messages a second of 8 readings. */
const BUSY_BYTES_PER_SECOND = 2 * 1024 * 1024
/** Between the starts of two rounds then. A sync costs 100 to 170 µs of CPU, whatever it stores. */
const GAP_MS = 2
const LOOK_MS = 100

export class Pace {
  readonly #clock: Clock
  #isBusy = false
  #since: number
  #bytes = 0
  #started = 0
  #hurry: (() => void) | null = null

  constructor(clock: Clock) {
    this.#clock = clock
    this.#since = clock.monotonic()
  }

  /** A round of `bytes` begins. Gives the time, ms. */
  begin(bytes: number): number {
    const now = this.#clock.monotonic()
    this.#bytes += bytes
    this.#started = now
    if (now - this.#since >= LOOK_MS) {
      this.#isBusy = (this.#bytes * 1_000) / (now - this.#since) > BUSY_BYTES_PER_SECOND
      this.#since = now
      this.#bytes = 0
    }
    return now
  }

  /** Resolves when the next round may begin. */
  async gap(): Promise<void> {
    const left = GAP_MS - (this.#clock.monotonic() - this.#started)
    if (!this.#isBusy || left <= 0) return
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(left, resolve)
      this.#hurry = () => {
        cancel()
        // Not before those who append in this turn are done.
        queueMicrotask(() => process.nextTick(resolve))
      }
    })
    this.#hurry = null
  }

  /** Somebody waits: incidents, decisions, whoever asked for a flush. */
  hurry(): void {
    this.#hurry?.()
  }
}
