/** A seat: a partition or a leader's name, which one candidate at a time may hold; here the memory log decides who does. */
import type { Clock } from '../../ops/clock.ts'
import { Bell } from '../bell.ts'

/** One call of `consume` or `lead`. */
export interface Candidate {
  /** The log handle it was called on. */
  readonly process: object
}

/** One time of holding the seat, until it is lost or let go. */
export interface Tenure {
  readonly candidate: Candidate
  readonly stop: AbortController
}

export class Seat {
  /** Who fenced last: its commits alone land. */
  owner: object | undefined
  /** Takeovers of a leader without state. */
  epoch = 0
  readonly #clock: Clock
  readonly #takeoverMs: number
  readonly #bell = new Bell()
  readonly #candidates: Candidate[] = []
  readonly #tenures = new Set<Tenure>()
  #holder: Candidate | undefined
  #assigned: object | undefined
  /** The tenure of a holder that was told to go, until it has. */
  #leaving: Tenure | undefined
  /** Cancels the wait for an old holder that was told to go, or has crashed. */
  #vacating: (() => void) | undefined

  /** `takeoverMs`: how long a crash goes unnoticed, and how long a holder that was told to go may take. */
  constructor(clock: Clock, takeoverMs: number) {
    this.#clock = clock
    this.#takeoverMs = takeoverMs
  }

  join(candidate: Candidate): void {
    this.#candidates.push(candidate)
    this.#elect()
  }

  leave(candidate: Candidate): void {
    if (this.#remove(candidate)) this.#elect()
  }

  /** Everybody of a process is gone; after a crash it takes a while until that is noticed. */
  drop(process: object, how: 'closed' | 'crashed'): void {
    if (this.#assigned === process) this.#assigned = undefined
    const gone = this.#candidates.filter((candidate) => candidate.process === process)
    for (const candidate of gone) {
      if (this.#remove(candidate) && how === 'crashed') this.#vacate()
    }
    for (const tenure of this.#tenures) if (tenure.candidate.process === process) this.#tenures.delete(tenure)
    this.#elect()
  }

  /** The process that holds it, from the takeover to its end. */
  get sitting(): object | undefined {
    for (const { candidate, stop } of this.#tenures) if (candidate === this.#holder && !stop.signal.aborted) return candidate.process
    return undefined
  }

  /** Waits until `candidate` holds the seat; undefined when `signal` aborts first. */
  async turn(candidate: Candidate, signal: AbortSignal): Promise<Tenure | undefined> {
    while (!signal.aborted) {
      if (this.#holder === candidate) {
        const tenure = { candidate, stop: new AbortController() }
        this.#tenures.add(tenure)
        return tenure
      }
      await this.#bell.wait(this.#bell.ticket(), signal)
    }
    return undefined
  }

  end(tenure: Tenure): void {
    tenure.stop.abort()
    this.#tenures.delete(tenure)
    if (this.#leaving === tenure) this.#vacated()
  }

  /** Gives the seat to a process, and to no other while that lives. Without `notice` the old holder goes on as if nothing had happened. */
  assign(process: object, options: { readonly notice: boolean }): void {
    const old = this.#holder
    this.#assigned = process
    if (old?.process === process) return
    this.#holder = undefined
    const tenure = [...this.#tenures].find((one) => one.candidate === old)
    if (!options.notice || !tenure) return this.#vacated()
    this.#vacate()
    this.#leaving = tenure
    tenure.stop.abort()
  }

  /** A process learns which seats it no longer holds. */
  notice(process: object): void {
    for (const tenure of this.#tenures) {
      if (tenure.candidate.process === process && tenure.candidate !== this.#holder) tenure.stop.abort()
    }
  }

  /** Whoever holds the seat has to take it over anew. */
  revoke(): void {
    this.owner = undefined
    for (const tenure of this.#tenures) tenure.stop.abort()
  }

  /** True when it held the seat. */
  #remove(candidate: Candidate): boolean {
    const index = this.#candidates.indexOf(candidate)
    if (index >= 0) this.#candidates.splice(index, 1)
    if (this.#holder !== candidate) return false
    this.#holder = undefined
    return true
  }

  #vacate(): void {
    this.#vacating?.()
    this.#vacating = this.#clock.after(this.#takeoverMs, () => this.#vacated())
  }

  #vacated(): void {
    this.#vacating?.()
    this.#vacating = undefined
    this.#leaving = undefined
    this.#elect()
  }

  #elect(): void {
    if (this.#holder || this.#vacating) return
    this.#holder = this.#candidates.find((candidate) => !this.#assigned || candidate.process === this.#assigned)
    if (this.#holder) this.#bell.ring()
  }
}
