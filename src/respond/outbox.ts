/** The outbox: an effect from its decision to its outcome, whatever number of attempts lie between. */
import type { Random } from '../ops/random.ts'
import type { Deciding } from './deciding.ts'
import type { Ack } from './enforcer.ts'
import type { Outcome } from './notifier.ts'
import type { CommandEntry, ControlEntry, NoticeEntry, NotifyEntry, OutboxEntry } from './state.ts'

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

/** What an attempt came to. An entry that has its outcome meanwhile is left alone. */
export function decideOutcome(on: Deciding, id: string, outcome: Outcome): void {
  const entry = on.state.outbox.get(id)
  if (!entry) return
  if (entry.kind === 'command') return decideHandover(on, entry, outcome)
  const notifier = entry.kind === 'control' ? null : entry.notifier
  if (notifier !== null && outcome.status === 'retry') on.meters.notifications.add(1, { notifier, outcome: 'retry' })
  if (notifier !== null && outcome.status === 'done') on.quiet.over(`retry/${notifier}`, { notifier }, 'a notifier works again')
  if (outcome.status !== 'retry') return end(on, entry, outcome.status, outcome.detail)
  if (entry.tries >= GIVE_UP_TRIES || on.now() - entry.at >= GIVE_UP_MS) return end(on, entry, 'failed', `gave up after ${entry.tries} tries: ${outcome.detail}`)
  if (notifier !== null) warnOf(on, notifier, 'retry', outcome.detail)
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

/** The time set for an entry has come: the next attempt, or the end of a command nobody answered. While enforcement is off a quarantine waits. */
export function decideAttempt(on: Deciding, id: string): void {
  const entry = on.state.outbox.get(id)
  if (!entry) return
  if (isQuarantine(entry) && !on.isEnforcing()) return on.alarm(`outbox/${id}`, on.now() + answerMs(entry.tries))
  if (entry.kind === 'command' && entry.tries >= COMMAND_TRIES) return endCommand(on, entry, 'timed out', `no answer from the device after ${entry.tries} tries`)
  const tries = entry.tries + 1
  enqueue(on, { ...entry, tries, due: on.now() + (entry.kind === 'command' ? answerMs(tries) : 0) })
}

/** A command that cuts a device off. */
export function isQuarantine(entry: OutboxEntry): boolean {
  return entry.kind === 'command' && entry.command.kind === 'quarantine'
}

/** How long the oldest quarantine that reached the broker has been without its device's last word at `now`, ms; 0: none has. */
export function unansweredMs(entries: readonly OutboxEntry[], now: number): number {
  const waiting = entries.filter((entry) => entry.kind === 'command' && entry.sent && isQuarantine(entry))
  return waiting.reduce((longest, { at }) => Math.max(longest, now - at), 0)
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

/** Ends a notification that was not even tried. */
export function drop(on: Deciding, entry: NotifyEntry | NoticeEntry, reason: string): void {
  endNotification(on, entry, 'dropped', reason)
}

function end(on: Deciding, entry: NotifyEntry | NoticeEntry | ControlEntry, outcome: 'done' | 'failed', reason: string): void {
  if (entry.kind !== 'control') return endNotification(on, entry, outcome, reason)
  close(on, entry)
  if (outcome === 'done') return
  on.meters.errors.add(1, { reason: 'control record not written' })
  const device = entry.body.kind === 'quarantine' ? entry.body.device : ''
  on.state.record({ at: on.now(), kind: 'outcome', device, incident: '', action: `${entry.body.kind} record`, reason, command: entry.id, outcome })
}

const WARNINGS = {
  retry: 'a notifier fails, it is tried again',
  failed: 'a notification is given up',
  dropped: 'a notification is dropped',
} as const

/** `outcome`: what became of the notification. */
function warnOf(on: Deciding, notifier: string, outcome: keyof typeof WARNINGS, reason: string): void {
  on.quiet.warn(`${outcome}/${notifier}`, { notifier, outcome }, `${WARNINGS[outcome]}: ${reason}`)
}

function endNotification(on: Deciding, entry: NotifyEntry | NoticeEntry, outcome: 'done' | 'failed' | 'dropped', reason: string): void {
  close(on, entry)
  if (outcome !== 'done') warnOf(on, entry.notifier, outcome, reason)
  const { device, id: incident } = entry.kind === 'notify' ? entry.incident : { device: '', id: '' }
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
  if (!isEnd) return
  on.state.leases.delete(lease.device)
  // There is room for another.
  if (on.state.incidents.waitingCount > 0) on.alarm('waiting', on.now())
}

function close(on: Deciding, entry: OutboxEntry): void {
  on.state.outbox.delete(entry.id)
  on.alarm(`outbox/${entry.id}`, null)
}

function about(entry: CommandEntry): { readonly device: string; readonly incident: string; readonly command: string } {
  return { device: entry.command.lease.device, incident: entry.command.lease.incident, command: entry.id }
}
