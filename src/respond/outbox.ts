/** The outbox: an effect from its decision to its outcome, whatever number of attempts lie between. */
import { idOf } from '../core/hash.ts'
import type { Incident } from '../core/incident.ts'
import type { Settings } from '../core/settings.ts'
import type { LogFields } from '../ops/logger.ts'
import type { Random } from '../ops/random.ts'
import type { Ack } from './enforcer.ts'
import type { Meters } from './meters.ts'
import type { Outcome } from './notifier.ts'
import type { NotifierLine, NotifierLines } from './notifier-lines.ts'
import type { CommandEntry, ControlEntry, NotifyEntry, OutboxEntry, ResponderState } from './state.ts'

export interface ResponderLimits {
  /** Devices quarantined at once; a quarantine beyond it is refused. */
  readonly leases: number
  /** Incidents held open; those beyond it are acted on but can't be superseded. */
  readonly incidents: number
  /** Commands and control records without an outcome; at so many, reading stops until some have one. */
  readonly outbox: number
  /** Notifications without an outcome; those beyond it are dropped, so that a dead webhook never keeps a device from being quarantined. */
  readonly notifications: number
  /** Devices' answers waiting to be taken down; those beyond it are dropped, and the command repeated. */
  readonly acks: number
}

export const DEFAULT_LIMITS: ResponderLimits = { leases: 10_000, incidents: 10_000, outbox: 1_000, notifications: 10_000, acks: 1_000 }

/** What a decision stands on. All of it is discarded when its commit fails. */
export interface Deciding {
  readonly state: ResponderState
  readonly settings: Settings
  readonly settingsHash: string
  /** Names. */
  readonly notifiers: readonly string[]
  readonly partitions: number
  readonly limits: ResponderLimits
  readonly random: Random
  readonly meters: Meters
  /** Wall clock, ms since epoch. */
  readonly now: () => number
  /** The device's partition of `readings`. */
  readonly partitionFor: (device: string) => number
  /** One alarm a key (`lease/DEVICE`, `outbox/ID`, `config`); null takes it back. */
  readonly alarm: (key: string, at: number | null) => void
  readonly afterCommit: (run: () => void) => void
  /** A line of the log, once what it says is durable. */
  readonly tell: (level: 'info' | 'warn' | 'error', fields: LogFields, message: string) => void
  readonly notifierLines: NotifierLines
  /** A clock that only goes on, ms. */
  readonly monotonic: () => number
  /** Begins an attempt at the effect. */
  readonly start: (entry: OutboxEntry) => void
}

/** A device has so long to answer the first time, doubling up to the most. */
const ANSWER_MS_FIRST = 10_000
const ANSWER_MS_MOST = 300_000
const COMMAND_TRIES = 8
const RETRY_MS_FIRST = 1_000
const RETRY_MS_MOST = 300_000
/** After so long, or so many tries, what is not a command is given up. */
const GIVE_UP_MS = 24 * 3_600_000
const GIVE_UP_TRIES = 300

/** How long the device has to answer the attempt of this number, from 1. */
export function answerMs(attempt: number): number {
  return Math.min(ANSWER_MS_FIRST * 2 ** (attempt - 1), ANSWER_MS_MOST)
}

/** Takes the effect down; it begins after the commit. */
export function enqueue(on: Deciding, entry: OutboxEntry): void {
  on.state.outbox.set(entry.id, entry)
  if (entry.kind === 'command') on.alarm(`outbox/${entry.id}`, entry.due)
  on.afterCommit(() => on.start(entry))
}

/** One notification a notifier, or none of those the outbox has no room for. */
export function enqueueNotifications(on: Deciding, incident: Incident): void {
  const at = on.now()
  for (const notifier of on.notifiers) {
    const id = idOf('notify', incident.id, incident.revision, notifier)
    const entry: NotifyEntry = { kind: 'notify', id, at, tries: 1, due: at, notifier, incident }
    if (on.state.outbox.count('notify') < on.limits.notifications) enqueue(on, entry)
    else endNotification(on, entry, 'dropped', `${on.limits.notifications} notifications wait already`)
  }
}

/** What an attempt came to. An entry that has its outcome meanwhile is left alone. */
export function decideOutcome(on: Deciding, id: string, outcome: Outcome): void {
  const entry = on.state.outbox.get(id)
  if (!entry) return
  if (entry.kind === 'command') return decideHandover(on, entry, outcome)
  if (entry.kind === 'notify' && outcome.status === 'retry') on.meters.notifications.add(1, { notifier: entry.notifier, outcome: 'retry' })
  if (entry.kind === 'notify' && outcome.status === 'done') tellNotifier(on, on.notifierLines.worked(entry.notifier))
  if (outcome.status !== 'retry') return end(on, entry, outcome.status, outcome.detail)
  if (entry.tries >= GIVE_UP_TRIES || on.now() - entry.at >= GIVE_UP_MS) return end(on, entry, 'failed', `gave up after ${entry.tries} tries: ${outcome.detail}`)
  if (entry.kind === 'notify') tellNotifier(on, on.notifierLines.failed(entry.notifier, 'retry', outcome.detail, on.monotonic()))
  const due = on.now() + retryMs(entry.tries, on.random)
  on.state.outbox.set(id, { ...entry, due })
  on.alarm(`outbox/${id}`, due)
}

/** Exponential, between half and all of it, so that many don't come at once. */
function retryMs(tries: number, random: Random): number {
  return Math.min(RETRY_MS_FIRST * 2 ** (tries - 1), RETRY_MS_MOST) * (0.5 + random.fraction() / 2)
}

