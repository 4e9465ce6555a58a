/** All that respond knows: rows of the `leases` topic by prefix, held in memory, their changes collected for the next commit. */
import type { Incident, Severity } from '../core/incident.ts'
import { errorText, PipelineError } from '../core/errors.ts'
import type { Position } from '../core/position.ts'
import type { Silence } from '../core/standing.ts'
import type { Offsets, Write } from '../log/log.ts'
import type { ConfigInForce } from '../log/revision.ts'
import type { Command, Lease } from './enforcer.ts'
import type { Mark } from './incident-reader.ts'
import { appendLine, EMPTY_LEDGER } from './ledger.ts'
import type { LedgerHead, LineFields } from './ledger.ts'
import type { Group, Notice, Response } from './notifier.ts'
import { IncidentRows, LeaseRows, OutboxRows, Rows } from './rows.ts'

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
  /** Class and labels of the device, for the governor's groups; '' and {} when they were not known. */
  readonly class?: string
  readonly labels?: Readonly<Record<string, string>>
}

/** `incident/ID`, while it is open. */
export interface IncidentRow {
  readonly incident: Incident
  readonly partition: number
  readonly position: Position
  /** Generation of the last lease it led to or was held back by; 0: none. */
  readonly generation: number
  /** The last revision people were told of, and when; left out: none. */
  readonly told?: { readonly revision: number; readonly at: number }
  /** Its quarantine is held back, since when and why, and is tried again. */
  readonly waits?: { readonly since: number; readonly reason: string }
  /** A person released the device: it is not quarantined again for this incident up to this severity. */
  readonly released?: { readonly severity: Severity; readonly generation: number }
  /** Ids of the silences it was last muted by. */
  readonly muted?: string
}

/** `owed/ID`: an incident that people know as open and that closed while it was muted. They are told when nothing mutes it any more. */
export interface OwedRow {
  readonly incident: Incident
}

/** `silence/ID`. Past its `until` it mutes nothing, and stays until all that people are owed of it is told. */
export type SilenceRow = Silence

/** `enforcement`: what was last asked for by request, and what people were last told is in force. */
export interface EnforcementRow {
  /** By request; on when nobody asked. */
  readonly asked: 'on' | 'off'
  readonly reason: string
  readonly by: string
  /** Of the last change of what is in force, ms since epoch; null: none. */
  readonly since: number | null
  readonly told: 'on' | 'off'
  /** Every quarantine is to be ended. */
  readonly releases: boolean
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
  /** The newest revision. */
  readonly incident: Incident
  /** All revisions it tells of, the oldest first, where the notifier gathers them; while `tries` is 0 more may come. */
  readonly incidents?: readonly Incident[]
  /** Left out in entries of before there were groups. */
  readonly group?: Group
  readonly response?: Response
}

/** Something to be said that is about no incident. */
export interface NoticeEntry extends EntryBase {
  readonly kind: 'notice'
  readonly notifier: string
  readonly notice: Notice
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
export type OutboxEntry = NotifyEntry | NoticeEntry | CommandEntry | ControlEntry

/** `config`: the version in force, and when it was last written to the partitions. */
export interface ConfigRow {
  readonly version: number
  readonly hash: string
  readonly at: number
}

/** `config/PARTITION`: what detect said last that a partition obeys. */
export interface ConfigSaid extends ConfigInForce {
  readonly incarnation: string
}

/** Ids of requests remembered, so that a repeat acts once. */
const REQUESTS_KEPT = 1_000

export class ResponderState {
  /** Row by key, null where it was deleted; what the next commit writes. */
  private readonly dirty = new Map<string, unknown>()
  private lines: { readonly key: string; readonly line: string }[] = []

  readonly leases = new LeaseRows('lease/', this.dirty)
  readonly incidents = new IncidentRows('incident/', this.dirty)
  readonly outbox = new OutboxRows('outbox/', this.dirty)
  readonly silences = new Rows<SilenceRow>('silence/', this.dirty)
  readonly owed = new Rows<OwedRow>('owed/', this.dirty)
  /** By partition. */
  readonly marks = new Rows<Mark>('mark/', this.dirty)
  /** By partition. */
  readonly said = new Rows<ConfigSaid>('config/', this.dirty)
  /** Next offset by TOPIC/PARTITION. */
  readonly offsets = new Rows<number>('offset/', this.dirty)
  private readonly requests = new Rows<number>('request/', this.dirty)
  /** The rows of which there is one: `ledger`, `generation`, `config`, `enforcement`, `pace`. */
  private readonly single = new Rows<unknown>('', this.dirty)

  /** Takes a row as it stands in the log. Throws BAD_RECORD. */
  restore(key: string, value: Uint8Array): void {
    const row = parseRow(key, value)
    const prefixed = [this.leases, this.incidents, this.outbox, this.silences, this.owed, this.marks, this.said, this.offsets, this.requests]
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

  get enforcement(): EnforcementRow | undefined {
    return this.single.get('enforcement') as EnforcementRow | undefined
  }

  setEnforcement(row: EnforcementRow): void {
    this.single.set('enforcement', row)
  }

  /** Quarantines begun lately, as the ledger has them: [second since epoch, how many]. */
  get pace(): readonly (readonly [number, number])[] {
    return (this.single.get('pace') as readonly (readonly [number, number])[] | undefined) ?? []
  }

  setPace(pace: readonly (readonly [number, number])[]): void {
    this.single.set('pace', pace)
  }

  /** Greater than every one before, also where the log that knew them is lost: at least `now`. */
  nextGeneration(now: number): number {
    const last = (this.single.get('generation') as number | undefined) ?? 0
    const generation = Math.max(last + 1, Math.floor(now))
    this.single.set('generation', generation)
    return generation
  }

  /** The ledger has lines that this state knows nothing of: the next one goes behind them. */
  continueLedger({ seq, hash }: LedgerHead): void {
    this.single.set('ledger', { seq, hash })
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
