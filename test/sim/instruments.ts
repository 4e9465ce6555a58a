/** Metrics and log lines of a simulated process: kept where a requirement or a failing seed needs them. */
import type { Logger, LogFields } from '../../src/ops/logger.ts'
import type { LabelValues, Metrics } from '../../src/ops/metrics.ts'
import type { World } from './world.ts'

/** Values by name and labels; histograms are left out. */
export class SimMetrics implements Metrics {
  readonly values = new Map<string, number>()

  counter(name: string) {
    return {
      add: (by: number, labels: LabelValues = {}) => {
        const key = keyOf(name, labels)
        this.values.set(key, (this.values.get(key) ?? 0) + by)
      },
    }
  }

  gauge(name: string) {
    return { set: (value: number, labels: LabelValues = {}) => void this.values.set(keyOf(name, labels), value) }
  }

  histogram() {
    return { observe: () => undefined }
  }

  /** Of one name over all labels. */
  sum(name: string): number {
    let sum = 0
    for (const [key, value] of this.values) if (key.startsWith(`${name} `)) sum += value
    return sum
  }
}

function keyOf(name: string, labels: LabelValues): string {
  return `${name} ${Object.values(labels).join(' ')}`
}

/** Lines for a person who looks into a seed; `write` is null when nobody does. */
export function simLogger(world: World, name: string, write: ((line: string) => void) | null): Logger {
  const text = (fields: LogFields) => JSON.stringify(fields, (_, value: unknown) => (value instanceof Error ? value.message : value))
  const at = (level: string) => (fields: LogFields, message: string) =>
    write?.(`${(world.time / 1000).toFixed(3)} ${name} ${level} ${message} ${text(fields)}`)
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
