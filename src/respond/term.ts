/** A term: one leadership of respond, from its takeover to its end. What it knows is its own; the next one reads it from the log again. */
import { isPipelineError, PipelineError } from '../core/errors.ts'
import { FLEET_PARTITION } from '../core/request.ts'
import type { ConfigView, Standing } from '../core/standing.ts'
import { offsetKey } from '../log/log.ts'
import type { Log, Owned } from '../log/log.ts'
import type { Clock } from '../ops/clock.ts'
import { delay } from '../ops/clock.ts'
import type { Logger } from '../ops/logger.ts'
import { QuietLog } from '../ops/quiet-log.ts'
import { Alarms } from './alarms.ts'
import { decideConfig, decideConfigRepeat, decideReload, unheard } from './config-versions.ts'
import { decideWaiting } from './decisions.ts'
import type { Deciding } from './deciding.ts'
import { Desk } from './desk.ts'
import { Effects, laneOf } from './effects.ts'
import type { EffectPorts, Heard } from './effects.ts'
import { decideReleases, decideSwitchAtStart, Switch } from './enforcement.ts'
import type { Ack } from './enforcer.ts'
import { IncidentReader } from './incident-reader.ts'
import { Intake } from './intake.ts'
import { Lanes } from './lanes.ts'
import { decideLeaseAtStart, decideLeaseEnd } from './leases.ts'
import { answerMs, decideAck, decideAttempt, decideOutcome, isQuarantine, unansweredMs } from './outbox.ts'
import type { Rules } from './rules.ts'
import { decideSilenceEnd } from './silences.ts'
import { StandingView } from './standing-view.ts'
import { knowIncidents, newestLine, setBack } from './starting-over.ts'
import { ResponderState } from './state.ts'
import type { LeaseRow, OutboxEntry } from './state.ts'

export interface TermOptions extends Pick<EffectPorts, 'enforcer'>, Pick<Deciding, 'limits' | 'random' | 'meters' | 'partitionFor'> {
  /** At its beginning. */
  readonly rules: Rules
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  readonly owned: Owned
}

