/** The intake: incidents and requests out of the log onto the desk, in their order, and an `off` past all that waits there. */
import { isPipelineError } from '../core/errors.ts'
import { decodeRequest, FLEET_PARTITION } from '../core/request.ts'
import type { Request } from '../core/request.ts'
import { offsetKey } from '../log/log.ts'
import type { Log, Slice, StoredRecord } from '../log/log.ts'
import { decodeIncidentRecord } from '../log/revision.ts'
import type { IncidentRecord } from '../log/revision.ts'
import type { Clock } from '../ops/clock.ts'
import { delay } from '../ops/clock.ts'
import type { Logger } from '../ops/logger.ts'
import { decideSaid, hurryControls } from './config-versions.ts'
import { decideChange } from './decisions.ts'
import type { Deciding } from './deciding.ts'
import type { Desk } from './desk.ts'
import type { Switch } from './enforcement.ts'
import type { Change, IncidentReader, Mark } from './incident-reader.ts'
import { mutedBy } from './muters.ts'
import { decideRequest } from './requests.ts'
import type { ConfigSaid } from './state.ts'

const TOPICS = ['incidents', 'requests'] as const
type Topic = (typeof TOPICS)[number]

export interface IntakeOptions {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  readonly desk: Desk
  readonly on: Deciding
  readonly reader: IncidentReader
  readonly enforcement: Switch
  readonly signal: AbortSignal
  /** Resolves when incidents may be read on. Requests never wait: what they ask for is bounded by the leases, and one of them may be the way out. */
  readonly room: () => Promise<void>
}

/** Records decided on at once. */
const RECORDS_AT_ONCE = 64
const LOOK_AGAIN_MS = 1_000

export class Intake {
  private readonly options: IntakeOptions
  /** Aborts once more incidents are decided on. */
  private further = new AbortController()

  constructor(options: IntakeOptions) {
    this.options = options
  }

  /** At takeover: topics that were made anew are read from their start, and an `off` not decided yet is heard before anything leaves. */
  async catchUp(): Promise<void> {
    const { log, on } = this.options
    for (const [topic, partition, key] of this.places())
      if ((on.state.offsets.get(key) ?? 0) > (await log.bounds(topic, partition)).high) on.state.offsets.delete(key)
    const from = on.state.offsets.get(offsetKey('requests', FLEET_PARTITION)) ?? (await log.bounds('requests', FLEET_PARTITION)).low
    for (let next = from; !this.options.signal.aborted; ) {
      const slice = await log.read('requests', FLEET_PARTITION, next, RECORDS_AT_ONCE)
      if (!slice) return
      this.listen(slice)
      next = slice.next
    }
  }

  /** Resolves when the incidents are decided on up to where they ended at this call, or the signal has aborted. */
  async abreast(): Promise<void> {
    const { log, clock, signal } = this.options
    const ends = await Promise.all(Array.from({ length: log.partitions }, async (_, partition) => (await log.bounds('incidents', partition)).high))
    for (const [partition, end] of ends.entries())
      while (!signal.aborted && (await this.isBehind(partition, end)))
        await delay(clock, LOOK_AGAIN_MS, AbortSignal.any([signal, this.further.signal]))
  }

  private async isBehind(partition: number, end: number): Promise<boolean> {
    const { log, on } = this.options
    const next = on.state.offsets.get(offsetKey('incidents', partition)) ?? 0
    // What stood there may be lost: nobody waits for what can't be read.
    return next < end && (await log.read('incidents', partition, next, 1)) !== null
  }

  async incidents(): Promise<void> {
    await this.tail('incidents', (slice) => this.takeIncidents(slice))
  }

  async requests(): Promise<void> {
    const decide = (record: StoredRecord) => decideRequest(this.options.on, decodeRequest(record.value ?? new Uint8Array()), record.time)
    await this.tail('requests', async (slice) => this.take('requests', slice, decide))
  }

  /** Hears an `off` at once, while commits and effects are under way. */
  async listening(): Promise<void> {
    await this.tail('requests', async (slice) => this.listen(slice))
  }

  /** Sets the gauge of what is not decided yet. */
  async measure(): Promise<void> {
    const { log, on } = this.options
    for (const [topic, partition, key] of this.places()) {
      const { low, high } = await log.bounds(topic, partition)
      on.meters.lag.set(Math.max(0, high - (on.state.offsets.get(key) ?? low)), { topic, partition: String(partition) })
    }
  }

  private places(): [Topic, number, string][] {
    const partitions = Array.from({ length: this.options.log.partitions }, (_, partition) => partition)
    return TOPICS.flatMap((topic) => partitions.map((partition): [Topic, number, string] => [topic, partition, offsetKey(topic, partition)]))
  }

  private async tail(topic: Topic, each: (slice: Slice) => Promise<void>): Promise<void> {
    const { log, on, signal } = this.options
    const from = new Map<number, number>()
    for (const [of, partition, key] of this.places()) {
      const offset = on.state.offsets.get(key)
      if (of === topic && offset !== undefined) from.set(partition, offset)
    }
    await log.tail(topic, from, each, signal)
  }

