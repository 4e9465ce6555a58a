/** A bell: those who wait for a log to grow, or for a seat in it, are woken by it all at once, in the turn of the change. */

export class Bell {
  #waiting = new Set<() => void>()
  #rung = 0

  /** To be taken before looking for what one waits for, so that a ring between the look and the wait is not missed. */
  ticket(): number {
    return this.#rung
  }

  ring(): void {
    this.#rung++
    const waiting = this.#waiting
    this.#waiting = new Set()
    for (const wake of waiting) wake()
  }

  /** Resolves at the first ring after `ticket` was taken, or when `signal` aborts. */
  wait(ticket: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted || ticket !== this.#rung) return resolve()
      const wake = () => {
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }
}
