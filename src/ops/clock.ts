/** Port: time. Nothing else in `src` may ask the system for it, so that the simulation can move it by hand. */

export interface Clock {
  /** Wall clock, ms since epoch; may step back. */
  now(): number
  /** Never steps back; ms with fractions from an arbitrary start. */
  monotonic(): number
  /** Runs `run` once after at least `ms`, never within this call; returns what cancels it. */
  after(ms: number, run: () => void): () => void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    if (ms <= 0) {
      // A timer takes a millisecond at least; what is due at once runs when the events at hand are done.
      const turn = setImmediate(run)
      return () => clearImmediate(turn)
    }
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

/** Resolves after `ms`, or at once when `signal` aborts. */
export function delay(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = () => {
      cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(ms, done)
    signal?.addEventListener('abort', done, { once: true })
  })
}
