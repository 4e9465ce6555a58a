/** Alarms at wall-clock times: lease ends, deadlines of effects, hourly repeats. One a key; a stepped clock delays none for long. */
import type { Clock } from '../ops/clock.ts'

/** The wall clock is looked at again at least so often, ms: it may have been set forward meanwhile. */
const LOOK_AGAIN_MS = 60_000

export class Alarms {
  private readonly clock: Clock
  private readonly ring: (key: string) => void
  private readonly cancels = new Map<string, () => void>()

  /** `ring` is called once an alarm, at or after its time. */
  constructor(clock: Clock, ring: (key: string) => void) {
    this.clock = clock
    this.ring = ring
  }

  /** At `at`, ms since epoch; replaces the key's earlier alarm. */
  set(key: string, at: number): void {
    this.clear(key)
    const wait = Math.max(0, Math.min(at - this.clock.now(), LOOK_AGAIN_MS))
    this.cancels.set(
      key,
      this.clock.after(wait, () => {
        this.cancels.delete(key)
        if (this.clock.now() < at) this.set(key, at)
        else this.ring(key)
      }),
    )
  }

  clear(key: string): void {
    this.cancels.get(key)?.()
    this.cancels.delete(key)
  }

  clearAll(): void {
    for (const cancel of this.cancels.values()) cancel()
    this.cancels.clear()
  }
}
