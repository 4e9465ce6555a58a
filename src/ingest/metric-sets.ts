/** Which metrics each device has brought so far, so that one that invents them without end is stopped at its limit. */
import type { Field } from '../core/message.ts'
import type { IngestLimits } from './limits.ts'

/** Remembers the devices seen last; a forgotten one starts anew. What is admitted here is still bounded by detect's capacity. */
export class MetricSets {
  private readonly limits: Pick<IngestLimits, 'metricsPerDevice' | 'knownDevices'>
  /** Least recently seen first. */
  private readonly devices = new Map<string, Set<string>>()

  constructor(limits: Pick<IngestLimits, 'metricsPerDevice' | 'knownDevices'>) {
    this.limits = limits
  }

  /** The fields whose metrics are known or still find a place: `fields` itself when that is all of them. */
  admit(device: string, fields: readonly Field[]): readonly Field[] {
    const metrics = this.touch(device)
    let admitted = 0
    for (const { metric } of fields) {
      if (!metrics.has(metric) && metrics.size < this.limits.metricsPerDevice) metrics.add(metric)
      if (metrics.has(metric)) admitted++
    }
    return admitted === fields.length ? fields : fields.filter(({ metric }) => metrics.has(metric))
  }

  private touch(device: string): Set<string> {
    const metrics = this.devices.get(device) ?? new Set<string>()
    this.devices.delete(device)
    this.devices.set(device, metrics)
    if (this.devices.size > this.limits.knownDevices) {
      const [oldest] = this.devices.keys()
      if (oldest !== undefined) this.devices.delete(oldest)
    }
    return metrics
  }
}
