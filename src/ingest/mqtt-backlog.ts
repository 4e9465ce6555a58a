/** Whether what a broker kept for a session is still coming in: what was not heard meanwhile says nothing about a device. */
import type { Clock } from '../ops/clock.ts'

/** Nothing came for so long, and nothing is under way: there is no more. Said shorter where no marker will come. */
const QUIET_MS = 10_000
const QUIET_WITHOUT_MARKER_MS = 2_000
/** A marker that has not come by then never will: 3.1.1 brokers don't tell when they refuse one. ms. */
const MARKER_MOST_MS = 300_000

/**
 * A marker that we publish to ourselves comes round behind everything the broker had queued for the session before it. Where the broker
 * refuses it, a pause in what comes has to do.
 */
export class Backlog {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #underWay: () => number
  readonly #since: number
  #marker: 'awaited' | 'refused' | 'came' = 'awaited'
  #lastCame: number

  /** Of one connection, from the moment it was accepted. */
  constructor(clock: Pick<Clock, 'monotonic'>, underWay: () => number) {
    this.#clock = clock
    this.#underWay = underWay
    this.#since = clock.monotonic()
    this.#lastCame = this.#since
  }

  /** A message came. */
  came(): void {
    this.#lastCame = this.#clock.monotonic()
  }

  markerCame(): void {
    this.#marker = 'came'
  }

  markerRefused(): void {
    if (this.#marker === 'awaited') this.#marker = 'refused'
  }

  get isMarkerAwaited(): boolean {
    return this.#marker === 'awaited'
  }

  /** To be asked again and again, at least once a second: once false it stays so. */
  isComing(): boolean {
    if (this.#marker === 'came') return false
    const now = this.#clock.monotonic()
    const quietMs = this.#marker === 'refused' ? QUIET_WITHOUT_MARKER_MS : QUIET_MS
    const isQuiet = this.#underWay() === 0 && now - this.#lastCame >= quietMs
    if (isQuiet || now - this.#since >= MARKER_MOST_MS) this.#marker = 'came'
    return this.#marker !== 'came'
  }
}
