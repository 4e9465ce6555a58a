/** What the config says about scores and response, after defaults are filled in: the body of a config control record. */
import type { Severity } from './incident.ts'

/** Detectors that a config may name, in the order of the default row. */
export const DETECTORS = ['level', 'limits', 'silence'] as const

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
  readonly metrics: Readonly<Record<string, MetricSettings>>
}

export interface Settings {
  /** Always has `default`; a device whose class is not named here is of class `default`. */
  readonly classes: Readonly<Record<string, ClassSettings>>
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