  private listen({ partition, records }: Slice): void {
    const { on, enforcement } = this.options
    if (partition !== FLEET_PARTITION) return
    const decided = on.state.offsets.get(offsetKey('requests', partition)) ?? 0
    for (const record of records) {
      const off = record.offset >= decided ? offIn(record) : null
      if (off) enforcement.heard(record.offset, off)
    }
  }

  private async takeIncidents(slice: Slice): Promise<void> {
    const said = new Map<number, IncidentRecord>()
    const last = new Map<string, { readonly offset: number; readonly isClosed: boolean }>()
    const decode = ({ value }: StoredRecord): IncidentRecord => decodeIncidentRecord(value ?? new Uint8Array())
    for (const record of slice.records) {
      const one = this.readable('incidents', slice.partition, record, () => decode(record))
      if (!one) continue
      said.set(record.offset, one)
      if (one.kind === 'revision') last.set(one.incident.id, { offset: record.offset, isClosed: one.incident.state === 'closed' })
    }
    await this.take('incidents', slice, (record) => {
      const one = said.get(record.offset)
      const closing = one?.kind === 'revision' ? last.get(one.incident.id) : undefined
      if (one) this.decideIncident(slice.partition, one, record, closing?.isClosed === true && closing.offset > record.offset)
    })
    this.further.abort()
    this.further = new AbortController()
  }

  private async take(topic: Topic, slice: Slice, decide: (record: StoredRecord) => void): Promise<void> {
    const { desk, on, signal } = this.options
    const { partition, records } = slice
    const key = offsetKey(topic, partition)
    for (let start = 0; start < records.length; start += RECORDS_AT_ONCE) {
      if (topic === 'incidents') await this.options.room()
      if (signal.aborted) return
      const chunk = records.slice(start, start + RECORDS_AT_ONCE)
      await desk.decide(() => {
        if (start === 0 && slice.lost > 0) this.noteLoss(key, slice.lost)
        for (const record of chunk) this.readable(topic, partition, record, () => decide(record))
        const isLast = start + RECORDS_AT_ONCE >= records.length
        on.state.offsets.set(key, isLast ? slice.next : chunk[chunk.length - 1]!.offset + 1)
      })
    }
  }

  /** Undefined for a record that can't be read, which is said and counted. */
  private readable<T>(topic: Topic, partition: number, record: StoredRecord, read: () => T): T | undefined {
    try {
      return read()
    } catch (error) {
      if (!isPipelineError(error, 'BAD_RECORD')) throw error
      this.options.on.meters.drops.add(1, { stage: 'respond', reason: 'bad-record' })
      this.options.logger.warn({ error, topic, partition, offset: record.offset }, 'respond: a record that cannot be read was skipped')
      return undefined
    }
  }

  private decideIncident(partition: number, said: IncidentRecord, record: StoredRecord, closesLater: boolean): void {
    const { on, reader } = this.options
    const since = said.kind === 'revision' ? said.arrival : record.time
    const before = reader.mark(partition)
    for (const change of reader.apply(partition, said, record.time)) {
      const silencedBy = mutedBy(on.state.silences.values(), change.incident, on.now())
      on.afterCommit(() => this.tell(change, since, silencedBy))
      decideChange(on, change, { since, closesLater, silencedBy, after: '' })
    }
    const mark = reader.mark(partition)
    if (!mark) return
    on.state.marks.set(String(partition), mark)
    const config = configOf(said, mark)
    if (config) decideSaid(on, partition, config)
    if (mark.incarnation !== before?.incarnation) hurryControls(on, partition)
  }

  private tell({ kind, incident }: Change, since: number, silencedBy: readonly string[]): void {
    const { on, logger } = this.options
    const { id, device, cause, severity, revision, surprise } = incident
    const silenced = silencedBy.length > 0 ? { silencedBy } : {}
    const fields = { incident: id, device, class: incident.class, cause, severity, revision, surprise, closedBy: incident.closedBy, ...silenced }
    if (kind === 'opened') on.meters.toIncident.observe(Math.max(0, on.now() - since) / 1000)
    logger[kind === 'updated' ? 'debug' : 'info'](fields, `incident ${kind}: ${incident.summary}`)
  }

  private noteLoss(place: string, lost: number): void {
    const { on } = this.options
    on.tell('error', { place, lost }, 'respond: retention took records before they were read')
    on.afterCommit(() => on.meters.drops.add(lost, { stage: 'respond', reason: 'retention' }))
    on.state.record({ at: on.now(), kind: 'note', device: '', incident: '', action: 'loss', reason: `retention took ${lost} records of ${place} unread` })
  }
}

/** The config that a record says is in force; null where it says none, or its owner is gone. */
export function configOf(record: IncidentRecord, mark: Mark): ConfigSaid | null {
  if (record.kind !== 'opened' || !record.config) return null
  const { incarnation, epoch } = record.stamp
  return incarnation === mark.incarnation && epoch === mark.epoch ? { ...record.config, incarnation } : null
}

/** The request, where it says off; null also for what can't be read: whoever decides on it counts it. */
function offIn({ value }: StoredRecord): Request | null {
  try {
    const request = decodeRequest(value ?? new Uint8Array())
    return request.kind === 'enforcement' && request.state === 'off' ? request : null
  } catch (error) {
    if (!isPipelineError(error, 'BAD_RECORD')) throw error
    return null
  }
}
