/**
 * Open incidents of one partition: one active a device and cause, opened by an exceeded threshold, severity up and down, closed by calm.
 * A severity is how much rarer than the budget asks: warning at the threshold, minor 10 times, major 100, critical 1,000 times rarer.
 */
import { type Cause, type ConfigVersion, type Incident, SEVERITIES, type Severity, type Vote } from '../core/incident.ts'
import { idOf } from '../core/hash.ts'
import type { Position } from '../core/position.ts'
import type { RowPart } from './detector.ts'
import type { Table } from './table.ts'

// float32
const CALM = 0
const SINCE = 1

export const course: RowPart = {
  name: 'course',
  version: 1,
  scope: 'incident',
  fields: {
    present: [
      { name: 'calm', type: 'float32', width: 1 },
      { name: 'since', type: 'float32', width: SEVERITIES.length },
    ],
    baseline: [],
  },
}

/** Calm readings in a row that close an incident. */
const CALM_TO_CLOSE: Readonly<Partial<Record<Cause, number>>> = { silence: 1, loss: 1, capacity: 1 }
const CALM_TO_CLOSE_ELSE = 15
/** A reading is calm when every score lies so far below its threshold. */
const CALM_BELOW = 0.5
/** A severity holds for so many readings after it was last reached. */
const SEVERITY_HOLDS = 15
/** Counters stop here. */
const LONG_AGO = 1_000_000

export interface Subject {
  readonly device: string
  readonly class: string
  readonly labels: Readonly<Record<string, string>>
}

/** What one message, or one look at a device, came to for one cause. */
export interface Judgement {
  readonly cause: Cause
  /** Powers of ten beyond the threshold; negative below it. */
  readonly excess: number
  /** Index into SEVERITIES while the threshold is exceeded. */
  readonly severity: number
  readonly surprise: number
  /** ms since epoch. */
  readonly when: number
  /** When what is judged was received, ms since epoch. */
  readonly arrival: number
  readonly position: Position
  /** Asked only when an incident opens or its severity changes. */
  explain(): { readonly summary: string; readonly votes: readonly Vote[] }
}

/** What stands in every id, and in every revision. */
export interface Origin {
  readonly incarnation: string
  readonly partition: number
  readonly config: ConfigVersion
}

/** Takes each new revision, in the order they are made. */
export type Emit = (position: Position, incident: Incident, arrival: number) => void

export class Incidents {
  readonly #table: Table
  readonly #origin: Origin
  readonly #emit: Emit
  readonly #byDevice = new Map<string, Map<Cause, number>>()

  /** Finds what is open in `table`. */
  constructor(table: Table, origin: Origin, emit: Emit) {
    this.#table = table
    this.#origin = origin
    this.#emit = emit
    for (let row = 0; row < table.end; row++) if (table.name(row) !== undefined) this.#index(this.#incident(row), row)
  }

  has(device: string): boolean {
    return this.#byDevice.has(device)
  }

  isOpen(device: string, cause: Cause): boolean {
    return this.#byDevice.get(device)?.has(cause) === true
  }

