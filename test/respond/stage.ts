/** Respond on a memory log under a hand-moved clock, with what stands in the log and what reached the far end to look at. */
import { partitionOf } from '../../src/core/hash.ts'
import type { Incident } from '../../src/core/incident.ts'
import { encodeRequest, FLEET_PARTITION } from '../../src/core/request.ts'
import type { Request } from '../../src/core/request.ts'
import type { ResponsePolicy, Settings } from '../../src/core/settings.ts'
import { decodeControl, encodeControl, isControl } from '../../src/log/control.ts'
import type { Control } from '../../src/log/control.ts'
import type { Stamp } from '../../src/core/position.ts'
import type { Owned, Topic } from '../../src/log/log.ts'
import { MemoryCluster } from '../../src/log/memory.ts'
import type { Faults, MemoryLog } from '../../src/log/memory.ts'
import { encodeIncidentRecord } from '../../src/log/revision.ts'
import type { ConfigInForce, IncidentRecord } from '../../src/log/revision.ts'
import { parseLine } from '../../src/respond/ledger.ts'
import type { Line } from '../../src/respond/ledger.ts'
import type { Logger } from '../../src/ops/logger.ts'
import type { ResponderLimits } from '../../src/respond/deciding.ts'
import { createResponder } from '../../src/respond/responder.ts'
import type { Responder } from '../../src/respond/responder.ts'
import type { LeaseRow } from '../../src/respond/state.ts'
import { ManualClock } from '../clock.ts'
import { CountingMetrics, MemoryEnforcer, MemoryNotifier, opened, revision, SETTINGS, silent, START, steady, UNGOVERNED } from './fleet.ts'

export const PARTITIONS = 2
export const PUMP_PARTITION = partitionOf('pump-1', PARTITIONS)

export interface ProcessOptions {
  readonly settings?: Settings
  readonly settingsHash?: string
  readonly limits?: Partial<ResponderLimits>
  readonly policy?: ResponsePolicy
  readonly notifiers?: readonly MemoryNotifier[]
  readonly logger?: Logger
  /** Sees the log before it is led on. */
  readonly onLog?: (log: MemoryLog) => void
  /** Around what the log gives the leader. */
  readonly around?: (owned: Owned) => Owned
}

/** One process that would lead respond. */
export interface Process {
  readonly log: MemoryLog
  readonly responder: Responder
  readonly enforcer: MemoryEnforcer
  readonly notifier: MemoryNotifier
  readonly metrics: CountingMetrics
  /** Ends its leadership as a clean stop does. */
  readonly stop: () => Promise<void>
}

export class Stage {
  readonly clock = new ManualClock(START)
  readonly cluster: MemoryCluster
  private readonly outside: MemoryLog
  private offset = 100

  constructor(faults: Faults = {}) {
    this.cluster = new MemoryCluster({ partitions: PARTITIONS, clock: this.clock, takeoverMs: 3_000, faults })
    this.outside = this.cluster.connect({ name: 'outside' })
  }

  /** Config version 1 in every partition, as ingest puts it there, and what detect says when it comes to it. */
  async configure(hash = 'hash-1'): Promise<void> {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const body = { kind: 'config', version: 1, hash, settings: SETTINGS } as const
      await this.append('readings', partition, encodeControl({ id: 'first', incarnation: 'first', at: START, body }))
      await this.obey(partition, { version: 1, hash, offset: 0 })
    }
  }

  /** Detect says what a partition obeys. */
  async obey(partition: number, config: ConfigInForce, fields: Partial<Stamp> = {}, ids: readonly string[] = []): Promise<void> {
    await this.put(opened(config.offset, 1, ids, { position: { offset: config.offset, index: 4096 }, ...fields }, config), partition)
  }

  async start(options: ProcessOptions = {}): Promise<Process> {
    const log = this.cluster.connect()
    const enforcer = new MemoryEnforcer()
    const notifier = new MemoryNotifier()
    const metrics = new CountingMetrics()
    const { settings = SETTINGS, settingsHash = 'hash-1', limits = {}, policy = UNGOVERNED, notifiers = [notifier], logger = silent, onLog, around = (owned) => owned } = options
    onLog?.(log)
    const responder = createResponder({ log, clock: this.clock, random: steady, metrics, logger, settings, settingsHash, policy, notifiers, enforcer, limits })
    const stop = new AbortController()
    const ended = log.lead('respond', (owned) => responder.run(around(owned)), stop.signal)
    await this.clock.advance(0)
    return {
      log, responder, enforcer, notifier, metrics,
      stop: async () => {
        stop.abort()
        await ended
      },
    }
  }

  /** A detector's revision of an incident, at the next position. */
  async tell(body: Incident, partition = PUMP_PARTITION): Promise<void> {
    const said = revision(this.offset++, body)
    await this.put({ ...said, arrival: this.clock.now() }, partition)
  }

  async put(record: IncidentRecord, partition = PUMP_PARTITION): Promise<void> {
    await this.append('incidents', partition, encodeIncidentRecord(record))
  }

  async ask(request: Partial<Request> & Pick<Request, 'kind'>): Promise<void> {
    await this.askAll(request)
  }

  /** Several in one record slice. */
  async askAll(...requests: readonly (Partial<Request> & Pick<Request, 'kind'>)[]): Promise<void> {
    const usual = { id: 'request-1', device: 'pump-1', forMs: null, incident: '', reason: 'to be safe', by: 'ana', at: this.clock.now() }
    const partition = requests[0]?.device === '' ? FLEET_PARTITION : PUMP_PARTITION
    await this.append('requests', partition, ...requests.map((request) => encodeRequest({ ...usual, ...request })))
  }

  async append(topic: Topic, partition: number, ...values: readonly Uint8Array[]): Promise<void> {
    await this.outside.append(topic, partition, values.map((value) => ({ key: '', value })))
    await this.clock.advance(0)
  }

  lines(): Line[] {
    return this.texts().map((text) => parseLine(text)!)
  }

  texts(): string[] {
    return this.cluster.dump('actions', 0).map((record) => Buffer.from(record.value!).toString('utf8'))
  }

  /** What the ledger says of one action: kind and outcome, in order. */
  told(action: string): string[] {
    return this.lines().filter((line) => line.action === action).map((line) => (line.outcome ? `${line.kind} ${line.outcome}` : line.kind))
  }

  /** Live rows of respond's state under a prefix. */
  rows(prefix: string): Map<string, unknown> {
    const rows = new Map<string, unknown>()
    for (const { key, value } of this.cluster.dump('leases', 0)) {
      if (!key.startsWith(prefix)) continue
      if (value === null) rows.delete(key)
      else rows.set(key, JSON.parse(Buffer.from(value).toString('utf8')))
    }
    return rows
  }

  lease(device = 'pump-1'): LeaseRow | undefined {
    return this.rows('lease/').get(`lease/${device}`) as LeaseRow | undefined
  }

  controls(partition = PUMP_PARTITION): Control[] {
    return this.cluster.dump('readings', partition).filter((record) => isControl(record.value!)).map((record) => decodeControl(record.value!))
  }
}
