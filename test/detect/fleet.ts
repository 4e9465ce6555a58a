/** What detect's tests send: settings, frames and control records, and ports that keep what was counted. */
import { hashText } from '../../src/core/hash.ts'
import { KIND_BOOLEAN, KIND_CATEGORY, KIND_MISSING, KIND_NUMBER } from '../../src/core/message.ts'
import type { ClassSettings, MetricSettings, Settings } from '../../src/core/settings.ts'
import type { Control, ControlBody, SourceState } from '../../src/log/control.ts'
import type { Frame } from '../../src/log/frame.ts'
import type { Logger } from '../../src/ops/logger.ts'
import type { LabelValues, Metrics } from '../../src/ops/metrics.ts'

export const START = 1_700_000_000_000
export const INCARNATION = 'first'

export type Value = number | boolean | string | null

/** One message as ingest would put it into a frame. */
export interface Sent {
  readonly device: string
  readonly metrics: Readonly<Record<string, Value>>
  /** ms since epoch. */
  readonly arrival: number
  /** Event time claimed; none where left out. */
  readonly time?: number
  readonly labels?: Readonly<Record<string, string>>
  /** Tells messages apart; made from the rest where left out. */
  readonly payload?: number
  /** Made from the names of the metrics where left out. */
  readonly shape?: number
  readonly flags?: number
}

export function frameOf(messages: readonly Sent[], source = 'field'): Frame {
  const devices: Frame['devices'][number][] = []
  const metrics = new Map<string, number>()
  const readings: { metric: number; kind: number; value: number }[] = []
  const rows = messages.map((sent) => {
    const start = readings.length
    for (const [name, value] of Object.entries(sent.metrics)) readings.push({ metric: placeOf(metrics, name), ...valueOf(value) })
    const labels = sent.labels ?? {}
    let device = devices.findIndex((one) => one.name === sent.device && JSON.stringify(one.labels) === JSON.stringify(labels))
    if (device < 0) device = devices.push({ name: sent.device, labels }) - 1
    return { sent, device, start, count: readings.length - start }
  })
  return {
    source,
    devices,
    metrics: [...metrics.keys()],
    categories: Object.fromEntries(messages.flatMap((sent) => textsOf(sent.metrics)).map((text) => [String(hashText(text)), text])),
    device: Int32Array.from(rows, (row) => row.device),
    time: Float64Array.from(messages, ({ time }) => time ?? NaN),
    arrival: Float64Array.from(messages, ({ arrival }) => arrival),
    start: Int32Array.from(rows, (row) => row.start),
    count: Int32Array.from(rows, (row) => row.count),
    size: Int32Array.from(messages, () => 20),
    payload: Float64Array.from(messages, (sent) => sent.payload ?? hashText(JSON.stringify(sent))),
    shape: Float64Array.from(messages, ({ metrics: of, shape }) => shape ?? hashText(Object.keys(of).join())),
    flags: Uint8Array.from(messages, ({ flags }) => flags ?? 0),
    metric: Int32Array.from(readings, ({ metric }) => metric),
    kind: Uint8Array.from(readings, ({ kind }) => kind),
    value: Float64Array.from(readings, ({ value }) => value),
  }
}

function placeOf(names: Map<string, number>, name: string): number {
  const place = names.get(name) ?? names.size
  names.set(name, place)
  return place
}

function valueOf(value: Value): { kind: number; value: number } {
  if (value === null) return { kind: KIND_MISSING, value: 0 }
  if (typeof value === 'boolean') return { kind: KIND_BOOLEAN, value: value ? 1 : 0 }
  if (typeof value === 'string') return { kind: KIND_CATEGORY, value: hashText(value) }
  return { kind: KIND_NUMBER, value }
}

function textsOf(metrics: Sent['metrics']): string[] {
  return Object.values(metrics).filter((value) => typeof value === 'string')
}

export function controlOf(id: string, body: ControlBody, incarnation = INCARNATION): Control {
  return { id, incarnation, at: START, body }
}

export function tickOf(id: string, sources: readonly SourceState[] = [listening()]): Control {
  return controlOf(id, { kind: 'tick', writer: 'ingest', sources })
}

export function configOf(version: number, settings: Settings, id = `config-${version}`): Control {
  return controlOf(id, { kind: 'config', version, hash: `hash-${version}`, settings })
}

export function listening(name = 'field', fields: Partial<SourceState> = {}): SourceState {
  return { name, connectedSince: START, backlog: false, ...fields }
}

export function classOf(fields: Partial<ClassSettings> = {}): ClassSettings {
  return {
    budget: { alarms: 1, perMs: 30 * 86_400_000 }, backfill: false, reports: 'periodic', heartbeatMs: null, silence: true, warmup: 20,
    quarantine: null, timezone: 'UTC', metrics: {}, ...fields,
  }
}

export function metricOf(fields: Partial<MetricSettings> = {}): MetricSettings {
  return { unit: '', above: null, below: null, severity: 'major', ...fields }
}

export function settingsOf(fields: Partial<Settings> = {}): Settings {
  return {
    classes: { default: classOf() },
    sites: {},
    devices: {},
    detectors: ['level', 'limits', 'silence'],
    capacity: { devices: 64, series: 256, classes: 8, incidents: 64 },
    limits: { metricsPerDevice: 16, newSeriesPerMinute: 4 },
    toleranceMs: 300_000,
    expireMs: 86_400_000,
    ...fields,
  }
}

/** Keeps log lines by level. */
export class Lines implements Logger {
  readonly lines: string[] = []
  debug(): void {}
  info(_: unknown, message: string): void {
    this.lines.push(`info ${message}`)
  }
  warn(_: unknown, message: string): void {
    this.lines.push(`warn ${message}`)
  }
  error(_: unknown, message: string): void {
    this.lines.push(`error ${message}`)
  }
}

/** Keeps what was counted, by name and label values. */
export class Counts implements Metrics {
  readonly values = new Map<string, number>()

  of(name: string, labels: LabelValues = {}): number {
    return this.values.get(keyOf(name, labels)) ?? 0
  }
  counter(name: string) {
    return { add: (by: number, labels: LabelValues = {}) => this.put(name, labels, this.of(name, labels) + by) }
  }
  gauge(name: string) {
    return { set: (value: number, labels: LabelValues = {}) => this.put(name, labels, value) }
  }
  histogram(name: string) {
    return { observe: (_: number, labels: LabelValues = {}) => this.put(name, labels, this.of(name, labels) + 1) }
  }
  private put(name: string, labels: LabelValues, value: number): void {
    this.values.set(keyOf(name, labels), value)
  }
}

function keyOf(name: string, labels: LabelValues): string {
  return [name, ...Object.entries(labels).map(([label, value]) => `${label}=${value}`)].join(' ')
}
