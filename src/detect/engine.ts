/** One round through the detectors: all score, fuse, gate, all learn, then the incident rule; in columns, over the rows. */
import { type Cause, SEVERITIES } from '../core/incident.ts'
import type { Position } from '../core/position.ts'
import { fold, threshold } from './budget.ts'
import type { Detector, Rows } from './detector.ts'
import { ROUND_MESSAGES, ROUND_READINGS } from './detector.ts'
import { CERTAIN } from './detectors/limits.ts'
import { explainCrowded, explainMessage, limitSeverity } from './explain.ts'
import { fuseInto, fuseMessages } from './fuse.ts'
import { deviceGate, moveGates, seriesGate } from './gate.ts'
import type { Incidents, Judgement, Subject } from './incidents.ts'
import type { RoundColumns } from './rounds.ts'
import { contribute, rule, scoreMessage, SCORES } from './rule.ts'
import type { State } from './state.ts'

/** A device whose gap is so surprising is silent: one in a million of its gaps. */
const SILENT_AT = 6
const SILENCE_SEVERITY = SEVERITIES.indexOf('major')
const CROWDED_SEVERITY = SEVERITIES.indexOf('major')

/** A detector in place: its view of the rows, its columns. */
export interface Seat {
  readonly detector: Detector
  readonly rows: Rows
  readonly scratch: Float64Array
  readonly out: Float32Array
}

export class Engine {
  readonly #state: State
  readonly #incidents: Incidents
  readonly #series: readonly Seat[]
  readonly #device: readonly Seat[]
  readonly #seriesGate: Rows
  readonly #deviceGate: Rows
  readonly #rule: Rows
  readonly #budget: Rows
  /** Fused telemetry surprise of each reading, and the gate's answer. [readings] */
  readonly #surprise = new Float32Array(ROUND_READINGS)
  readonly #weight = new Float32Array(ROUND_READINGS)
  /** The same of each message. [messages] */
  readonly #fused = new Float32Array(ROUND_MESSAGES)
  readonly #deviceWeight = new Float32Array(ROUND_MESSAGES)
  readonly #scores = new Float64Array(SCORES)
  /** Incidents there was no room for. */
  #refused = 0

  constructor(state: State, incidents: Incidents) {
    this.#state = state
    this.#incidents = incidents
    const { series, device, class: klass } = state.tables
    const seat = (detector: Detector, width: number): Seat => ({
      detector,
      rows: (detector.scope === 'series' ? series : device).view(detector.name)!,
      scratch: new Float64Array(width * detector.scratch),
      out: new Float32Array(width),
    })
    this.#series = state.detectors.filter((d) => d.scope === 'series').map((d) => seat(d, ROUND_READINGS))
    this.#device = state.detectors.filter((d) => d.scope === 'device').map((d) => seat(d, ROUND_MESSAGES))
    this.#seriesGate = series.view(seriesGate.name)!
    this.#deviceGate = device.view(deviceGate.name)!
    this.#rule = device.view(rule.name)!
    this.#budget = klass.view('budget')!
  }

