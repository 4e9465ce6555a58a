/** One partition's pure part: records in, revisions out, rows moved; a deterministic function of its log. `task.ts` gives it the log and time. */
import type { DeviceView } from '../core/device.ts'
import { type Cause, type Incident, SEVERITIES } from '../core/incident.ts'
import { PipelineError } from '../core/errors.ts'
import type { Position } from '../core/position.ts'
import { completeSettings } from '../core/settings.ts'
import type { Control, ControlBody } from '../log/control.ts'
import type { Frame } from '../log/frame.ts'
import { PAGE_ROWS, type Page } from '../log/page.ts'
import type { ConfigInForce } from '../log/revision.ts'
import { Admission, type LeftOut } from './admission.ts'
import { coverTick, isCatchingUp, sourceIndex } from './coverage.ts'
import { ROUND_MESSAGES, type Rows } from './detector.ts'
import { CERTAIN } from './detectors/limits.ts'
import { heartbeatOf } from './detectors/silence.ts'
import { viewDevice } from './directory.ts'
import { Engine } from './engine.ts'
import { type Facts, freshFacts, isNews } from './facts.ts'
import { Incidents, type Subject } from './incidents.ts'
import * as presence from './presence.ts'
import { RoundColumns } from './rounds.ts'
import { DEFAULT_CLASS, State } from './state.ts'
import type { BeforeChange } from './table.ts'

/** Each tick visits one row in so many. */
const VISITS = 16
/** There is room again when nothing was refused for so long: a device that reports every minute must not open an incident each minute. */
const ROOM_AGAIN_MS = 600_000

/** A revision in the order it was made; `n` counts within a position. */
export interface Made {
  readonly position: Position
  readonly n: number
  readonly incident: Incident
  /** When what made it was received, ms since epoch. */
  readonly arrival: number
}

/** What belongs to the config in force; made anew with each. */
interface Works {
  readonly state: State
  readonly incidents: Incidents
  readonly engine: Engine
  readonly admission: Admission
  readonly presence: Rows
  /** Rows of devices whose lease had not ended when last looked at; what the rows say counts. */
  readonly quarantined: Set<number>
}

export interface Origin {
  readonly incarnation: string
  readonly partition: number
}

export class PartitionState {
  readonly round = new RoundColumns()
  facts: Facts = freshFacts()
  readonly #beforeChange: BeforeChange
  readonly #made: Made[] = []
  #origin: Origin
  #works: Works | null = null

  constructor(origin: Origin, beforeChange: BeforeChange) {
    this.#origin = origin
    this.#beforeChange = beforeChange
  }

  get incarnation(): string {
    return this.#origin.incarnation
  }

  /** Puts stored pages in place. Empty: nothing is known yet, not even the config. Throws BAD_RECORD when the pages don't belong together. */
  load(pages: readonly Page[]): void {
    if (pages.length === 0) return
    this.facts = { ...freshFacts(), ...factsOf(pages) }
    this.#build(pages)
  }

  get state(): State | null {
    return this.#works?.state ?? null
  }

  get leftOut(): LeftOut | null {
    return this.#works?.admission.leftOut ?? null
  }

  /** Messages that entered a round since the last call. */
  takeTaken(): number {
    return this.#works?.admission.takeTaken() ?? 0
  }

  /** Incidents there was no room for since the last call. */
  takeRefused(): number {
    return this.#works?.engine.takeRefused() ?? 0
  }

  /** The device as the API shows it; null when it is not here. */
  device(id: string): DeviceView | null {
    return this.#works ? viewDevice(this.#works.state, this.#works.incidents, this.facts.time, id) : null
  }

  /** Names of the devices here, in no order that means anything. */
  *deviceNames(): Iterable<string> {
    const device = this.#works?.state.tables.device
    for (let row = 0; row < (device?.end ?? 0); row++) {
      const name = device!.name(row)
      if (name !== undefined) yield name
    }
  }

  /** What is in force; null while none is. */
  get config(): ConfigInForce | null {
    const { config } = this.facts
    return config && { version: config.version, hash: config.hash, offset: config.offset }
  }

  openIds(): string[] {
    return this.#works?.incidents.ids() ?? []
  }

  /** Takes what was made since the last call, sorted by (position, n). */
  takeMade(): Made[] {
    return this.#made.splice(0)
  }

  /** Moves partition time to a record's append time. */
  advance(time: number): void {
    this.facts.time = Math.max(this.facts.time, time)
  }

