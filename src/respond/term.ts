/** A term: one leadership of respond, from its takeover to its end. What it knows is its own; the next one reads it from the log again. */
import { isPipelineError } from '../core/errors.ts'
import { decodeRequest } from '../core/request.ts'
import { offsetKey } from '../log/log.ts'
import type { Log, Owned, Slice, StoredRecord, Topic } from '../log/log.ts'
import { decodeIncidentRecord } from '../log/revision.ts'
import type { Clock } from '../ops/clock.ts'
import { delay } from '../ops/clock.ts'
import type { Logger } from '../ops/logger.ts'
import { Alarms } from './alarms.ts'
import { decideConfig, decideConfigRepeat, readNewestConfig, readPartitionHead } from './config-versions.ts'
import type { ConfigSaid } from './config-versions.ts'
import { decideChange, decideLeaseEnd, decideRequest } from './decisions.ts'
import { Desk } from './desk.ts'
import { Effects, laneOf } from './effects.ts'
import type { EffectPorts } from './effects.ts'
import type { Ack } from './enforcer.ts'
import { IncidentReader } from './incident-reader.ts'
import type { Change } from './incident-reader.ts'
import { Lanes } from './lanes.ts'
import { NotifierLines } from './notifier-lines.ts'
import { answerMs, decideAck, decideAttempt, decideOutcome } from './outbox.ts'
import type { Deciding } from './outbox.ts'
import { ResponderState } from './state.ts'
import type { LeaseRow, OutboxEntry } from './state.ts'

export interface TermOptions extends EffectPorts, Pick<Deciding, 'limits' | 'random' | 'meters' | 'partitionFor'> {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  readonly owned: Owned
}

/** Records decided on at once, and decisions in one commit. */
const RECORDS_AT_ONCE = 64
const DECISIONS_AT_ONCE = 256
const ASSERT_MS = 300_000
const LOOK_AGAIN_MS = 1_000
/** What is under way at a stop may take so long to tell its outcome. */
const DRAIN_MS = 2_000

export class Term {
  private readonly options: TermOptions
  private readonly stop = new AbortController()
  private readonly state = new ResponderState()
  private readonly desk: Desk
  private readonly alarms: Alarms
  private readonly lanes = new Lanes()
  private readonly effects: Effects
  private readonly reader: IncidentReader
  private readonly on: Deciding
  private readonly roomFor: (() => void)[] = []
  private stage: 'restoring' | 'unconfigured' | 'working' = 'restoring'

  constructor(options: TermOptions) {
    this.options = options
    this.desk = new Desk({ batch: DECISIONS_AT_ONCE, commit: () => this.commit() })
    this.alarms = new Alarms(options.clock, (key) => this.desk.post(() => this.ring(key)))
    this.effects = new Effects(options)
    this.reader = new IncidentReader({
      mostOpen: options.limits.incidents,
      remark: (reason) => options.meters.drops.add(1, { stage: 'respond', reason }),
    })
    const { settings, settingsHash, limits, random, meters, partitionFor } = options
    this.on = {
      state: this.state, settings, settingsHash, limits, random, meters, partitionFor,
      notifiers: options.notifiers.map((notifier) => notifier.name),
      partitions: options.log.partitions,
      now: () => options.clock.now(),
      alarm: (key, at) => (at === null ? this.alarms.clear(key) : this.alarms.set(key, at)),
      afterCommit: (run) => this.desk.afterCommit(run),
      tell: (level, fields, message) => this.desk.afterCommit(() => options.logger[level](fields, message)),
      notifierLines: new NotifierLines(), monotonic: () => options.clock.monotonic(),
      start: (entry) => this.start(entry),
    }
  }

  /** Until the leadership ends, by `owned.signal` or an error, which rejects. */
  async run(): Promise<void> {
    const { signal } = this.options.owned
    const stop = () => this.stop.abort()
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    try {
      await this.restore()
      await this.work()
    } finally {
      stop()
      signal.removeEventListener('abort', stop)
      this.alarms.clearAll()
    }
  }

  /** Reasons why not all is well. */
  readiness(): string[] {
    const reasons: string[] = []
    if (this.stage === 'restoring') reasons.push('respond: reading its state')
    if (this.stage === 'unconfigured') reasons.push('respond: no configuration in readings/0')
    if (this.isFull()) reasons.push(`respond: outbox full, ${this.commandsWaiting()} commands and records wait; incidents are not read until they drain`)
    return reasons
  }

  /** Resolves when the answer is taken down, or the term has ended before: then the command is repeated and answered again. */
  async ack(ack: Ack): Promise<void> {
    if (this.desk.waiting >= this.options.limits.acks) return this.options.meters.drops.add(1, { stage: 'ack', reason: 'full' })
    try {
      await this.desk.decide(() => decideAck(this.on, ack))
    } catch (error) {
      if (!isPipelineError(error)) throw error
      this.options.meters.drops.add(1, { stage: 'ack', reason: 'not-leading' })
    }
  }

