/** What the ingest tests stand on: a memory log, a clock by hand, ports that say what reached them. */
import type { Message } from '../../src/core/message.ts'
import type { Settings } from '../../src/core/settings.ts'
import type { PayloadPlan } from '../../src/ingest/codecs/payload-plan.ts'
import { createIngest } from '../../src/ingest/ingest.ts'
import type { IngestOptions } from '../../src/ingest/ingest.ts'
import type { IngestLimits } from '../../src/ingest/limits.ts'
import type { Source } from '../../src/ingest/source.ts'
import type { DeadLetter } from '../../src/ingest/dead-letter.ts'
import { decodeControl, isControl } from '../../src/log/control.ts'
import type { Control } from '../../src/log/control.ts'
import { decodeFrame, isFrame } from '../../src/log/frame.ts'
import type { Frame } from '../../src/log/frame.ts'
import { MemoryCluster } from '../../src/log/memory.ts'
import type { ClusterOptions } from '../../src/log/memory.ts'
import type { Logger } from '../../src/ops/logger.ts'
import type { LabelValues, Metrics } from '../../src/ops/metrics.ts'
import { ManualClock, settle } from '../clock.ts'

export const LIMITS: IngestLimits = {
  payloadBytes: 65_536,
  nesting: 4,
  fields: 64,
  samples: 16,
  nameLength: 64,
  metricsPerDevice: 16,
  knownDevices: 1_000,
  queue: { messages: 10_000, bytes: 8 * 1024 * 1024 },
  inFlight: { records: 64, bytes: 8 * 1024 * 1024 },
}

/** As of a topic that says nothing but its pattern. */
export const PLAN: PayloadPlan = { codec: 'auto', timeFields: ['ts', 'timestamp', 'time'], timeUnit: 'auto', nameFields: [] }

export const SETTINGS: Settings = {
  classes: {},
  sites: {},
  devices: {},
  detectors: ['level'],
  capacity: { devices: 100, series: 1_000, classes: 10, incidents: 100 },
  limits: { metricsPerDevice: 16, newSeriesPerMinute: 100 },
  toleranceMs: 300_000,
  expireMs: 86_400_000,
}

/** Counters by `name{label,…}` in the order the labels were declared; gauges and histograms keep what came last. */
export class Meters implements Metrics {
  private readonly values = new Map<string, number>()

  of(name: string, ...labels: string[]): number {
    return this.values.get([name, ...labels].join()) ?? 0
  }

  counter(name: string, _help: string, labels: readonly string[] = []) {
    return { add: (by: number, values: LabelValues = {}) => this.put(name, labels, values, (before) => before + by) }
  }

  gauge(name: string, _help: string, labels: readonly string[] = []) {
    return { set: (value: number, values: LabelValues = {}) => this.put(name, labels, values, () => value) }
  }

  histogram(name: string, _help: string, labels: readonly string[] = []) {
    return { observe: (seconds: number, values: LabelValues = {}) => this.put(name, labels, values, () => seconds) }
  }

  private put(name: string, labels: readonly string[], values: LabelValues, change: (before: number) => number): void {
    const key = [name, ...labels.map((label) => values[label] ?? '')].join()
    this.values.set(key, change(this.values.get(key) ?? 0))
  }
}

export interface Line {
  readonly fields: Readonly<Record<string, unknown>>
  readonly message: string
}

export function keepingLogger(): { readonly logger: Logger; readonly lines: Line[] } {
  const lines: Line[] = []
  const keep = (fields: Readonly<Record<string, unknown>>, message: string) => void lines.push({ fields, message })
  return { lines, logger: { debug: keep, info: keep, warn: keep, error: keep } }
}

/** A source whose messages the test hands over. */
export class HandSource implements Source {
  readonly name: string
  stopped = false
  private deliver: (message: Message) => Promise<void> = () => Promise.reject(new Error('not started'))

  constructor(name = 'field') {
    this.name = name
  }

  async start(deliver: (message: Message) => Promise<void>): Promise<void> {
    this.deliver = deliver
  }

  async stop(): Promise<void> {
    this.stopped = true
  }

  status() {
    return { name: this.name, connectedSince: 1, backlog: false }
  }

  send(topic: string, payload: string | Uint8Array, fields: Partial<Message> = {}): Promise<void> {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
    return this.deliver({ source: this.name, client: 'c1', topic, payload: bytes, qos: 1, dup: false, retain: false, arrival: 1_700_000_000_123, ...fields })
  }
}

/** Ingest over a memory log of two partitions, not yet started. */
export function makeLab(options: { cluster?: Partial<ClusterOptions>; ingest?: Partial<IngestOptions>; limits?: Partial<IngestLimits> } = {}) {
  const clock = new ManualClock()
  const cluster = new MemoryCluster({ clock, partitions: 2, ...options.cluster })
  const log = cluster.connect({ name: 'ingest' })
  const meters = new Meters()
  const { logger, lines } = keepingLogger()
  const source = new HandSource()
  let ids = 0
  const ingest = createIngest({
    log, clock, logger,
    metrics: meters,
    random: { id: () => `random-${++ids}`, fraction: () => 0.5 },
    sources: [{ source, patterns: ['telemetry/{class}/{device}', 'telemetry/{class}/{device}/{metric}'] }],
    limits: { ...LIMITS, ...options.limits },
    settings: SETTINGS,
    settingsHash: 'hash-1',
    name: 'ingest-1',
    ...options.ingest,
  })
  return { clock, cluster, log, meters, lines, source, ingest }
}

export function framesIn(cluster: MemoryCluster, partition: number): Frame[] {
  return valuesIn(cluster, partition).filter(isFrame).map(decodeFrame)
}

export function controlsIn(cluster: MemoryCluster, partition: number): Control[] {
  return valuesIn(cluster, partition).filter(isControl).map(decodeControl)
}

function valuesIn(cluster: MemoryCluster, partition: number): Uint8Array[] {
  return cluster.dump('readings', partition).flatMap(({ value }) => (value === null ? [] : [value]))
}

export function deadLettersIn(cluster: MemoryCluster): DeadLetter[] {
  return [0, 1].flatMap((partition) => cluster.dump('dead-letters', partition)).map(({ value }) => JSON.parse(Buffer.from(value!).toString('utf8')) as DeadLetter)
}

/** Each message of the frames as {device, labels, time, flags, metrics: {name: value}}, in log order. */
export function messagesIn(cluster: MemoryCluster, partition: number) {
  return framesIn(cluster, partition).flatMap((frame) =>
    [...frame.device].map((device, i) => {
      const metrics = new Map<string, number>()
      for (let r = frame.start[i]!; r < frame.start[i]! + frame.count[i]!; r++) metrics.set(frame.metrics[frame.metric[r]!]!, frame.value[r]!)
      const { name, labels } = frame.devices[device]!
      return { device: name, labels, time: frame.time[i]!, arrival: frame.arrival[i]!, flags: frame.flags[i]!, metrics: Object.fromEntries(metrics) }
    }),
  )
}

/** Whether a promise still waits when all that could run has run. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true
  const over = () => {
    pending = false
  }
  promise.then(over, over)
  await settle()
  return pending
}