/** Decisions in one commit. */
const DECISIONS_AT_ONCE = 256
const ASSERT_MS = 300_000
/** That a notifier fails is told so seldom, ms. */
const QUIET_MS = 60_000
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
  private readonly enforcement: Switch
  private readonly intake: Intake
  private readonly view: StandingView
  private readonly on: Deciding
  private readonly roomFor: (() => void)[] = []
  private rules: Rules
  private isAbreast = false
  private isRestored = false

  constructor(options: TermOptions) {
    this.options = options
    this.rules = options.rules
    this.desk = new Desk({ batch: DECISIONS_AT_ONCE, commit: () => this.commit() })
    this.alarms = new Alarms(options.clock, (key) => this.desk.post(() => this.ring(key)))
    this.effects = new Effects({ log: options.log, enforcer: options.enforcer, rules: () => this.rules, heard: (partition) => this.heard(partition) })
    this.reader = new IncidentReader({
      mostOpen: options.limits.incidents,
      remark: (reason) => options.meters.drops.add(1, { stage: 'respond', reason }),
    })
    const { log, logger, limits, random, meters, partitionFor } = options
    const rules = () => this.rules
    this.enforcement = new Switch(() => this.rules.policy, this.state)
    const tell: Deciding['tell'] = (level, fields, message) => this.desk.afterCommit(() => logger[level](fields, message))
    const quietly = { info: tell.bind(null, 'info'), warn: tell.bind(null, 'warn') }
    this.on = {
      get settings() { return rules().settings },
      get settingsHash() { return rules().settingsHash },
      get policy() { return rules().policy },
      get notifiers() { return rules().notifiers.map(({ name, gatherMs = 0 }) => ({ name, gatherMs })) },
      state: this.state, limits, random, meters, partitionFor,
      partitions: log.partitions,
      now: () => options.clock.now(),
      alarm: (key, at) => (at === null ? this.alarms.clear(key) : this.alarms.set(key, at)),
      isEnforcing: () => this.enforcement.isOn(), isAbreast: () => this.isAbreast,
      afterCommit: (run) => this.desk.afterCommit(run),
      tell, quiet: new QuietLog({ logger: quietly, clock: options.clock, quietMs: QUIET_MS }),
      start: (entry) => this.start(entry),
    }
    const { desk, on, reader, enforcement } = this
    this.intake = new Intake({ log, clock: options.clock, logger, desk, on, reader, enforcement, signal: this.stop.signal, room: () => this.room() })
    this.view = new StandingView(on, enforcement)
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
    const unheardOf = this.isRestored ? unheard(this.state, this.options.log.partitions) : []
    if (!this.isRestored) reasons.push('respond: reading its state')
    else if (unheardOf.length > 0) reasons.push(`respond: no detect has said which configuration ${placesText(unheardOf)} ${unheardOf.length === 1 ? 'has' : 'have'}`)
    else if (!this.state.config) reasons.push('respond: reading the incidents of before')
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

  /** Null before it knows. */
  standing(): Standing | null {
    return this.view.shown
  }

  /** Also what is so before a commit says it. */
  measure(): Promise<void> {
    this.options.meters.enforcement.set(this.enforcement.mayLeave() ? 1 : 0)
    this.options.meters.unanswered.set(unansweredMs(this.state.outbox.values(), this.on.now()) / 1000)
    return this.intake.measure()
  }

  /** See `Responder.reload`. */
  async reload(rules: Rules, by: string): Promise<ConfigView> {
    if (!this.isRestored || !this.state.config) throw new PipelineError('UNAVAILABLE', `nothing was reloaded, ${this.readiness()[0] ?? 'respond has just begun'}`)
    await this.desk.decide(() => {
      const before = this.rules
      this.rules = rules
      decideReload(this.on, by)
      if (before.policy.enforcement !== rules.policy.enforcement) decideSwitchAtStart(this.on)
      for (const row of this.state.leases.values()) if (row.state === 'active') decideLeaseAtStart(this.on, row)
      this.on.alarm('waiting', this.on.now())
    })
    return this.view.shown!.config!
  }

  private heard(partition: number): Heard | null {
    const mark = this.state.marks.get(String(partition))
    const said = this.state.said.get(String(partition))
    return mark ? { incarnation: mark.incarnation, offset: said?.incarnation === mark.incarnation ? said.offset : -1 } : null
  }

  private async restore(): Promise<void> {
    const { owned, logger } = this.options
    const restored = await owned.restore((key, value) => this.state.restore(key, value))
    if (restored.recreated) logger.warn({}, 'respond: a topic it had read further is shorter now; it is read from its start')
    await this.continueLedger()
    await this.intake.catchUp()
    for (const key of this.state.marks.keys()) this.reader.restoreMark(Number(key), this.state.marks.get(key)!)
    for (const row of this.state.incidents.values()) this.reader.restoreOpen(row)
    this.isRestored = true
  }

  /** A state that was set back by damage, or is gone, would begin the chain again in its middle. */
  private async continueLedger(): Promise<void> {
    const { log, logger } = this.options
    const newest = await newestLine(log)
    const known = this.state.ledger.seq
    if (!newest || newest.seq <= known) return
    const said = setBack(known, newest.seq)
    logger.error({ known, written: newest.seq }, `respond: ${said}`)
    if (known === 0) await knowIncidents(log, this.on, this.reader)
    this.state.continueLedger(newest)
    this.state.record({ at: this.on.now(), kind: 'note', device: '', incident: '', action: 'loss', reason: said })
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
      guard(this.intake.listening()),
      guard(this.intake.incidents()),
      guard(this.intake.requests()),
      guard(this.comeAbreast()),
    ])
    this.alarms.clearAll()
    await Promise.race([this.lanes.close(), delay(this.options.clock, DRAIN_MS, finished.signal)])
    finished.abort()
    await desk
    if (failures.length > 0) throw failures[0]
  }

  /** Leases that ended meanwhile end first, so that no device is quarantined by an expired command; then all else goes on. */
  private takeOver(): void {
    decideSwitchAtStart(this.on)
    if (this.state.config) decideConfig(this.on)
    for (const row of this.state.leases.values()) if (row.state === 'active') decideLeaseAtStart(this.on, row)
    for (const entry of this.state.outbox.values()) {
      // It was never begun, and may gather more.
      if (entry.tries === 0) {
        this.on.alarm(`outbox/${entry.id}`, entry.due)
        continue
      }
      if (entry.kind === 'command') this.on.alarm(`outbox/${entry.id}`, Math.max(entry.due, this.on.now() + answerMs(entry.tries)))
      this.desk.afterCommit(() => this.start(entry))
    }
    this.desk.afterCommit(() => this.assertAll())
  }

  /** What waits, or is muted, may have closed while nobody led: it is looked at again only when that is read. */
  private async comeAbreast(): Promise<void> {
    await this.intake.abreast()
    this.desk.post(() => {
      this.isAbreast = true
      if (!this.state.config) decideConfig(this.on)
      for (const { id, until } of this.state.silences.values()) this.on.alarm(`silence/${id}`, until)
      this.on.alarm('waiting', this.on.now())
    })
  }

  private ring(key: string): void {
    const slash = key.indexOf('/')
    const [kind, name] = slash < 0 ? [key, ''] : [key.slice(0, slash), key.slice(slash + 1)]
    if (kind === 'lease') decideLeaseEnd(this.on, name)
    else if (kind === 'outbox') decideAttempt(this.on, name)
    else if (kind === 'silence') decideSilenceEnd(this.on, name)
    else if (kind === 'waiting') decideWaiting(this.on)
    else if (kind === 'releases') decideReleases(this.on)
    else if (kind === 'config') decideConfigRepeat(this.on)
    else this.desk.afterCommit(() => this.assertAll())
  }

  private start(entry: OutboxEntry): void {
    if (this.stop.signal.aborted) return
    this.lanes.start({
      id: entry.id,
      ...laneOf(entry),
      perform: async () => {
        // A leader whose term is over hears of no `off` any more, and of no release.
        const mayLeave = () => !this.stop.signal.aborted && (!isQuarantine(entry) || this.enforcement.mayLeave())
        // It stays in the outbox, and is begun again by the next leader, or once enforcement is on.
        if (!mayLeave() || !this.state.outbox.has(entry.id)) return
        const outcome = await this.effects.perform(entry, mayLeave)
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
      const mayLeave = () => !this.stop.signal.aborted && this.enforcement.mayLeave()
      if (!mayLeave()) return
      // Decided anew since, perhaps not yet durably: the new command tells the state itself.
      if (this.state.leases.get(row.lease.device) !== row) continue
      const outcome = await this.options.enforcer.assertDesired({ id: row.command, kind: 'quarantine', lease: row.lease }, mayLeave)
      if (outcome.status !== 'done') this.options.meters.errors.add(1, { reason: 'desired state not asserted' })
    }
  }

  private async commit(): Promise<void> {
    const writes = this.state.takeWrites()
    if (writes.length > 0) await this.options.owned.commit(writes, { next: this.state.next(), incarnation: '' })
    this.enforcement.committed(this.state.offsets.get(offsetKey('requests', FLEET_PARTITION)) ?? 0)
    this.view.renew()
    const { meters } = this.options
    meters.enforcement.set(this.enforcement.mayLeave() ? 1 : 0)
    meters.waiting.set(this.state.incidents.waitingCount)
    meters.silences.set(this.state.silences.size)
    meters.leases.set(this.state.leases.size)
    meters.outbox.set(this.state.outbox.size)
    meters.openIncidents.set(this.state.incidents.size)
    if (!this.isFull()) for (const go of this.roomFor.splice(0)) go()
  }

  /** While enforcement is off quarantines wait without end, and more don't come: people are to be told all the same. */
  private isFull(): boolean {
    return this.enforcement.isOn() && this.commandsWaiting() >= this.options.limits.outbox
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

/** Partitions named in a reason. */
const PLACES_NAMED = 4

function placesText(partitions: readonly number[]): string {
  const named = partitions.slice(0, PLACES_NAMED).map((partition) => `readings/${partition}`)
  const more = partitions.length - named.length
  return `${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}