  private async restore(): Promise<void> {
    const { log, owned, logger } = this.options
    const restored = await owned.restore((key, value) => this.state.restore(key, value))
    if (restored.recreated) logger.warn({}, 'respond: a topic it had read further is shorter now; it is read from its start')
    for (const topic of ['incidents', 'requests'] as const)
      for (let partition = 0; partition < log.partitions; partition++) {
        const key = offsetKey(topic, partition)
        if ((this.state.offsets.get(key) ?? 0) > (await log.bounds(topic, partition)).high) this.state.offsets.delete(key)
      }
    for (const key of this.state.marks.keys()) this.reader.restoreMark(Number(key), this.state.marks.get(key)!)
    for (const row of this.state.incidents.values()) this.reader.restoreOpen(row)
  }

  /** All that a term does at once; the first failure stops the rest, and what was decided by then is kept. */
  private async work(): Promise<void> {
    const finished = new AbortController()
    const failures: unknown[] = []
    const guard = (part: Promise<void>) =>
      part.catch((error: unknown) => {
        failures.push(error)
        this.stop.abort()
      })
    const desk = guard(this.desk.run(finished.signal))
    this.desk.post(() => this.takeOver())
    await Promise.all([
      guard(this.tail('incidents', (partition, record) => this.readIncident(partition, record))),
      guard(this.tail('requests', (_partition, record) => decideRequest(this.on, decodeRequest(record.value ?? new Uint8Array()), record.time))),
      guard(this.watchConfig()),
    ])
    this.alarms.clearAll()
    await Promise.race([this.lanes.close(), delay(this.options.clock, DRAIN_MS, finished.signal)])
    finished.abort()
    await desk
    if (failures.length > 0) throw failures[0]
  }

  /** Leases that ended meanwhile end first, so that no device is quarantined by an expired command; then all else goes on. */
  private takeOver(): void {
    for (const row of this.state.leases.values()) {
      if (row.state !== 'active') continue
      if (row.lease.until <= this.on.now()) decideLeaseEnd(this.on, row.lease.device)
      else this.on.alarm(`lease/${row.lease.device}`, row.lease.until)
    }
    for (const entry of this.state.outbox.values()) {
      if (entry.kind === 'command') this.on.alarm(`outbox/${entry.id}`, Math.max(entry.due, this.on.now() + answerMs(entry.tries)))
      this.desk.afterCommit(() => this.start(entry))
    }
    this.desk.afterCommit(() => this.assertAll())
  }

  private ring(key: string): void {
    const slash = key.indexOf('/')
    const [kind, name] = slash < 0 ? [key, ''] : [key.slice(0, slash), key.slice(slash + 1)]
    if (kind === 'lease') decideLeaseEnd(this.on, name)
    else if (kind === 'outbox') decideAttempt(this.on, name)
    else if (kind === 'config') decideConfigRepeat(this.on)
    else this.desk.afterCommit(() => this.assertAll())
  }

  private start(entry: OutboxEntry): void {
    if (this.stop.signal.aborted) return
    this.lanes.start({
      id: entry.id,
      ...laneOf(entry),
      perform: async () => {
        if (!this.state.outbox.has(entry.id)) return
        const outcome = await this.effects.perform(entry)
        this.desk.post(() => decideOutcome(this.on, entry.id, outcome))
      },
    })
  }

  /** Tells every quarantined device's desired state again, in case the broker lost it. Only after a commit: the rows are durable then. */
  private assertAll(): void {
    this.alarms.set('assert', this.on.now() + ASSERT_MS)
    const rows = this.state.leases.values().filter((row) => row.state === 'active')
    this.lanes.start({ id: 'assert', lane: 'assert', width: 1, perform: () => this.assertEach(rows) })
  }

  private async assertEach(rows: readonly LeaseRow[]): Promise<void> {
    for (const row of rows) {
      if (this.stop.signal.aborted) return
      // Decided anew since, perhaps not yet durably: the new command tells the state itself.
      if (this.state.leases.get(row.lease.device) !== row) continue
      const outcome = await this.options.enforcer.assertDesired({ id: row.command, kind: 'quarantine', lease: row.lease })
      if (outcome.status !== 'done') this.options.meters.errors.add(1, { reason: 'desired state not asserted' })
    }
  }

  private async commit(): Promise<void> {
    const writes = this.state.takeWrites()
    if (writes.length > 0) await this.options.owned.commit(writes, { next: this.state.next(), incarnation: '' })
    const { meters } = this.options
    meters.leases.set(this.state.leases.size)
    meters.outbox.set(this.state.outbox.size)
    meters.openIncidents.set(this.state.incidents.size)
    if (!this.isFull()) for (const go of this.roomFor.splice(0)) go()
  }

