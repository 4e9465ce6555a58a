/** Holds what Picket said against what was wrong: which faults were found, after how long and as what, and who suffered without a fault. Pure. */
import { SEVERITIES, type Cause, type Severity } from '../../core/incident.ts'
import { inWords, type Trouble, type Truth } from '../../fleet/truth.ts'
import { table } from '../table.ts'
import { elapsed, type Happening, type IncidentHappening } from './happening.ts'

/** What may rightly be said of each; an incident of another cause is no find. */
const PLAUSIBLE: Readonly<Record<Trouble, readonly Cause[]>> = {
  bearing: ['telemetry', 'limit'],
  stuck: ['telemetry'],
  takeover: ['rate', 'shape'],
  silence: ['silence'],
  clock: ['clock'],
}
/** False incidents told one by one; the others are counted. */
const TOLD = 20
/** Of a sentence in the table; the screens have all of it. With less room than the other it is left out. */
const SENTENCE_MOST = 100
const SENTENCE_LEAST = 20
/** A fault is found within this, or not at all, ms: silence takes longest, which is looked for a device each 16 s. */
export const FOUND_WITHIN_MS = 34_000
const COLUMNS = ['DEVICE', 'FAULT', 'BEGAN', 'FOUND', 'CAUSE', 'SEVERITY'] as const
const GAP = 2

interface Find {
  /** ms after the fault began. */
  readonly after: number
  readonly cause: Cause
  readonly summary: string
  readonly incident: string
  /** The worst it came to. */
  severity: Severity
}

/** The way of a device's first quarantine. */
interface Course {
  quarantineDone: boolean
  released: boolean
  releaseDone: boolean
}

export class Verdict {
  readonly #truths: readonly Truth[]
  readonly #finds = new Map<string, Find>()
  readonly #courses = new Map<string, Course>()
  readonly #healthy = new Set<string>()
  readonly #false: string[] = []
  #falseCount = 0
  /** ms since the fleet's start. */
  #endedAt = Number.POSITIVE_INFINITY

  constructor(truths: readonly Truth[]) {
    this.#truths = truths
  }

  /** When the demonstration was over, ms since the fleet's start: what would have come later was not missed. */
  end(at: number): void {
    this.#endedAt = at
  }

  take(happening: Happening): void {
    if (happening.kind === 'incident') this.#incident(happening)
    if (happening.kind === 'command' && happening.command === 'quarantine') {
      if (!this.#isFaulty(happening.device, happening.at)) this.#healthy.add(happening.device)
      if (!this.#courses.has(happening.device)) this.#courses.set(happening.device, { quarantineDone: false, released: false, releaseDone: false })
    }
    const course = this.#courses.get(happening.device)
    if (!course) return
    if (happening.kind === 'command' && happening.command === 'release') course.released = true
    if (happening.kind !== 'ack' || happening.status !== 'done') return
    if (happening.command === 'quarantine') course.quarantineDone = true
    else course.releaseDone = true
  }

  /** Why it is no good demonstration, a sentence each; empty when it is. Healthy devices with an incident are no failure: a budget allows for some. */
  failures(): string[] {
    const missed = this.#truths.filter(({ device }) => !this.#finds.has(device))
    return [
      ...missed.map((truth) => `${truth.device} was not found: ${inWords(truth)} (looked for: ${PLAUSIBLE[truth.kind].join(' or ')})`),
      ...[...this.#healthy].map((device) => `${device} was quarantined, and nothing was wrong with it`),
      ...(this.#whole().length > 0 ? [] : ['no device was quarantined, acknowledged it, was released and acknowledged that']),
    ]
  }

  /** For people: a table of the faults, no line of it wider than `columns`, and what else is to be said. */
  text({ columns = Number.POSITIVE_INFINITY }: { readonly columns?: number } = {}): string {
    const rows = this.#truths.map((truth) => {
      const find = this.#finds.get(truth.device)
      const told = find ? [`in ${(find.after / 1000).toFixed(1)} s`, find.cause, find.severity] : [this.#missing(truth), '', '']
      return [truth.device, inWords(truth), truth.from > this.#endedAt ? '–' : elapsed(truth.from), ...told]
    })
    const width = COLUMNS.reduce((sum, name, column) => sum + GAP + Math.max(name.length, ...rows.map((row) => row[column]!.length)), 0)
    const most = Math.min(SENTENCE_MOST, columns - width)
    const sentences = this.#truths.map(({ device }) => shortened(this.#finds.get(device)?.summary ?? '', most))
    const faults = most < SENTENCE_LEAST ? table(COLUMNS, rows) : table([...COLUMNS, 'SENTENCE'], rows.map((row, n) => [...row, sentences[n]!]))
    const lines = [
      `healthy devices quarantined: ${this.#healthy.size}${listed(this.#healthy)}`,
      `quarantined, acknowledged, released, acknowledged: ${this.#whole().length}${listed(this.#whole())}`,
      `false incidents: ${this.#falseCount}`,
      ...this.#false.map((line) => `  ${line}`),
    ]
    return `${faults}\n${lines.map((line) => `${line}\n`).join('')}`
  }

  /** The same for programs. */
  json(): Readonly<Record<string, unknown>> {
    const faults = this.#truths.map((truth) => {
      const { after, cause, severity, summary } = this.#finds.get(truth.device) ?? { after: null, cause: null, severity: null, summary: null }
      return { ...truth, found: after !== null, after, cause, severity, summary }
    })
    return { faults, endedAt: Number.isFinite(this.#endedAt) ? this.#endedAt : null, healthyQuarantined: [...this.#healthy], wholeQuarantines: this.#whole(), falseIncidents: this.#falseCount, failures: this.failures() }
  }

  /** Of one that was not found. */
  #missing({ from }: Truth): string {
    if (from > this.#endedAt) return 'not begun'
    return from + FOUND_WITHIN_MS > this.#endedAt ? 'not yet' : 'NO'
  }

  /** By when it was seen: what the device's clock says may lie before the fault that it shows. */
  #incident({ at, seen, device, change, incident }: IncidentHappening): void {
    const find = this.#finds.get(device)
    if (find?.incident === incident.id && SEVERITIES.indexOf(incident.severity) > SEVERITIES.indexOf(find.severity)) find.severity = incident.severity
    if (change !== 'opened') return
    const truth = this.#isFaulty(device, seen)
    if (!truth) {
      this.#falseCount++
      if (this.#false.length < TOLD) this.#false.push(`${elapsed(at)} ${device}: ${incident.severity} ${incident.cause}: ${shortened(incident.summary)}`)
    } else if (!find && PLAUSIBLE[truth.kind].includes(incident.cause)) {
      const { id, cause, severity, summary } = incident
      this.#finds.set(device, { after: Math.max(0, at - truth.from), incident: id, cause, severity, summary })
    }
  }

  /** What is, or was, wrong with the device by then; after a fault much may still look odd. */
  #isFaulty(device: string, at: number): Truth | undefined {
    return this.#truths.find((truth) => truth.device === device && at >= truth.from)
  }

  #whole(): string[] {
    return [...this.#courses].flatMap(([device, { quarantineDone, released, releaseDone }]) => (quarantineDone && released && releaseDone ? [device] : []))
  }
}

function shortened(text: string, most = SENTENCE_MOST): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}

function listed(names: Iterable<string>): string {
  const text = [...names].join(', ')
  return text === '' ? '' : ` (${text})`
}
