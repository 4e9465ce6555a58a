/** One round through the detectors: all score, fuse, gate, all learn, then the incident rule; in columns, over the rows. */
import { type Cause, SEVERITIES } from '../core/incident.ts'
import type { Position } from '../core/position.ts'
import { fold, isFoldDue, threshold } from './budget.ts'
import { basesOf } from './catalogue.ts'
import type { Basis, Detector, Ground, Rows } from './detector.ts'
import { ROUND_MESSAGES, ROUND_READINGS } from './detector.ts'
import { CERTAIN } from './detectors/limits.ts'
import { explainCrowded, explainMessage, limitSeverity } from './explain.ts'
import { fuseInto, fuseMessages } from './fuse.ts'
import { deviceGate, type GateRule, moveGates, seriesGate, spentBy } from './gate.ts'
import type { Incidents, Judgement, Subject } from './incidents.ts'
import type { RoundColumns } from './rounds.ts'
import { contribute, prolong, rule, scoreMessage, SCORES } from './rule.ts'
import type { State } from './state.ts'

const CROWDED_SEVERITY = SEVERITIES.indexOf('major')

/** A detector in place: its view of the rows, its columns. */
export interface Seat {
  readonly detector: Detector
  readonly rows: Rows
  readonly scratch: Float64Array
  readonly out: Float32Array
  readonly ground: Ground
}

/** A detector of devices, with the weights of its own gate where it has one. */
interface DeviceSeat extends Seat {
  readonly own: OwnGate | null
}

interface OwnGate {
  readonly rows: Rows
  readonly rule: GateRule
  /** [messages] */
  readonly weight: Float32Array
  readonly accepted: Accepted
}

interface Footing extends Ground {
  readonly basis: Basis
}

/** Rows whose gate gave in with the round in hand. */
class Accepted {
  readonly #rows: Int32Array
  #count = 0

  constructor(width: number) {
    this.#rows = new Int32Array(width)
  }

  readonly add = (row: number): void => {
    this.#rows[this.#count++] = row
  }

  /** Hands on each row, once. */
  drain(take: (row: number) => void): void {
    for (let i = 0; i < this.#count; i++) take(this.#rows[i]!)
    this.#count = 0
  }
}

export class Engine {
  readonly #state: State
  readonly #incidents: Incidents
  readonly #series: readonly Seat[]
  readonly #device: readonly DeviceSeat[]
  readonly #bases: readonly Footing[]
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
  /** Surprise as a gate may see it, and what a message spends of its allowance. [messages] */
  readonly #taught = new Float32Array(ROUND_MESSAGES)
  readonly #spends = new Float32Array(ROUND_MESSAGES)
  readonly #acceptedSeries = new Accepted(ROUND_READINGS)
  readonly #acceptedDevices = new Accepted(ROUND_MESSAGES)
  /** Incidents there was no room for. */
  #refused = 0

