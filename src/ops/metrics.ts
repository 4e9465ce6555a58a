/** Port: counters, gauges, histograms. Each stage declares and moves its own; `prometheus.ts` exposes them. */

export type LabelValues = Readonly<Record<string, string>>

export interface Counter {
  add(by: number, labels?: LabelValues): void
}
export interface Gauge {
  set(value: number, labels?: LabelValues): void
}
export interface Histogram {
  /** Seconds. */
  observe(seconds: number, labels?: LabelValues): void
}

/** Names start with `picket_`; asking twice for one name gives the same instrument. */
export interface Metrics {
  counter(name: string, help: string, labels?: readonly string[]): Counter
  gauge(name: string, help: string, labels?: readonly string[]): Gauge
  histogram(name: string, help: string, labels?: readonly string[]): Histogram
}
