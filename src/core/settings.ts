/** What the config says about scores and response, after defaults are filled in: the body of a config control record. */
import type { Severity } from './incident.ts'

/** Detectors that a config may name, in the order of the default row. */
export const DETECTORS = ['level', 'season', 'drift', 'stuck', 'limits', 'silence', 'chart', 'rate', 'clock', 'shape'] as const

/** Name of the class that all others lie over. */
const DEFAULT_CLASS = 'default'
const MONTH_MS = 2_592_000_000

export interface MetricSettings {
  readonly unit: string
  /** A reading above it breaks the limit; null: no such limit. */
  readonly above: number | null
  readonly below: number | null
  /** Severity of the limit's incident. */
  readonly severity: Severity
}

export interface ClassSettings {
  /** False alarms a device may raise, and in which time. */
  readonly budget: { readonly alarms: number; readonly perMs: number }
  /** Event times are taken as they are, however old. */
  readonly backfill: boolean
  readonly reports: 'periodic' | 'on-change' | 'scheduled'
  /** Longest time between two messages of a healthy device, ms; null: learnt. */
  readonly heartbeatMs: number | null
  /** Raise silence incidents. */
  readonly silence: boolean
  /** Readings a series must have taught before it may raise an incident. */
  readonly warmup: number
  readonly quarantine: { readonly from: Severity; readonly forMs: number } | null
  /** IANA name of the zone whose clock the devices live by. */
  readonly timezone: string
  readonly metrics: Readonly<Record<string, MetricSettings>>
}

/**
 * What a site or a device says over its class; what it leaves out is the class's. No budget: false alarms are counted by class.
 * `quarantine: null` is never. A `never` of the class is lifted only by a layer that names `from`, not by one that names a length.
 */
export type Layer = Partial<Omit<ClassSettings, 'budget' | 'quarantine' | 'metrics'>> & {
  readonly quarantine?: { readonly from?: Severity; readonly forMs?: number } | null
  readonly metrics?: Readonly<Record<string, Partial<MetricSettings>>>
}

export interface Settings {
  /** Always has `default`; a device whose class is not named here is of class `default`. */
  readonly classes: Readonly<Record<string, ClassSettings>>
  /** By the label `site`, which a device has from its topic. */
  readonly sites: Readonly<Record<string, Layer>>
  /** By the device's name. */
  readonly devices: Readonly<Record<string, Layer>>
  /** Names of the detectors in the row, in row order. */
  readonly detectors: readonly string[]
  /** Rows a partition. */
  readonly capacity: { readonly devices: number; readonly series: number; readonly classes: number; readonly incidents: number }
  readonly limits: { readonly metricsPerDevice: number; readonly newSeriesPerMinute: number }
  /** How far an event time may lie from arrival, ms. */
  readonly toleranceMs: number
  /** Rows unseen for so long are freed at ticks, ms. */
  readonly expireMs: number
}

export const METRIC_DEFAULTS: MetricSettings = { unit: '', above: null, below: null, severity: 'major' }

/** What a class is when nothing is said of it; also what a config record from before a field was invented means by its absence. */
export const CLASS_DEFAULTS: ClassSettings = {
  budget: { alarms: 1, perMs: MONTH_MS },
  backfill: false,
  reports: 'periodic',
  heartbeatMs: null,
  silence: true,
  warmup: 300,
  quarantine: { from: 'critical', forMs: 600_000 },
  timezone: 'UTC',
  metrics: {},
}
const LAYER_DEFAULTS = { sites: {}, devices: {} } as const

/** Who asks for settings. `site`: its label of that name, undefined without one. */
export interface Asker {
  readonly class: string
  readonly site?: string | undefined
  readonly device: string
}

/** What is in force for one device: its class (or `default`), under its site's layer, under its own. Reads every metric named, so once a device. */
export function settingsFor(settings: Settings, asker: Asker): ClassSettings {
  const lowest = own(settings.classes, asker.class) ?? settings.classes[DEFAULT_CLASS]!
  const layers = [asker.site === undefined ? undefined : own(settings.sites, asker.site), own(settings.devices, asker.device)]
  return layers.reduce<ClassSettings>((lower, layer) => (layer ? overlay(lower, layer) : lower), lowest)
}

/** `upper` where it says something, else `lower`; metrics, the keys of a metric and those of a quarantine one by one. */
export function overlay(lower: ClassSettings, upper: Layer): ClassSettings {
  const { quarantine, metrics = {}, ...rest } = upper
  const changed = Object.entries(metrics).map(([name, layer]) => [name, { ...(own(lower.metrics, name) ?? METRIC_DEFAULTS), ...layer }] as const)
  return {
    ...lower,
    ...rest,
    quarantine: quarantineOver(lower.quarantine, quarantine),
    metrics: { ...lower.metrics, ...Object.fromEntries(changed) },
  }
}

function quarantineOver(lower: ClassSettings['quarantine'], upper: Layer['quarantine']): ClassSettings['quarantine'] {
  if (upper === undefined) return lower
  if (upper === null || (lower === null && upper.from === undefined)) return null
  return { ...(lower ?? CLASS_DEFAULTS.quarantine!), ...upper }
}

/** Settings as an older config record wrote them, with what it could not know of yet. */
export function completeSettings(written: Settings): Settings {
  const complete = (one: ClassSettings): ClassSettings => ({
    ...CLASS_DEFAULTS,
    ...one,
    metrics: mapped(one.metrics, (metric) => ({ ...METRIC_DEFAULTS, ...metric })),
  })
  return { ...LAYER_DEFAULTS, ...written, classes: mapped(written.classes, complete) }
}

function mapped<T>(record: Readonly<Record<string, T>>, change: (one: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(record).map(([name, one]) => [name, change(one)]))
}

/** Names come from topics: `constructor` is one like any other. */
function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined
}

/** What the config bounds response by: of the process that leads respond, not of the log. */
export interface ResponsePolicy {
  /** `off` wins over whatever a person asks. */
  readonly enforcement: 'on' | 'off'
  readonly quarantines: {
    /** Begun within a minute, by incidents. */
    readonly perMinute: number
    /** Devices at a time. */
    readonly atOnce: number
    /** So many devices at a time that share the label `by` (or their class); null: no such bound. */
    readonly group: { readonly by: string; readonly atOnce: number } | null
  }
}
