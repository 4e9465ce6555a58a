/** The clock a simulated device carries: a little off and a little fast or slow, as crystals are; or run away. Its event times come from it. */
import type { Prng } from './prng.ts'

/** An ordinary clock, kept by NTP: so far off at most, ms, and so fast or slow at most, parts a million. */
const OFF_MOST_MS = 30
const DRIFT_MOST_PPM = 40
/** A divider of the oscillator has failed: so many seconds go by in each true one. */
const RUNAWAY_FROM = 15
const RUNAWAY_TO = 40

export class DeviceClock {
  readonly #offMs: number
  readonly #drift: number
  readonly #runaway: number

  constructor(prng: Prng) {
    this.#offMs = prng.between(-OFF_MOST_MS, OFF_MOST_MS)
    this.#drift = prng.between(-DRIFT_MOST_PPM, DRIFT_MOST_PPM) / 1e6
    this.#runaway = prng.between(RUNAWAY_FROM, RUNAWAY_TO)
  }

  /** How far it is ahead of the true time, ms, so many ms after the fleet's start. `runFor`: for how long it has been running away by then, ms; 0 while it has not. */
  ahead(at: number, runFor: number): number {
    return this.#offMs + this.#drift * at + (this.#runaway - 1) * runFor
  }
}
