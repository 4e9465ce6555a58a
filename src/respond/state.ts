/** All that respond knows: rows of the `leases` topic by prefix, held in memory, their changes collected for the next commit. */
import type { Incident } from '../core/incident.ts'
import { errorText, PipelineError } from '../core/errors.ts'
import type { Position } from '../core/position.ts'
import type { Offsets, Write } from '../log/log.ts'
import type { Command, Lease } from './enforcer.ts'
import type { Mark } from './incident-reader.ts'
import { appendLine, EMPTY_LEDGER } from './ledger.ts'
import type { LedgerHead, LineFields } from './ledger.ts'

/** `lease/DEVICE`: a quarantine, or its release under way. */
export interface LeaseRow {
  readonly state: 'active' | 'releasing'
  /** Of the command in force; when releasing, with the release's own generation, reason and times. */
  readonly lease: Lease
  /** Of the device in `readings`. */
  readonly partition: number
  /** Outbox ids of the command and the control record in force. */
  readonly command: string
  readonly control: string
}

/** `incident/ID`, while it is open. */
export interface IncidentRow {
  readonly incident: Incident
  readonly partition: number
  readonly position: Position
  /** Generation of the last lease it led to or was held back by; 0: none. */
  readonly generation: number
}

interface EntryBase {
  readonly id: string
  /** When it was decided, ms since epoch. */
  readonly at: number
  /** Attempts begun. */
  readonly tries: number
  /** When the next attempt, or the end, is due, ms since epoch. */
  readonly due: number
}

export interface NotifyEntry extends EntryBase {
  readonly kind: 'notify'
  readonly notifier: string
  readonly incident: Incident
}

export interface CommandEntry extends EntryBase {
  readonly kind: 'command'
  readonly command: Command
  /** Handed over to the broker at least once. */
  readonly sent: boolean
  /** The device said it works on it. */
  readonly accepted: boolean
  /** When what caused it was received, ms since epoch; null where a clock made it. */
  readonly since: number | null
}

/** A control record to be appended to a readings partition; a config's settings are the responder's own. */
export interface ControlEntry extends EntryBase {
  readonly kind: 'control'
  readonly partition: number
  readonly body:
    | { readonly kind: 'quarantine'; readonly device: string; readonly generation: number; readonly until: number | null }
    | { readonly kind: 'config'; readonly version: number; readonly hash: string }
}

/** `outbox/ID`: an effect that was decided and has no outcome yet. */
export type OutboxEntry = NotifyEntry | CommandEntry | ControlEntry

/** `config`: the version in force, and when it was last written to the partitions. */
export interface ConfigRow {
  readonly version: number
  readonly hash: string
  readonly at: number
}

/** Rows under one prefix. */
class Rows<T> {
  private readonly prefix: string
  private readonly dirty: Map<string, unknown>
  private readonly map = new Map<string, T>()

  constructor(prefix: string, dirty: Map<string, unknown>) {
    this.prefix = prefix
    this.dirty = dirty
  }

  get size(): number {
    return this.map.size
  }

  get(key: string): T | undefined {
    return this.map.get(key)
  }

  has(key: string): boolean {
    return this.map.has(key)
  }

  keys(): string[] {
    return [...this.map.keys()]
  }

  values(): T[] {
    return [...this.map.values()]
  }

  set(key: string, row: T): void {
    this.map.set(key, row)
    this.dirty.set(this.prefix + key, row)
  }

  delete(key: string): void {
    if (this.map.delete(key)) this.dirty.set(this.prefix + key, null)
  }

  /** Takes a stored row when it is one of these. */
  restore(key: string, row: unknown): boolean {
    if (!key.startsWith(this.prefix)) return false
    this.map.set(key.slice(this.prefix.length), row as T)
    return true
  }
}

/** The outbox, with a count of each kind. */
class OutboxRows extends Rows<OutboxEntry> {
  private readonly counts = { notify: 0, command: 0, control: 0 }

  count(kind: OutboxEntry['kind']): number {
    return this.counts[kind]
  }