  /** False while no config is known: the frame can't be scored. */
  frame(frame: Frame, offset: number): boolean {
    if (!this.#works) return false
    const source = sourceIndex(this.facts.sources, frame.source)
    const from = this.facts.sources[source]!
    this.#works.admission.frame(frame, { offset, time: this.facts.time, source, covered: from.covered, catchingUp: isCatchingUp(from, this.facts.time) })
    return true
  }

  /** Runs what is left in the round; to be called before anything but a frame, and at the end of a slice. */
  settle(): void {
    if (this.round.messages > 0) this.#works!.engine.run(this.round)
    this.round.clear()
  }

  /** Whether this config record will change what is in force. */
  isNewer(body: ControlBody): boolean {
    return body.kind === 'config' && body.version > (this.facts.config?.version ?? 0)
  }

  /** Obeys a control record; a repeat is skipped. The round is settled. */
  control(control: Control, offset: number): void {
    const { body } = control
    // Without a config nothing can be kept, so that nothing is: what came before it must not matter after a restart either.
    if (!this.#works && body.kind !== 'config') return
    if (!isNews(this.facts, control.id, body.kind)) return
    if (body.kind === 'config') this.#configure(body, control.incarnation, offset)
    if (!this.#works) return
    if (body.kind === 'tick') this.#tick(body, offset)
    if (body.kind === 'quarantine') this.#quarantine(body)
    if (body.kind === 'reset') this.#reset(body.device, body.metric, offset)
  }

  /** Retention took records before they were read. */
  lost(records: number, offset: number): void {
    const summary = `${records} records of readings/${this.#origin.partition} lost to retention before they were scored`
    this.#tellOwn('loss', { offset, index: 0 }, this.facts.time, summary)
  }

  /** Puts the facts where the checkpoint finds them. */
  writeFacts(): void {
    const task = this.#works?.state.tables.task
    if (!task) return
    const row = task.row('task') ?? task.allocate('task', '')
    task.setAbout(row, JSON.stringify(this.facts))
  }

  #configure(body: Extract<ControlBody, { kind: 'config' }>, incarnation: string, offset: number): void {
    if (!this.isNewer(body)) return
    if (this.#origin.incarnation === '') this.#origin = { ...this.#origin, incarnation }
    this.facts.config = { version: body.version, hash: body.hash, offset, settings: body.settings }
    const before = this.#works?.state
    this.#build(before ? [...before.pages()] : [])
    const { state } = this.#works!
    // What stands in the log has the old layout: a detector that left and came back must not find its old numbers there.
    if (before) for (const kind of ['series', 'device', 'class', 'incident'] as const) state.tables[kind].markAllChanged()
    this.#closeUnwatched(offset)
  }

  /** What nobody looks for any more would never be calm: it would stay open for ever. */
  #closeUnwatched(offset: number): void {
    const { state, incidents } = this.#works!
    const watched = new Set<Cause>([...state.detectors.map(({ cause }) => cause), 'cardinality', 'capacity', 'loss'])
    const isOver = (device: string, cause: Cause) => !watched.has(cause) || (cause === 'limit' && !state.hasLimits(device))
    incidents.closeWhere(isOver, { offset, index: 0 }, this.facts.time, 'config')
  }

  #build(pages: readonly Page[]): void {
    const held = { series: 0, device: 0, class: 0, incident: 0, task: 0 }
    for (const { kind, number } of pages) held[kind] = Math.max(held[kind], PAGE_ROWS * (number + 1))
    const state = new State(this.facts.config!.settings, this.#beforeChange, held)
    state.load(pages)
    const { version, hash } = this.facts.config!
    const origin = { ...this.#origin, config: { version, hash } }
    const incidents = new Incidents(state.tables.incident, origin, (...revision) => this.#emit(...revision))
    const engine = new Engine(state, incidents)
    const admission = new Admission(state, this.round, () => this.settle(), (offset, index, when) => this.#noRoom(offset, index, when))
    const rows = state.tables.device.view(presence.devicePresence.name)!
    const quarantined = new Set<number>()
    for (let row = 0; row < state.tables.device.end; row++)
      if (rows.float64[row * rows.stride64 + rows.at64 + presence.QUARANTINED_UNTIL]! > this.facts.time) quarantined.add(row)
    this.#works = { state, incidents, engine, admission, presence: rows, quarantined }
  }

  #emit(position: Position, incident: Incident, arrival: number): void {
    const last = this.#made.at(-1)
    const n = last && last.position.offset === position.offset && last.position.index === position.index ? last.n + 1 : 0
    this.#made.push({ position, n, incident, arrival })
  }

  #tick(body: Extract<ControlBody, { kind: 'tick' }>, offset: number): void {
    const { facts } = this
    coverTick(facts.sources, body.sources, facts.time)
    this.#excuseQuarantined()
    const part = facts.ticks % VISITS
    facts.ticks++
    this.#expire(part, offset)
    this.#lookForSilence(part, offset)
    this.#closeOwn(offset)
  }

  /** Nobody expects to hear a quarantined device: what is covered while its lease lasts does not count against it. */
  #excuseQuarantined(): void {
    const { state, quarantined, presence: rows } = this.#works!
    for (const row of quarantined) {
      const o = row * rows.stride64 + rows.at64
      if (rows.float64[o + presence.QUARANTINED_UNTIL]! <= this.facts.time) {
        quarantined.delete(row)
        continue
      }
      const source = this.facts.sources[rows.float32[row * rows.stride32 + rows.at32 + presence.SOURCE]!]
      if (!source || source.covered === rows.float64[o + presence.LAST_COVERED]) continue
      state.tables.device.touch(row)
      rows.float64[o + presence.LAST_COVERED] = source.covered
    }
  }

  #lookForSilence(part: number, offset: number): void {
    const { state, engine, presence: rows } = this.#works!
    const { round } = this
    const { device } = state.tables
    for (let row = part; row < device.end; row += VISITS) {
      if (device.name(row) === undefined) continue
      if (round.messages === ROUND_MESSAGES) this.settle()
      round.missing = true
      const m = round.addMessage(row)
      const o = row * rows.stride64 + rows.at64
      const source = this.facts.sources[rows.float32[row * rows.stride32 + rows.at32 + presence.SOURCE]!]
      const quarantined = rows.float64[o + presence.QUARANTINED_UNTIL]! > this.facts.time
      round.offset[m] = offset
      round.index[m] = 0
      round.klass[m] = state.classOf[row]!
      round.when[m] = this.facts.time
      round.arrival[m] = this.facts.time
      round.gap[m] = source ? presence.unheardMs(rows, row, source.covered) : -1
      round.heartbeat[m] = quarantined ? -1 : heartbeatOf(state.settingsOf(row))
    }
    if (round.messages > 0) engine.run(round)
    round.clear()
  }

  #expire(part: number, offset: number): void {
    const { state, incidents, presence: rows } = this.#works!
    const { device } = state.tables
    for (let row = part; row < device.end; row += VISITS) {
      const name = device.name(row)
      if (name === undefined) continue
      state.freeStaleSeries(row)
      const o = row * rows.stride64 + rows.at64
      if (this.facts.time - rows.float64[o + presence.LAST_APPEND]! <= state.settings.expireMs) continue
      if (rows.float64[o + presence.QUARANTINED_UNTIL]! > this.facts.time) continue
      incidents.closeAll(name, { offset, index: 0 }, this.facts.time, 'expired')
      state.freeDevice(row)
    }
  }

