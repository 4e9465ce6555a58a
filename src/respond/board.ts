/** The board: incidents as the API shows them, read from the log from its oldest kept record, and shown only once they are durable. */
import type { Incident } from '../core/incident.ts'
import { isPipelineError, PipelineError } from '../core/errors.ts'
import type { Log, Slice } from '../log/log.ts'
import { decodeIncidentRecord } from '../log/revision.ts'
import type { Clock } from '../ops/clock.ts'
import { delay } from '../ops/clock.ts'
import type { Logger } from '../ops/logger.ts'
import type { Counter, Metrics } from '../ops/metrics.ts'
import { IncidentReader } from './incident-reader.ts'

export interface BoardOptions {
  readonly log: Log
  readonly clock: Clock
  readonly metrics: Metrics
  readonly logger: Logger
  /** Most open incidents shown; those that open beyond it are not (counted). Default 10,000. */
  readonly mostOpen?: number
  /** The last so many closed ones stay. Default 10,000. */
  readonly mostClosed?: number
}

export interface BoardQuery {
  readonly state?: Incident['state'] | null
  readonly device?: string | null
  /** At least 1. */
  readonly limit: number
  /** Id of the last incident of the page before. */
  readonly after?: string | null
}

const PAUSE_MS_FIRST = 100
const PAUSE_MS_MOST = 5_000

export class Board {
  private readonly options: BoardOptions
  private readonly reader: IncidentReader
  private readonly drops: Counter
  private readonly next = new Map<number, number>()
  private readonly byId = new Map<string, Incident>()
  /** Newest opened first; an incident's place never changes. */
  private readonly order: Incident[] = []
  private readonly closed = new Set<string>()
  private openCount = 0

  constructor(options: BoardOptions) {
    this.options = options
    this.drops = options.metrics.counter('picket_messages_dropped_total', 'What a stage dropped, by reason', ['stage', 'reason'])
    this.reader = new IncidentReader({ mostOpen: options.mostOpen ?? 10_000, remark: (reason) => this.drop(reason) })
  }

  /** Reads until `signal` aborts; an error of the log that may pass is waited out, any other rejects. */
  async run(signal: AbortSignal): Promise<void> {
    let pause = PAUSE_MS_FIRST
    while (!signal.aborted) {
      try {
        await this.options.log.tail(
          'incidents',
          this.next,
          async (slice) => {
            await this.take(slice)
            pause = PAUSE_MS_FIRST
          },
          signal,
        )
        return // the signal, or the log was closed
      } catch (error) {
        if (signal.aborted) return
        if (!isPipelineError(error) || !error.retriable) throw error
        if (error.code === 'RECREATED') this.next.clear()
        this.options.logger.warn({ error, pauseMs: pause }, 'board: reading incidents failed, trying again')
        await delay(this.options.clock, pause, signal)
        pause = Math.min(pause * 2, PAUSE_MS_MOST)
      }
    }
  }

  /** Newest opened first. Throws REFUSED when `after` is no incident on the board. */
  list(query: BoardQuery): readonly Incident[] {
    const found: Incident[] = []
    for (let i = this.startOf(query.after ?? null); i < this.order.length && found.length < query.limit; i++) {
      const incident = this.order[i]!
      if (query.state && incident.state !== query.state) continue
      if (query.device && incident.device !== query.device) continue
      found.push(incident)
    }
    return found
  }

  get(id: string): Incident | null {
    return this.byId.get(id) ?? null
  }

  private startOf(after: string | null): number {
    if (after === null) return 0
    const last = this.byId.get(after)
    if (!last) throw new PipelineError('REFUSED', `after: no incident ${after} is kept; start again without it`)
    return this.placeOf(last) + 1
  }

  private async take(slice: Slice): Promise<void> {
    await this.options.log.flushed()
    if (slice.lost > 0) this.noteLoss(slice)
    for (const record of slice.records) {
      try {
        const changes = this.reader.apply(slice.partition, decodeIncidentRecord(record.value ?? new Uint8Array()), record.time)
        for (const change of changes) this.show(change.incident)
      } catch (error) {
        if (!isPipelineError(error, 'BAD_RECORD')) throw error
        this.drop('bad-record')
      }
    }
    this.next.set(slice.partition, slice.next)
  }

  private noteLoss({ partition, lost }: Slice): void {
    this.drops.add(lost, { stage: 'board', reason: 'retention' })
    this.options.logger.warn({ partition, lost }, 'board: retention took records of incidents before they were read')
  }

  private show(incident: Incident): void {
    const known = this.byId.get(incident.id)
    const opens = (incident.state === 'open' ? 1 : 0) - (known?.state === 'open' ? 1 : 0)
    if (opens > 0 && this.openCount >= (this.options.mostOpen ?? 10_000)) return this.drop('full')
    this.openCount += opens
    const place = this.placeOf(incident)
    if (known && this.order[place] === known) this.order[place] = incident
    else this.order.splice(place, 0, incident)
    this.byId.set(incident.id, incident)
    if (incident.state === 'closed') this.keepClosed(incident.id)
  }

  private keepClosed(id: string): void {
    this.closed.add(id)
    if (this.closed.size <= (this.options.mostClosed ?? 10_000)) return
    for (const oldest of this.closed) {
      const incident = this.byId.get(oldest)
      if (incident) this.order.splice(this.placeOf(incident), 1)
      this.byId.delete(oldest)
      this.closed.delete(oldest)
      break
    }
  }

  /** Index of the incident, or where it belongs. */
  private placeOf(incident: Incident): number {
    let low = 0
    let high = this.order.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isNewer(this.order[middle]!, incident)) low = middle + 1
      else high = middle
    }
    return low
  }

  private drop(reason: string): void {
    this.drops.add(1, { stage: 'board', reason })
  }
}

/** By when it opened, then by id: neither changes from revision to revision. */
function isNewer(a: Incident, b: Incident): boolean {
  return a.openedAt > b.openedAt || (a.openedAt === b.openedAt && a.id > b.id)
}