  private async tail(topic: 'incidents' | 'requests', decide: (partition: number, record: StoredRecord) => void): Promise<void> {
    const from = new Map<number, number>()
    for (let partition = 0; partition < this.options.log.partitions; partition++) {
      const offset = this.state.offsets.get(offsetKey(topic, partition))
      if (offset !== undefined) from.set(partition, offset)
    }
    await this.options.log.tail(topic, from, (slice) => this.take(topic, slice, decide), this.stop.signal)
  }

  private async take(topic: Topic, slice: Slice, decide: (partition: number, record: StoredRecord) => void): Promise<void> {
    const { partition, records } = slice
    for (let start = 0; start < records.length; start += RECORDS_AT_ONCE) {
      await this.room()
      if (this.stop.signal.aborted) return
      const chunk = records.slice(start, start + RECORDS_AT_ONCE)
      await this.desk.decide(() => {
        if (start === 0 && slice.lost > 0) this.noteLoss(offsetKey(topic, partition), slice.lost)
        for (const record of chunk) this.decideRecord(topic, partition, record, decide)
        const isLast = start + RECORDS_AT_ONCE >= records.length
        this.state.offsets.set(offsetKey(topic, partition), isLast ? slice.next : chunk[chunk.length - 1]!.offset + 1)
      })
    }
  }

  private decideRecord(topic: Topic, partition: number, record: StoredRecord, decide: (partition: number, record: StoredRecord) => void): void {
    try {
      decide(partition, record)
    } catch (error) {
      if (!isPipelineError(error, 'BAD_RECORD')) throw error
      this.options.meters.drops.add(1, { stage: 'respond', reason: 'bad-record' })
      this.options.logger.warn({ error, topic, partition, offset: record.offset }, 'respond: a record that cannot be read was skipped')
    }
  }

  private readIncident(partition: number, record: StoredRecord): void {
    const said = decodeIncidentRecord(record.value ?? new Uint8Array())
    const since = said.kind === 'revision' ? said.arrival : record.time
    for (const change of this.reader.apply(partition, said, record.time)) {
      this.desk.afterCommit(() => this.tell(change, since))
      decideChange(this.on, change, since)
    }
    const mark = this.reader.mark(partition)
    if (mark) this.state.marks.set(String(partition), mark)
  }

  private tell({ kind, incident }: Change, since: number): void {
    const { id, device, cause, severity, revision, surprise } = incident
    const fields = { incident: id, device, class: incident.class, cause, severity, revision, surprise, closedBy: incident.closedBy }
    if (kind === 'opened') this.options.meters.toIncident.observe(Math.max(0, this.on.now() - since) / 1000)
    this.options.logger[kind === 'updated' ? 'debug' : 'info'](fields, `incident ${kind}: ${incident.summary}`)
  }

  private noteLoss(place: string, lost: number): void {
    this.on.tell('error', { place, lost }, 'respond: retention took records before they were read')
    this.on.afterCommit(() => this.options.meters.drops.add(lost, { stage: 'respond', reason: 'retention' }))
    this.state.record({ at: this.on.now(), kind: 'note', device: '', incident: '', action: 'loss', reason: `retention took ${lost} records of ${place} unread` })
  }

  /** Looks until the partitions say which config is in force; nothing else waits for it. */
  private async watchConfig(): Promise<void> {
    if (this.state.config) return this.knowConfig([])
    this.stage = 'unconfigured'
    const { log, clock } = this.options
    const { signal } = this.stop
    while (!signal.aborted && !(await readPartitionHead(log, 0))) await delay(clock, LOOK_AGAIN_MS, signal)
    const newest: ConfigSaid[] = []
    for (let partition = 0; partition < log.partitions; partition++) {
      const config = await readNewestConfig(log, partition, signal)
      if (config) newest.push(config)
    }
    if (!signal.aborted) await this.knowConfig(newest)
  }

  private async knowConfig(newest: readonly ConfigSaid[]): Promise<void> {
    await this.desk.decide(() => decideConfig(this.on, newest))
    this.stage = 'working'
  }

  private isFull(): boolean {
    return this.commandsWaiting() >= this.options.limits.outbox
  }

  private commandsWaiting(): number {
    return this.state.outbox.count('command') + this.state.outbox.count('control')
  }

  private async room(): Promise<void> {
    const { signal } = this.stop
    while (this.isFull() && !signal.aborted)
      await new Promise<void>((resolve) => {
        const go = () => {
          signal.removeEventListener('abort', go)
          resolve()
        }
        this.roomFor.push(go)
        signal.addEventListener('abort', go)
      })
  }
}

