/** A lane: what a process asks of the memory log takes effect in the order of the calls, however long each takes. */
import type { Clock } from '../../ops/clock.ts'

interface Passage {
  readonly due: number
  readonly work: () => void
}

export class Lane {
  readonly #clock: Clock
  readonly #queue: Passage[] = []
  #timer: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Runs `work` after `ms`, and not before what was asked earlier; in this very turn when nothing is in the way. */
  pass<T>(ms: number, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const passage = () => {
        try {
          resolve(work())
        } catch (error) {
          reject(error)
        }
      }
      if (ms <= 0 && this.#queue.length === 0) return passage()
      this.#queue.push({ due: this.#clock.monotonic() + ms, work: passage })
      this.#wait()
    })
  }

  /** Nothing that waits will take effect. */
  clear(): void {
    this.#queue.length = 0
    this.#timer?.()
    this.#timer = undefined
  }

  #wait(): void {
    const first = this.#queue[0]
    if (this.#timer || !first) return
    this.#timer = this.#clock.after(Math.max(0, first.due - this.#clock.monotonic()), () => {
      this.#timer = undefined
      const due = first.due
      while (this.#queue[0] && this.#queue[0].due <= due) this.#queue.shift()!.work()
      this.#wait()
    })
  }
}