  /** Scores, learns and judges all messages of the round. */
  run(round: RoundColumns): void {
    this.#touch(round)
    for (const { detector, rows, scratch, out } of this.#device) detector.score(round, rows, scratch, out)
    if (!round.missing) {
      for (const { detector, rows, scratch, out } of this.#series) detector.score(round, rows, scratch, out)
      this.#fuse(round)
      this.#gate(round)
    }
    // Judged before it is learnt, so that an incident names the band that was expected, not the one that follows.
    for (let m = 0; m < round.messages; m++) this.#judge(round, m)
    if (!round.missing) this.#learn(round)
  }

  /** A round of kind missing only looks. */
  #touch(round: RoundColumns): void {
    if (round.missing) return
    const { device, series, class: klass } = this.#state.tables
    for (let m = 0; m < round.messages; m++) {
      device.touch(round.device[m]!)
      klass.touch(round.klass[m]!)
    }
    for (let i = 0; i < round.readings; i++) series.touch(round.series[i]!)
  }

  #fuse(round: RoundColumns): void {
    this.#surprise.fill(NaN, 0, round.readings)
    for (const { detector, out } of this.#series) if (detector.cause === 'telemetry') fuseInto(round.readings, out, this.#surprise)
    fuseMessages(round, this.#surprise, this.#seriesGate, round.warmup, this.#fused)
    for (const { detector, out } of this.#device) if (detector.cause === 'telemetry') fuseInto(round.messages, out, this.#fused)
  }

  #gate(round: RoundColumns): void {
    // What may not teach may not make its gate give in either.
    for (let m = 0; m < round.messages; m++) if (!round.teaches[m]) this.#surprise.fill(NaN, round.start[m]!, round.start[m]! + round.count[m]!)
    moveGates(round.readings, round.series, this.#surprise, this.#seriesGate, this.#weight, (row) => accept(this.#series, row))
    moveGates(round.messages, round.device, this.#fused, this.#deviceGate, this.#deviceWeight, (row) => accept(this.#device, row))
    for (let m = 0; m < round.messages; m++) {
      // The gap that ends a silence is the fault itself: it teaches nothing.
      if (this.#isOpen(round, m, 'silence')) this.#deviceWeight[m] = 0
      if (round.teaches[m]) continue
      this.#deviceWeight[m] = 0
      this.#weight.fill(0, round.start[m]!, round.start[m]! + round.count[m]!)
    }
  }

  #learn(round: RoundColumns): void {
    for (const { detector, rows, scratch } of this.#series) detector.learn(round, rows, scratch, this.#weight)
    for (const { detector, rows, scratch } of this.#device) detector.learn(round, rows, scratch, this.#deviceWeight)
  }

  #judge(round: RoundColumns, m: number): void {
    const fused = this.#fused[m]!
    if (!round.missing && fused === fused) this.#judgeTelemetry(round, m, fused)
    if (!round.missing) this.#judgeLimits(round, m)
    this.#judgeSilence(round, m)
    if (!round.missing) this.#judgeCrowd(round, m)
  }

  #judgeTelemetry(round: RoundColumns, m: number, fused: number): void {
    const device = round.device[m]!
    const klass = round.klass[m]!
    const scores = this.#scores
    scoreMessage(this.#rule, device, fused, scores)
    if (round.teaches[m]) contribute(this.#rule, device, scores, this.#budget, klass, round.elapsed[m]!)
    let excess = -Infinity
    for (let k = 0; k < SCORES; k++) excess = Math.max(excess, scores[k]! - threshold(this.#budget, klass, k))
    if (excess < 0 && !this.#isOpen(round, m, 'telemetry')) return
    this.#settle(round, m, 'telemetry', excess, Math.max(0, Math.min(SEVERITIES.length - 1, Math.floor(excess))), fused)
  }

  #judgeLimits(round: RoundColumns, m: number): void {
    for (const { detector, out } of this.#series) {
      if (detector.cause !== 'limit') continue
      let largest = NaN
      let severity = 0
      const end = round.start[m]! + round.count[m]!
      for (let i = round.start[m]!; i < end; i++) {
        const u = out[i]!
        if (u !== u) continue
        if (!(largest >= u)) largest = u
        if (u === CERTAIN) severity = Math.max(severity, limitSeverity(this.#state, round.device[m]!, this.#state.metricOf(round.series[i]!)))
      }
      if (largest !== largest) continue
      if (largest < CERTAIN && !this.#isOpen(round, m, 'limit')) continue
      this.#settle(round, m, 'limit', largest - CERTAIN, severity, largest)
    }
  }

  #judgeSilence(round: RoundColumns, m: number): void {
    for (const { detector, out } of this.#device) {
      if (detector.cause !== 'silence') continue
      const u = out[m]!
      if (u !== u) continue
      if (u < SILENT_AT && (round.missing || !this.#isOpen(round, m, 'silence'))) continue
      this.#settle(round, m, 'silence', u - SILENT_AT, SILENCE_SEVERITY, u)
    }
  }

  #judgeCrowd(round: RoundColumns, m: number): void {
    if (!round.crowded[m] && !this.#isOpen(round, m, 'cardinality')) return
    this.#settle(round, m, 'cardinality', round.crowded[m] ? 0 : -1, CROWDED_SEVERITY, CERTAIN)
  }

  #settle(round: RoundColumns, m: number, cause: Cause, excess: number, severity: number, surprise: number): void {
    const position: Position = { offset: round.offset[m]!, index: round.index[m]! }
    const judgement: Judgement = {
      cause,
      excess,
      severity,
      surprise,
      when: round.when[m]!,
      arrival: round.arrival[m]!,
      position,
      explain: () =>
        cause === 'cardinality' ? explainCrowded(this.#state) : explainMessage(this.#state, [...this.#series, ...this.#device], cause, round, m),
    }
    if (!this.#incidents.judge(this.#subject(round, m), judgement)) this.refuse()
  }

  #subject(round: RoundColumns, m: number): Subject {
    const device = this.#deviceName(round, m)
    return { device, ...this.#state.about(round.device[m]!) }
  }

  #isOpen(round: RoundColumns, m: number, cause: Cause): boolean {
    return this.#incidents.isOpen(this.#deviceName(round, m), cause)
  }

  #deviceName(round: RoundColumns, m: number): string {
    return this.#state.tables.device.name(round.device[m]!)!
  }

  /** Counts an incident there was no room for. */
  refuse(): void {
    this.#refused++
  }

  /** Incidents there was no room for since the last call. */
  takeRefused(): number {
    const refused = this.#refused
    this.#refused = 0
    return refused
  }

  /** At a tick: one class row takes in what its devices contributed. */
  foldClass(klass: number): void {
    const { class: table } = this.#state.tables
    table.touch(klass)
    fold(this.#budget, klass, this.#state.devicesOfClass(klass), this.#state.classSettings(table.name(klass)!).budget)
  }
}

function accept(seats: readonly Seat[], row: number): void {
  for (const { detector, rows } of seats) detector.accept?.(rows, row)
}
