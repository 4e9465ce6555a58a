/** A seat: a partition or a leader's name. This process alone has the journal open, so the first of its candidates sits, the next when it goes. */
import { Bell } from '../bell.ts'

/** One time of holding the seat, until it is lost or let go. */
export interface Tenure {
  readonly stop: AbortController
}

export class Seat {
  /** Who fenced last: its commits alone count. */
  owner: object | null = null
  /** Takeovers of a leader without state. */
  epoch = 0
  readonly #bell = new Bell()
  readonly #candidates: object[] = []
  readonly #tenures = new Set<Tenure>()

  join(candidate: object): void {
    this.#candidates.push(candidate)
  }

  leave(candidate: object): void {
    this.#candidates.splice(this.#candidates.indexOf(candidate), 1)
    this.#bell.ring()
  }

  /** Waits until `candidate` may sit; null when `signal` aborts first. */
  async turn(candidate: object, signal: AbortSignal): Promise<Tenure | null> {
    while (!signal.aborted) {
      const ticket = this.#bell.ticket()
      if (this.#candidates[0] === candidate) {
        const tenure = { stop: new AbortController() }
        this.#tenures.add(tenure)
        return tenure
      }
      await this.#bell.wait(ticket, signal)
    }
    return null
  }

  get taken(): boolean {
    return [...this.#tenures].some(({ stop }) => !stop.signal.aborted)
  }

  end(tenure: Tenure): void {
    tenure.stop.abort()
    this.#tenures.delete(tenure)
  }

  /** Whoever sits has to take over anew: records it may have seen are gone. */
  revoke(): void {
    this.owner = null
    for (const tenure of this.#tenures) tenure.stop.abort()
  }
}
