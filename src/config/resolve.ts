/** Layers as they are written → as the settings hold them; those of classes made whole over `default` and the built-in values. */
import { CLASS_DEFAULTS, overlay, type ClassSettings, type Layer } from '../core/settings.ts'
import type { ClassLayer, LayerText } from './schema.ts'

/** Complete settings by class name; always has `default`. */
export function resolveClasses(layers: Readonly<Record<string, ClassLayer>>): Record<string, ClassSettings> {
  const base = classOver(CLASS_DEFAULTS, layers['default'] ?? {})
  return { default: base, ...mapped(layers, (layer, name) => (name === 'default' ? base : classOver(base, layer))) }
}

/** A class that says anything of quarantine but `never` lifts a `never` of `default`, where a site must name the severity. */
function classOver(lower: ClassSettings, upper: ClassLayer): ClassSettings {
  const isLifted = upper.quarantine !== undefined && upper.quarantine !== 'never'
  const quarantine = isLifted ? (lower.quarantine ?? CLASS_DEFAULTS.quarantine) : lower.quarantine
  return overlay({ ...lower, quarantine, budget: upper.budget ?? lower.budget }, layerOf(upper))
}

/** Only what was written, so that equal layers have equal text. */
export function layerOf(written: LayerText): Layer {
  const { quarantine } = written
  return defined({
    backfill: written.backfill,
    reports: written.reports,
    heartbeatMs: written.heartbeat,
    silence: written.silence,
    warmup: written.warmup,
    quarantine: quarantine === 'never' ? null : quarantine && defined({ from: quarantine.from, forMs: quarantine.for }),
    timezone: written.timezone,
    metrics: written.metrics && mapped(written.metrics, (metric) => defined(metric)),
  })
}

export function mapped<From, To>(record: Readonly<Record<string, From>>, change: (one: From, name: string) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([name, one]) => [name, change(one, name)]))
}

function defined<Written extends object>(written: Written): { [Key in keyof Written]?: Exclude<Written[Key], undefined> } {
  return Object.fromEntries(Object.entries(written).filter(([, value]) => value !== undefined)) as ReturnType<typeof defined<Written>>
}