/** Whether it went well or not, the deadline for the device's answer stands and brings the next attempt. */
function decideHandover(on: Deciding, entry: CommandEntry, outcome: Outcome): void {
  if (outcome.status === 'failed') return endCommand(on, entry, 'failed', outcome.detail)
  if (outcome.status === 'retry') return on.meters.errors.add(1, { reason: 'command not handed over' })
  if (!entry.sent) on.state.outbox.set(entry.id, markSent(on, entry))
}

function markSent(on: Deciding, entry: CommandEntry): CommandEntry {
  const { kind } = entry.command
  on.state.record({ ...about(entry), at: on.now(), kind: 'effect', action: kind, reason: '', outcome: 'sent' })
  on.meters.commands.add(1, { kind, outcome: 'sent' })
  if (entry.since !== null) on.meters.toCommand.observe(Math.max(0, on.now() - entry.since) / 1000)
  return { ...entry, sent: true }
}

/** The time set for an entry has come: the next attempt, or the end of a command nobody answered. */
export function decideAttempt(on: Deciding, id: string): void {
  const entry = on.state.outbox.get(id)
  if (!entry) return
  if (entry.kind === 'command' && entry.tries >= COMMAND_TRIES) return endCommand(on, entry, 'timed out', `no answer from the device after ${entry.tries} tries`)
  const tries = entry.tries + 1
  enqueue(on, { ...entry, tries, due: on.now() + (entry.kind === 'command' ? answerMs(tries) : 0) })
}

/** What a device answered. */
export function decideAck(on: Deciding, ack: Ack): void {
  const waiting = on.state.outbox.get(ack.id)
  if (waiting?.kind !== 'command' || waiting.command.lease.device !== ack.device || waiting.command.lease.generation !== ack.generation)
    return on.meters.drops.add(1, { stage: 'ack', reason: 'unknown-command' })
  const entry = waiting.sent ? waiting : markSent(on, waiting)
  if (ack.status !== 'accepted') return endCommand(on, entry, ack.status, ack.reason)
  if (entry.accepted) return
  on.state.outbox.set(entry.id, { ...entry, accepted: true })
  on.state.record({ ...about(entry), at: on.now(), kind: 'outcome', action: entry.command.kind, reason: ack.reason, outcome: 'accepted' })
  on.meters.commands.add(1, { kind: entry.command.kind, outcome: 'accepted' })
}

/** Something newer for the device takes the place of these. */
export function supersede(on: Deciding, ids: readonly string[]): void {
  for (const id of ids) {
    const entry = on.state.outbox.get(id)
    if (entry?.kind === 'command') endCommand(on, entry, 'superseded', 'something newer was decided for the device')
    else if (entry) end(on, entry, 'done', 'superseded')
  }
}

function end(on: Deciding, entry: NotifyEntry | ControlEntry, outcome: 'done' | 'failed', reason: string): void {
  if (entry.kind === 'notify') return endNotification(on, entry, outcome, reason)
  close(on, entry)
  if (outcome === 'done') return
  on.meters.errors.add(1, { reason: 'control record not written' })
  const device = entry.body.kind === 'quarantine' ? entry.body.device : ''
  on.state.record({ at: on.now(), kind: 'outcome', device, incident: '', action: `${entry.body.kind} record`, reason, command: entry.id, outcome })
}

function tellNotifier(on: Deciding, line: NotifierLine | null): void {
  if (line) on.tell(line.level, line.fields, line.message)
}

function endNotification(on: Deciding, entry: NotifyEntry, outcome: 'done' | 'failed' | 'dropped', reason: string): void {
  close(on, entry)
  if (outcome !== 'done') tellNotifier(on, on.notifierLines.failed(entry.notifier, outcome, reason, on.monotonic()))
  const { device, id: incident } = entry.incident
  on.state.record({ at: on.now(), kind: 'outcome', device, incident, action: `notify ${entry.notifier}`, reason, command: entry.id, outcome })
  on.meters.notifications.add(1, { notifier: entry.notifier, outcome })
}

/** Outcomes of a command that leave the device otherwise than was decided. */
const GONE_WRONG: ReadonlySet<string> = new Set(['rejected', 'failed', 'timed out'])

/** A release that ends, however it does, ends its lease: none outlives a device that never answers. */
function endCommand(on: Deciding, entry: CommandEntry, outcome: string, reason: string): void {
  close(on, entry)
  const { kind, lease } = entry.command
  on.meters.commands.add(1, { kind, outcome })
  const isEnd = kind === 'release' && outcome !== 'superseded'
  const told = isEnd && outcome !== 'done' ? `released, unacknowledged: ${reason}` : reason
  on.state.record({ ...about(entry), at: on.now(), kind: 'outcome', action: kind, reason: told, outcome })
  if (GONE_WRONG.has(outcome)) on.tell('warn', { ...about(entry), generation: lease.generation, outcome }, `${kind} ${outcome}: ${told}`)
  if (isEnd) on.state.leases.delete(lease.device)
}

function close(on: Deciding, entry: OutboxEntry): void {
  on.state.outbox.delete(entry.id)
  on.alarm(`outbox/${entry.id}`, null)
}

function about(entry: CommandEntry): { readonly device: string; readonly incident: string; readonly command: string } {
  return { device: entry.command.lease.device, incident: entry.command.lease.incident, command: entry.id }
}