  override set(id: string, entry: OutboxEntry): void {
    if (!this.has(id)) this.counts[entry.kind]++
    super.set(id, entry)
  }

  override delete(id: string): void {
    const entry = this.get(id)
    if (entry) this.counts[entry.kind]--
    super.delete(id)
  }

  override restore(key: string, row: unknown): boolean {
    if (!super.restore(key, row)) return false
    this.counts[(row as OutboxEntry).kind]++
    return true
  }
}

/** Ids of requests remembered, so that a repeat acts once. */
const REQUESTS_KEPT = 1_000

export class ResponderState {
  /** Row by key, null where it was deleted; what the next commit writes. */
  private readonly dirty = new Map<string, unknown>()
  private lines: { readonly key: string; readonly line: string }[] = []

  readonly leases = new Rows<LeaseRow>('lease/', this.dirty)
  readonly incidents = new Rows<IncidentRow>('incident/', this.dirty)
  readonly outbox = new OutboxRows('outbox/', this.dirty)
  /** By partition. */
  readonly marks = new Rows<Mark>('mark/', this.dirty)
  /** Next offset by TOPIC/PARTITION. */
  readonly offsets = new Rows<number>('offset/', this.dirty)
  private readonly requests = new Rows<number>('request/', this.dirty)
  /** The rows of which there is one: `ledger`, `generation`, `config`. */
  private readonly single = new Rows<unknown>('', this.dirty)

  /** Takes a row as it stands in the log. Throws BAD_RECORD. */
  restore(key: string, value: Uint8Array): void {
    const row = parseRow(key, value)
    const prefixed = [this.leases, this.incidents, this.outbox, this.marks, this.offsets, this.requests]
    if (!prefixed.some((rows) => rows.restore(key, row))) this.single.restore(key, row)
  }

  get ledger(): LedgerHead {
    return (this.single.get('ledger') as LedgerHead | undefined) ?? EMPTY_LEDGER
  }

  get config(): ConfigRow | undefined {
    return this.single.get('config') as ConfigRow | undefined
  }

  setConfig(row: ConfigRow): void {
    this.single.set('config', row)
  }

  /** Greater than every one before, also where the log that knew them is lost: at least `now`. */
  nextGeneration(now: number): number {
    const last = (this.single.get('generation') as number | undefined) ?? 0
    const generation = Math.max(last + 1, Math.floor(now))
    this.single.set('generation', generation)
    return generation
  }

  record(fields: LineFields): void {
    const { line, head } = appendLine(this.ledger, fields)
    this.lines.push({ key: fields.device, line })
    this.single.set('ledger', head)
  }

  /** False when the id was seen among the last 1,000. */
  isNewRequest(id: string, now: number): boolean {
    if (this.requests.has(id)) return false
    this.requests.set(id, now)
    if (this.requests.size > REQUESTS_KEPT) this.requests.delete(this.oldestRequest())
    return true
  }

  private oldestRequest(): string {
    let oldest = ''
    let time = Infinity
    for (const id of this.requests.keys()) {
      const at = this.requests.get(id)!
      if (at < time) [oldest, time] = [id, at]
    }
    return oldest
  }

  /** What changed since the last call, as one commit; empty when nothing did. */
  takeWrites(): Write[] {
    const writes: Write[] = this.lines.map(({ key, line }) => ({ topic: 'actions', partition: 0, key, value: Buffer.from(line, 'utf8') }))
    for (const [key, row] of this.dirty)
      writes.push({ topic: 'leases', partition: 0, key, value: row === null ? null : Buffer.from(JSON.stringify(row), 'utf8') })
    this.lines = []
    this.dirty.clear()
    return writes
  }

  /** Next offsets of everything read, by topic/partition. */
  next(): Offsets {
    return new Map(this.offsets.keys().map((key) => [key, this.offsets.get(key)!]))
  }
}

function parseRow(key: string, value: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(value).toString('utf8'))
  } catch (cause) {
    throw new PipelineError('BAD_RECORD', `respond's row ${key} can't be read: ${errorText(cause)}`, { cause })
  }
}