  /** A leader that was fenced may still have one under way: an older generation than the last is no news. */
  #quarantine({ device, generation, until }: Extract<ControlBody, { kind: 'quarantine' }>): void {
    const { state, quarantined, presence: rows } = this.#works!
    const row = state.tables.device.row(device)
    if (row === undefined) return
    const o = row * rows.stride64 + rows.at64
    if (generation < rows.float64[o + presence.QUARANTINE_GENERATION]!) return
    state.tables.device.touch(row)
    rows.float64[o + presence.QUARANTINE_GENERATION] = generation
    rows.float64[o + presence.QUARANTINED_UNTIL] = until ?? 0
    quarantined.add(row)
  }

  /** A person says that what was learnt no longer holds: the device was replaced, its firmware changed. */
  #reset(device: string, metric: string | null, offset: number): void {
    const { state, incidents } = this.#works!
    const row = state.tables.device.row(device)
    if (row === undefined) return
    if (metric !== null) return state.freeSeries(row, metric)
    incidents.closeAll(device, { offset, index: 0 }, this.facts.time, 'reset')
    state.freeDevice(row)
  }

  #noRoom(offset: number, index: number, when: number): void {
    this.facts.refusedAt = this.facts.time
    const { devices, series } = this.#works!.state.settings.capacity
    const summary = `no room in readings/${this.#origin.partition} for more than ${devices} devices or ${series} series: new ones are not watched`
    this.#tellOwn('capacity', { offset, index }, when, summary)
  }

  /** What Picket says of itself ends with the first tick that finds it over: what is lost at once, a lack of room once nothing was refused for a while. */
  #closeOwn(offset: number): void {
    const { incidents } = this.#works!
    const { device } = this.#self()
    const position = { offset, index: 0 }
    if (this.facts.time - this.facts.refusedAt > ROOM_AGAIN_MS) incidents.close(device, 'capacity', position, this.facts.time, 'calm')
    incidents.close(device, 'loss', position, this.facts.time, 'calm')
  }

  /** Picket's own incidents are certain, and major. */
  #tellOwn(cause: Cause, position: Position, when: number, summary: string): void {
    const works = this.#works
    if (!works) return
    const severity = SEVERITIES.indexOf('major')
    const judgement = { cause, excess: 0, severity, surprise: CERTAIN, when, arrival: when, position, explain: () => ({ summary, votes: [] }) }
    if (!works.incidents.judge(this.#self(), judgement)) works.engine.refuse()
  }

  #self(): Subject {
    return { device: `picket/readings-${this.#origin.partition}`, class: DEFAULT_CLASS, labels: {} }
  }
}

/** The facts stand in the task page, which every checkpoint writes. */
function factsOf(pages: readonly Page[]): Partial<Facts> {
  const about = pages.find(({ kind }) => kind === 'task')?.rows[0]?.about ?? ''
  try {
    const facts = JSON.parse(about) as Partial<Facts>
    // It may have been written before settings had all the keys they have now, and before the record's place was kept.
    if (facts.config) return { ...facts, config: { ...facts.config, offset: facts.config.offset ?? -1, settings: completeSettings(facts.config.settings) } }
  } catch (cause) {
    throw new PipelineError('BAD_RECORD', 'the task page can not be read', { cause })
  }
  throw new PipelineError('BAD_RECORD', 'the task page names no config')
}
