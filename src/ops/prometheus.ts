/** Adapter of the Metrics port over prom-client: what every stage counts, as `/metrics` shows it. */
import * as prometheus from 'prom-client'
import { assert } from '../core/assert.ts'
import type { Counter, Gauge, Histogram, LabelValues, Metrics } from './metrics.ts'

/** Upper bounds in seconds, 0.5 ms to 10 s. */
const HISTOGRAM_BUCKETS: readonly number[] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]

/** Most label combinations a metric keeps apart; a name from outside must not grow the memory without end. */
const MAX_COMBINATIONS = 500

/** What a counter's or histogram's combinations beyond the limit are counted under, in every label. */
const OTHER = 'other'

export interface PrometheusMetrics extends Metrics {
  /** `measure` runs before each exposition and sets gauges; one that rejects is counted and holds nothing up. */
  beforeScrape(measure: () => Promise<void>): void
  /** The text format of everything declared so far. */
  exposition(): Promise<{ readonly contentType: string; readonly body: string }>
}

type Kind = 'counter' | 'gauge' | 'histogram'

interface Declared {
  readonly kind: Kind
  readonly labels: string
  readonly instrument: unknown
}

/** Metrics in a registry of their own; `processMetrics` adds the usual `process_` and `nodejs_` ones. */
export function makePrometheus(options: { readonly processMetrics: boolean; readonly maxCombinations?: number }): PrometheusMetrics {
  const registry = new prometheus.Registry()
  if (options.processMetrics) prometheus.collectDefaultMetrics({ register: registry })
  const limit = options.maxCombinations ?? MAX_COMBINATIONS
  const declared = new Map<string, Declared>()
  const overflow = new prometheus.Counter({
    name: 'picket_metric_overflow_total',
    help: `Times a metric was moved under a label combination beyond its first ${limit}`,
    labelNames: ['metric'],
    registers: [registry],
  })
  const unmeasured = new prometheus.Counter({ name: 'picket_metric_errors_total', help: 'Gauges that could not be measured', registers: [registry] })
  const measures: (() => Promise<void>)[] = []

  function declare<T>(kind: Kind, name: string, labels: readonly string[], make: () => T): T {
    assert(name.startsWith('picket_'), `metric ${name}: names start with picket_`)
    const known = declared.get(name)
    if (known) {
      assert(known.kind === kind && known.labels === labels.join(), `metric ${name} is declared twice, differently`)
      return known.instrument as T
    }
    const instrument = make()
    declared.set(name, { kind, labels: labels.join(), instrument })
    return instrument
  }

  const base = (name: string, help: string, labels: readonly string[]) => ({ name, help, labelNames: [...labels], registers: [registry] })
  const spill = (name: string) => () => overflow.inc({ metric: name })

  return {
    counter: (name, help, labels = []) =>
      declare('counter', name, labels, (): Counter => {
        const inner = new prometheus.Counter(base(name, help, labels))
        const child = boundedChildren({ name, labels, limit, make: (values) => inner.labels(...values), spill: spill(name) })
        return { add: (by, values) => child(values).inc(by) }
      }),
    gauge: (name, help, labels = []) =>
      declare('gauge', name, labels, (): Gauge => {
        const inner = new prometheus.Gauge(base(name, help, labels))
        const child = boundedChildren({ name, labels, limit, make: (values) => inner.labels(...values), spill: spill(name), other: null })
        return { set: (value, values) => child(values)?.set(value) }
      }),
    histogram: (name, help, labels = []) =>
      declare('histogram', name, labels, (): Histogram => {
        const inner = new prometheus.Histogram({ ...base(name, help, labels), buckets: [...HISTOGRAM_BUCKETS] })
        const child = boundedChildren({ name, labels, limit, make: (values) => inner.labels(...values), spill: spill(name) })
        return { observe: (seconds, values) => child(values).observe(seconds) }
      }),
    beforeScrape: (measure) => void measures.push(measure),
    async exposition() {
      await Promise.all(measures.map((measure) => measure().catch(() => unmeasured.inc())))
      return { contentType: registry.contentType, body: await registry.metrics() }
    },
  }
}

interface Children<T> {
  readonly name: string
  readonly labels: readonly string[]
  readonly limit: number
  /** Makes the child of these label values, in the order of `labels`. */
  readonly make: (values: string[]) => T
  readonly spill: () => void
}

/** The child of each label combination; beyond `limit` of them, `other`: null where values of several can't be told as one (gauges). */
function boundedChildren<T>(options: Children<T> & { readonly other: null }): (values?: LabelValues) => T | null
function boundedChildren<T>(options: Children<T>): (values?: LabelValues) => T
function boundedChildren<T>(options: Children<T> & { readonly other?: null }): (values?: LabelValues) => T | null {
  const { name, labels, limit, make, spill } = options
  const children = new Map<string, T>()
  let other: T | null = null
  return (values = {}) => {
    const ordered = labels.map((label) => {
      const value = values[label]
      assert(value !== undefined, `metric ${name} moved without its label ${label}`)
      return value
    })
    const key = ordered.join('\0')
    const known = children.get(key)
    if (known) return known
    if (children.size < limit) {
      const child = make(ordered)
      children.set(key, child)
      return child
    }
    spill()
    if (options.other === null) return null
    other ??= make(labels.map(() => OTHER))
    return other
  }
}
