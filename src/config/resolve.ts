/** Layers of a class made one: what the class says, over what `default` says, over the built-in values. */
import type { ClassSettings, MetricSettings } from '../core/settings.ts'
import type { ClassLayer } from './schema.ts'

const DAY_MS = 86_400_000
const QUARANTINE_DEFAULTS = { from: 'critical', forMs: 600_000 } as const

/** The layer under all others. */
const CLASS_DEFAULTS: ClassSettings = {
  budget: { alarms: 1, perMs: 30 * DAY_MS },
  backfill: false,
  reports: 'periodic',
  heartbeatMs: null,
  silence: true,
  warmup: 300,
  quarantine: QUARANTINE_DEFAULTS,
  metrics: {},
}
const METRIC_DEFAULTS: MetricSettings = { unit: '', above: null, below: null, severity: 'major' }

/** Complete settings by class name; always has `default`. */
export function resolveClasses(layers: Readonly<Record<string, ClassLayer>>): Record<string, ClassSettings> {
  const base = over(CLASS_DEFAULTS, layers['default'] ?? {})
  const named = Object.entries(layers).filter(([name]) => name !== 'default')
  return Object.fromEntries([['default', base], ...named.map(([name, layer]) => [name, over(base, layer)] as const)])
}

/** `upper` where it says something, else `lower`; metrics and a quarantine's keys one by one. */
function over(lower: ClassSettings, upper: ClassLayer): ClassSettings {
  const metrics = new Map(Object.entries(lower.metrics))
  for (const [name, layer] of Object.entries(upper.metrics ?? {})) {
    const { unit, above, below, severity } = metrics.get(name) ?? METRIC_DEFAULTS
    metrics.set(name, {
      unit: layer.unit ?? unit,
      above: layer.above ?? above,
      below: layer.below ?? below,
      severity: layer.severity ?? severity,
    })
  }
  return {
    budget: upper.budget ?? lower.budget,
    backfill: upper.backfill ?? lower.backfill,
    reports: upper.reports ?? lower.reports,
    heartbeatMs: upper.heartbeat ?? lower.heartbeatMs,
    silence: upper.silence ?? lower.silence,
    warmup: upper.warmup ?? lower.warmup,
    quarantine: quarantineOver(lower.quarantine, upper.quarantine),
    metrics: Object.fromEntries(metrics),
  }
}

function quarantineOver(lower: ClassSettings['quarantine'], upper: ClassLayer['quarantine']): ClassSettings['quarantine'] {
  if (upper === undefined) return lower
  if (upper === 'never') return null
  const under = lower ?? QUARANTINE_DEFAULTS
  return { from: upper.from ?? under.from, forMs: upper.for ?? under.forMs }
}
