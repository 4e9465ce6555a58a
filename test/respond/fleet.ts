/** What respond's tests are told of: incidents, settings, and adapters of its ports in memory that say what reached the far end. */
import type { Incident } from '../../src/core/incident.ts'
import type { ClassSettings, ResponsePolicy, Settings } from '../../src/core/settings.ts'
import type { Stamp } from '../../src/core/position.ts'
import type { ConfigInForce, IncidentRecord } from '../../src/log/revision.ts'
import type { Logger } from '../../src/ops/logger.ts'
import type { LabelValues, Metrics } from '../../src/ops/metrics.ts'
import type { Random } from '../../src/ops/random.ts'
import type { Ack, Command, Enforcer } from '../../src/respond/enforcer.ts'
import type { Notice, Notification, Notifier, Outcome } from '../../src/respond/notifier.ts'

export const START = 1_700_000_000_000

export function incident(fields: Partial<Incident> = {}): Incident {
  return {
    id: 'incident-1', revision: 1, device: 'pump-1', class: 'pump', labels: {}, cause: 'telemetry', severity: 'critical', state: 'open',
    openedAt: START, updatedAt: START, closedAt: null, closedBy: null, surprise: 7, summary: 'vibration far above its band', votes: [],
    ...fields,
  }
}

export function closing(fields: Partial<Incident> = {}): Incident {
  return incident({ revision: 2, state: 'closed', closedAt: START + 60_000, closedBy: 'calm', ...fields })
}

export function stamp(offset: number, fields: Partial<Stamp> = {}): Stamp {
  return { incarnation: 'first', epoch: 1, position: { offset, index: 0 }, n: 0, ...fields }
}

export function revision(offset: number, body: Incident, fields: Partial<Stamp> = {}): Extract<IncidentRecord, { kind: 'revision' }> {
  return { kind: 'revision', stamp: stamp(offset, fields), arrival: body.updatedAt, incident: body }
}

export function opened(offset: number, epoch: number, ids: readonly string[], fields: Partial<Stamp> = {}, config: ConfigInForce | null = null): IncidentRecord {
  return { kind: 'opened', stamp: stamp(offset, { epoch, ...fields }), ids, config }
}

function classSettings(quarantine: ClassSettings['quarantine']): ClassSettings {
  return {
    budget: { alarms: 1, perMs: 30 * 86_400_000 }, backfill: false, reports: 'periodic', heartbeatMs: null, silence: true, warmup: 100,
    quarantine, timezone: 'UTC', metrics: {},
  }
}

/** `pump`: quarantined from critical for 10 minutes; `monitor`: never; `default`: from major for 1 minute. */
export const SETTINGS: Settings = {
  classes: {
    default: classSettings({ from: 'major', forMs: 60_000 }),
    pump: classSettings({ from: 'critical', forMs: 600_000 }),
    monitor: classSettings(null),
  },
  sites: {},
  devices: {},
  detectors: ['level'],
  capacity: { devices: 100, series: 1_000, classes: 10, incidents: 100 },
  limits: { metricsPerDevice: 64, newSeriesPerMinute: 100 },
  toleranceMs: 300_000,
  expireMs: 86_400_000,
}

/** No bound that a test meets unless it is about it. */
export const UNGOVERNED: ResponsePolicy = { enforcement: 'on', quarantines: { perMinute: 1_000, atOnce: 10_000, group: null } }

export const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

/** Keeps `LEVEL MESSAGE` of each line, but those of debug. */
export function keepingLogger(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = []
  const at = (level: string) => (_: unknown, message: string) => void lines.push(`${level} ${message}`)
  return { lines, logger: { debug: () => undefined, info: at('info'), warn: at('warn'), error: at('error') } }
}

/** Half a jitter, always. */
export const steady: Random = { id: () => 'f'.repeat(24), fraction: () => 1 }

/** Keeps what was counted, by `name{label=value,…}`. */
export class CountingMetrics implements Metrics {
  readonly values = new Map<string, number>()

  counter(name: string) {
    return { add: (by: number, labels?: LabelValues) => this.put(name, labels, (old) => old + by) }
  }

  gauge(name: string) {
    return { set: (value: number, labels?: LabelValues) => this.put(name, labels, () => value) }
  }

  histogram(name: string) {
    return { observe: (_seconds: number, labels?: LabelValues) => this.put(name, labels, (old) => old + 1) }
  }

  value(key: string): number {
    return this.values.get(key) ?? 0
  }

  private put(name: string, labels: LabelValues | undefined, change: (old: number) => number): void {
    const shown = Object.entries(labels ?? {}).map(([label, value]) => `${label}=${value}`)
    const key = shown.length > 0 ? `${name}{${shown.join()}}` : name
    this.values.set(key, change(this.values.get(key) ?? 0))
  }
}

const DONE: Outcome = { status: 'done', detail: '' }

/** People who get every notification. */
export class MemoryNotifier implements Notifier {
  readonly name: string
  readonly received: Notification[] = []
  /** What it answers next; takes and then goes on with `done`. */
  readonly answers: Outcome[] = []

  readonly notices: { readonly id: string; readonly notice: Notice }[] = []
  readonly gatherMs: number

  constructor(name = 'people', gatherMs = 0) {
    this.name = name
    this.gatherMs = gatherMs
  }

  async say(id: string, notice: Notice): Promise<Outcome> {
    this.notices.push({ id, notice })
    return this.answers.shift() ?? DONE
  }

  async notify(notification: Notification): Promise<Outcome> {
    this.received.push(notification)
    return this.answers.shift() ?? DONE
  }
}

/** Devices that get every command; they answer when a test says so, or at once with `answers`. */
export class MemoryEnforcer implements Enforcer {
  readonly commands: Command[] = []
  readonly desired: Command[] = []
  /** What devices say of a command as soon as they have it; nothing by default. */
  answers: readonly Ack['status'][] = []
  /** Runs before a command reaches the device. */
  onSend: (command: Command) => void = () => undefined
  /** A broker so slow that a command is on its way until this is over. */
  onWay: (command: Command) => Promise<void> = async () => undefined
  private each: (ack: Ack) => Promise<void> = async () => undefined

  async send(command: Command, mayLeave: () => boolean = () => true): Promise<Outcome> {
    this.onSend(command)
    await this.onWay(command)
    if (!mayLeave()) return { status: 'retry', detail: 'withheld' }
    this.commands.push(command)
    for (const status of this.answers) void this.answer(command, status)
    return DONE
  }

  async assertDesired(command: Command): Promise<Outcome> {
    this.desired.push(command)
    return DONE
  }

  onAck(each: (ack: Ack) => Promise<void>): void {
    this.each = each
  }

  answer(command: Command, status: Ack['status'], fields: Partial<Ack> = {}): Promise<void> {
    return this.each({ id: command.id, device: command.lease.device, generation: command.lease.generation, status, reason: '', ...fields })
  }
}