  constructor(state: State, incidents: Incidents) {
    this.#state = state
    this.#incidents = incidents
    const { series, device, class: klass } = state.tables
    this.#bases = basesOf(state.detectors).map((basis) => ({
      basis,
      rows: series.view(basis.name)!,
      columns: new Float64Array(ROUND_READINGS * basis.columns),
    }))
    const seat = (detector: Detector, width: number): Seat => {
      const rows = (detector.scope === 'series' ? series : device).view(detector.name)!
      return {
        detector,
        rows,
        scratch: new Float64Array(width * detector.scratch),
        out: new Float32Array(width),
        ground: this.#bases.find(({ basis }) => basis === detector.basis) ?? { rows, columns: new Float64Array(0) },
      }
    }
    this.#series = state.detectors.filter((d) => d.scope === 'series').map((d) => seat(d, ROUND_READINGS))
    this.#device = state.detectors.filter((d) => d.scope === 'device').map((d) => ({ ...seat(d, ROUND_MESSAGES), own: this.#ownGate(d) }))
    this.#seriesGate = series.view(seriesGate.name)!
    this.#deviceGate = device.view(deviceGate.name)!
    this.#rule = device.view(rule.name)!
    this.#budget = klass.view('budget')!
  }

  #ownGate({ judging }: Detector): OwnGate | null {
    if (!judging?.gate) return null
    return {
      rows: this.#state.tables.device.view(judging.gate.name)!,
      rule: { bar: judging.bar, guardsFrom: 0, spends: this.#spends },
      weight: new Float32Array(ROUND_MESSAGES),
      accepted: new Accepted(ROUND_MESSAGES),
    }
  }

  /** Scores, learns and judges all messages of the round. */
  run(round: RoundColumns): void {
    this.#touch(round)
    for (const { detector, rows, scratch, out, ground } of this.#device)
      if (!round.missing || detector.judging?.missing) detector.score(round, rows, scratch, out, ground)
    if (!round.missing) {
      for (const { basis, rows, columns } of this.#bases) basis.compute(round, rows, columns)
      for (const { detector, rows, scratch, out, ground } of this.#series) detector.score(round, rows, scratch, out, ground)
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
    moveGates(round.readings, round.series, this.#surprise, this.#seriesGate, this.#weight, this.#acceptedSeries.add)
    moveGates(round.messages, round.device, this.#fused, this.#deviceGate, this.#deviceWeight, this.#acceptedDevices.add)
    for (let m = 0; m < round.messages; m++) {
      // The gap that ends a silence is the fault itself: it teaches nothing.
      if (this.#isOpen(round, m, 'silence')) this.#deviceWeight[m] = 0
      if (round.teaches[m]) continue
      this.#deviceWeight[m] = 0
      this.#weight.fill(0, round.start[m]!, round.start[m]! + round.count[m]!)
    }
    for (let m = 0; m < round.messages; m++) this.#spends[m] = spentBy(round.elapsed[m]!)
    for (const { own, out } of this.#device) if (own) this.#gateOwn(round, own, out)
  }

  #gateOwn(round: RoundColumns, own: OwnGate, out: Float32Array): void {
    const { weight } = own
    for (let m = 0; m < round.messages; m++) this.#taught[m] = round.teaches[m] ? out[m]! : NaN
    moveGates(round.messages, round.device, this.#taught, own.rows, weight, own.accepted.add, own.rule)
    for (let m = 0; m < round.messages; m++) weight[m] = Math.min(weight[m]!, this.#deviceWeight[m]!)
  }

  #learn(round: RoundColumns): void {
    for (const { detector, rows, scratch, ground } of this.#series) detector.learn(round, rows, scratch, this.#weight, ground)
    for (const { basis, rows, columns } of this.#bases) basis.learn(round, rows, columns, this.#weight)
    for (const { detector, rows, scratch, ground, own } of this.#device)
      detector.learn(round, rows, scratch, own ? own.weight : this.#deviceWeight, ground)
    this.#accept()
  }

  /** Only now: what was worked out before a row moved must not be learnt after it. */
  #accept(): void {
    this.#acceptedSeries.drain((row) => {
      for (const { basis, rows } of this.#bases) basis.accept?.(rows, row)
      for (const { detector, rows } of this.#series) detector.accept?.(rows, row)
    })
    this.#acceptedDevices.drain((row) => {
      for (const { detector, rows, own } of this.#device) if (!own) detector.accept?.(rows, row)
    })
    for (const { detector, rows, own } of this.#device) own?.accepted.drain((row) => detector.accept?.(rows, row))
  }

  #judge(round: RoundColumns, m: number): void {
    const fused = this.#fused[m]!
    if (!round.missing && fused === fused) this.#judgeTelemetry(round, m, fused)
    if (!round.missing) this.#judgeLimits(round, m)
    this.#judgeOwn(round, m)
    if (!round.missing) this.#judgeCrowd(round, m)
  }

  #judgeTelemetry(round: RoundColumns, m: number, fused: number): void {
    const device = round.device[m]!
    const klass = round.klass[m]!
    const scores = this.#scores
    scoreMessage(this.#rule, device, fused, scores)
    let excess = -Infinity
    for (let k = 0; k < SCORES; k++) excess = Math.max(excess, scores[k]! - threshold(this.#budget, klass, k))
    if (excess >= 0 || this.#isOpen(round, m, 'telemetry'))
      this.#settle(round, m, 'telemetry', excess, Math.max(0, Math.min(SEVERITIES.length - 1, Math.floor(excess))), fused)
    // Judged before it counts: a message may not raise the threshold it is judged by.
    if (round.teaches[m]) this.#contribute(round, m)
  }

  #contribute(round: RoundColumns, m: number): void {
    const device = round.device[m]!
    const klass = round.klass[m]!
    if (this.#isOpen(round, m, 'telemetry')) prolong(this.#rule, device)
    contribute(this.#rule, device, this.#scores, this.#budget, klass, round.elapsed[m]!)
    if (!isFoldDue(this.#budget, klass)) return
    const { tables } = this.#state
    fold(this.#budget, klass, this.#state.devicesOfClass(klass), this.#state.classSettings(tables.class.name(klass)!).budget)
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

  /** Detectors of devices with a cause of their own. A round of kind missing may open an incident, never close one. */
  #judgeOwn(round: RoundColumns, m: number): void {
    const hasOpen = this.#incidents.has(this.#deviceName(round, m))
    for (const { detector, rows, out } of this.#device) {
      const { judging, cause } = detector
      if (!judging || (round.missing && !judging.missing)) continue
      const u = out[m]!
      const excess = (u === u ? u : 0) - judging.bar
      if (excess < 0 && (round.missing || !hasOpen || !this.#isOpen(round, m, cause))) continue
      const severity = excess < 0 ? 0 : judging.severity(round, rows, m, excess)
      this.#settle(round, m, cause, excess, severity, u === u ? u : 0)
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
}