  ids(): string[] {
    const ids: string[] = []
    for (let row = 0; row < this.#table.end; row++) if (this.#table.name(row) !== undefined) ids.push(this.#table.name(row)!)
    return ids
  }

  /** Opens, updates or closes. False when one should have opened and there was no room for it. */
  judge(subject: Subject, judgement: Judgement): boolean {
    const row = this.#byDevice.get(subject.device)?.get(judgement.cause)
    if (row !== undefined) this.#follow(row, judgement)
    else if (judgement.excess >= 0) return this.#begin(subject, judgement)
    return true
  }

  /** Ends one for a reason other than calm. */
  close(device: string, cause: Cause, position: Position, when: number, closedBy: string): void {
    const row = this.#byDevice.get(device)?.get(cause)
    if (row !== undefined) this.#end(row, position, { when, arrival: when }, closedBy)
  }

  closeAll(device: string, position: Position, when: number, closedBy: string): void {
    // By row: the order they were put into the map in does not survive a restart.
    const rows = [...(this.#byDevice.get(device)?.values() ?? [])].sort((a, b) => a - b)
    for (const row of rows) this.#end(row, position, { when, arrival: when }, closedBy)
  }

  /** Ends all that `isOver`, by row as well. */
  closeWhere(isOver: (device: string, cause: Cause) => boolean, position: Position, when: number, closedBy: string): void {
    for (let row = 0; row < this.#table.end; row++) {
      if (this.#table.name(row) === undefined) continue
      const { device, cause } = this.#incident(row)
      if (isOver(device, cause)) this.#end(row, position, { when, arrival: when }, closedBy)
    }
  }

  #begin(subject: Subject, judgement: Judgement): boolean {
    const { cause, position, when, severity, surprise } = judgement
    const id = idOf(this.#origin.incarnation, this.#origin.partition, position.offset, position.index, subject.device, cause)
    const row = this.#table.allocate(id, '')
    if (row < 0) return false
    const incident: Incident = {
      id,
      revision: 1,
      device: subject.device,
      class: subject.class,
      labels: subject.labels,
      cause,
      severity: SEVERITIES[severity]!,
      state: 'open',
      openedAt: when,
      updatedAt: when,
      closedAt: null,
      closedBy: null,
      surprise: rounded(surprise),
      ...judgement.explain(),
      config: this.#origin.config,
    }
    this.#write(row, incident)
    this.#index(incident, row)
    const { numbers, at } = this.#numbers(row)
    // What was never reached is long ago, so that a fresh row does not begin at critical.
    numbers.fill(LONG_AGO, at + SINCE, at + SINCE + SEVERITIES.length)
    this.#reach(row, severity)
    this.#emit(position, incident, judgement.arrival)
    return true
  }

  #follow(row: number, judgement: Judgement): void {
    const { cause, excess, position, when } = judgement
    this.#table.touch(row)
    const { numbers, at } = this.#numbers(row)
    numbers[at + CALM] = excess < -CALM_BELOW ? numbers[at + CALM]! + 1 : 0
    if (numbers[at + CALM]! >= (CALM_TO_CLOSE[cause] ?? CALM_TO_CLOSE_ELSE)) return this.#end(row, position, { when, arrival: judgement.arrival }, 'calm')
    const before = this.#severity(row)
    this.#reach(row, excess >= 0 ? judgement.severity : -1)
    const severity = this.#severity(row)
    // Before its text is read: a device may be odd for thousands of messages.
    if (severity === before) return
    const incident = this.#incident(row)
    const rises = SEVERITIES.indexOf(severity) > SEVERITIES.indexOf(before)
    const next: Incident = {
      ...incident,
      ...(rises ? judgement.explain() : {}),
      revision: incident.revision + 1,
      severity,
      updatedAt: when,
      surprise: Math.max(incident.surprise, rounded(judgement.surprise)),
      config: this.#origin.config,
    }
    this.#write(row, next)
    this.#emit(position, next, judgement.arrival)
  }

  #end(row: number, position: Position, { when, arrival }: { when: number; arrival: number }, closedBy: string): void {
    const incident = this.#incident(row)
    const causes = this.#byDevice.get(incident.device)!
    causes.delete(incident.cause)
    if (causes.size === 0) this.#byDevice.delete(incident.device)
    this.#table.free(row)
    const { config } = this.#origin
    this.#emit(position, { ...incident, revision: incident.revision + 1, state: 'closed', updatedAt: when, closedAt: when, closedBy, config }, arrival)
  }

  /** Notes which severities were reached just now; −1: none. */
  #reach(row: number, reached: number): void {
    const { numbers, at } = this.#numbers(row)
    for (let s = 0; s < SEVERITIES.length; s++) numbers[at + SINCE + s] = s <= reached ? 0 : Math.min(numbers[at + SINCE + s]! + 1, LONG_AGO)
  }

  #severity(row: number): Severity {
    const { numbers, at } = this.#numbers(row)
    for (let s = SEVERITIES.length - 1; s > 0; s--) if (numbers[at + SINCE + s]! < SEVERITY_HOLDS) return SEVERITIES[s]!
    return SEVERITIES[0]
  }

  #numbers(row: number): { numbers: Float32Array; at: number } {
    const rows = this.#table.view(course.name)!
    return { numbers: rows.float32, at: row * rows.stride32 + rows.at32 }
  }

  #incident(row: number): Incident {
    return JSON.parse(this.#table.about(row)) as Incident
  }

  #write(row: number, incident: Incident): void {
    this.#table.setAbout(row, JSON.stringify(incident))
  }

  #index(incident: Incident, row: number): void {
    const causes = this.#byDevice.get(incident.device) ?? new Map<Cause, number>()
    causes.set(incident.cause, row)
    this.#byDevice.set(incident.device, causes)
  }
}

/** Surprises go out with two decimals: more would pretend. */
export function rounded(surprise: number): number {
  return Math.round(surprise * 100) / 100
}
