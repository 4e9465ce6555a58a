/** Which metrics each device has brought lately, so that one that invents them without end is stopped at its limit. */
import type { Field } from '../core/message.ts'
import type { IngestLimits } from './limits.ts'

type Bounds = Pick<IngestLimits, 'metricsPerDevice' | 'knownDevices'>

interface Known {
  /** When each was seen last, to `step` exactly, ms. */
  readonly seen: Map<string, number>
  /** When those unseen for too long were looked for. */
  sweptAt: number
}

/** Of the time until a metric is forgotten: how exactly it is kept, and how often a full device is looked through. */
const STEPS = 16

/**
 * Remembers the devices seen last, and of each the metrics seen within `expireMs`, as detect does with its rows: a metric that was renamed
 * makes room. What is admitted here is still bounded by detect's capacity.
 */
export class MetricSets {
  readonly #bounds: Bounds
  readonly #expireMs: number
  readonly #step: number
  /** Least recently seen first. */
  readonly #devices = new Map<string, Known>()

  constructor(bounds: Bounds, expireMs: number) {
    this.#bounds = bounds
    this.#expireMs = expireMs
    this.#step = expireMs / STEPS
  }

  /** The fields whose metrics are known or still find a place at `now` (ms): `fields` itself when that is all of them. */
  admit(device: string, fields: readonly Field[], now: number): readonly Field[] {
    const known = this.#touch(device, now)
    let admitted = 0
    for (const { metric } of fields) if (this.#isAdmitted(known, metric, now)) admitted++
    return admitted === fields.length ? fields : fields.filter(({ metric }) => known.seen.has(metric))
  }

  #isAdmitted(known: Known, metric: string, now: number): boolean {
    const { seen } = known
    const last = seen.get(metric)
    if (last !== undefined && Math.abs(now - last) < this.#step) return true
    if (last === undefined && seen.size >= this.#bounds.metricsPerDevice) {
      this.#sweep(known, now)
      if (seen.size >= this.#bounds.metricsPerDevice) return false
    }
    seen.set(metric, now)
    return true
  }

  #sweep(known: Known, now: number): void {
    if (Math.abs(now - known.sweptAt) < this.#step) return
    known.sweptAt = now
    for (const [metric, last] of known.seen) if (now - last > this.#expireMs) known.seen.delete(metric)
  }

  #touch(device: string, now: number): Known {
    const known = this.#devices.get(device) ?? { seen: new Map<string, number>(), sweptAt: now }
    this.#devices.delete(device)
    this.#devices.set(device, known)
    if (this.#devices.size > this.#bounds.knownDevices) {
      const [oldest] = this.#devices.keys()
      if (oldest !== undefined) this.#devices.delete(oldest)
    }
    return known
  }
}
