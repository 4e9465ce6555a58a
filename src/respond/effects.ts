/** The effects: how an outbox entry reaches people, a device, or a partition of readings. Every one may happen again under its id. */
import { errorText } from '../core/errors.ts'
import { encodeControl } from '../log/control.ts'
import type { ControlBody } from '../log/control.ts'
import type { Log } from '../log/log.ts'
import type { Enforcer } from './enforcer.ts'
import type { Notification, Outcome } from './notifier.ts'
import type { Rules } from './rules.ts'
import type { ControlEntry, NotifyEntry, OutboxEntry } from './state.ts'

export interface EffectPorts {
  readonly log: Log
  readonly enforcer: Enforcer
  /** As they are at the moment. */
  readonly rules: () => Rules
  /** What detect said of a partition of `readings`; null before it has. */
  readonly heard: (partition: number) => Heard | null
}

/** Respond writes to `readings` and reads none of it. */
export interface Heard {
  readonly incarnation: string
  /** Of a record that stands there; −1: none is known. */
  readonly offset: number
}

/** Effects under way at once: webhooks a notifier; commands and records keep their order. */
const NOTIFICATIONS_AT_ONCE = 8

export function laneOf(entry: OutboxEntry): { readonly lane: string; readonly width: number } {
  // Enforcement is switched off when there are too many incidents: that is not to be told behind all of them.
  if (entry.kind === 'notice') return { lane: `notice/${entry.notifier}`, width: 1 }
  if (entry.kind === 'notify') return { lane: `notify/${entry.notifier}`, width: NOTIFICATIONS_AT_ONCE }
  return { lane: entry.kind === 'command' ? 'command' : `control/${entry.partition}`, width: 1 }
}

export class Effects {
  private readonly ports: EffectPorts

  constructor(ports: EffectPorts) {
    this.ports = ports
  }

  /** Never rejects. `mayLeave`: asked right before a command leaves. */
  async perform(entry: OutboxEntry, mayLeave: () => boolean): Promise<Outcome> {
    try {
      if (entry.kind === 'command') return await this.ports.enforcer.send(entry.command, mayLeave)
      if (entry.kind === 'control') return await this.writeControl(entry)
      const notifier = this.ports.rules().notifiers.find((other) => other.name === entry.notifier)
      if (!notifier) return { status: 'failed', detail: `no notifier is called ${entry.notifier} any more` }
      if (entry.kind === 'notice') return await notifier.say(entry.id, entry.notice)
      return await notifier.notify(notificationOf(entry))
    } catch (error) {
      return { status: 'retry', detail: errorText(error) }
    }
  }

  private async writeControl(entry: ControlEntry): Promise<Outcome> {
    const body = this.bodyOf(entry)
    if (!body) return { status: 'done', detail: 'a newer config takes its place' }
    const heard = this.ports.heard(entry.partition)
    if (!heard) return { status: 'retry', detail: `no detect has said which topic readings/${entry.partition} is` }
    // A record of a former incarnation, as the first of a topic made anew, would name it.
    const { high } = await this.ports.log.bounds('readings', entry.partition)
    if (high <= Math.max(0, heard.offset)) return { status: 'retry', detail: `readings/${entry.partition} was made anew, and no detect has said so yet` }
    const value = encodeControl({ id: entry.id, incarnation: heard.incarnation, at: entry.at, body })
    const appended = await this.ports.log.append('readings', entry.partition, [{ key: '', value }])
    await appended.flushed
    return { status: 'done', detail: '' }
  }

  /** Null for a config that is not the one of this process: its successor is decided already. */
  private bodyOf({ body }: ControlEntry): ControlBody | null {
    if (body.kind !== 'config') return body
    const { settings, settingsHash } = this.ports.rules()
    return body.hash === settingsHash ? { ...body, settings } : null
  }
}

function notificationOf({ id, incident, incidents, group, response }: NotifyEntry): Notification {
  return { id, incident, ...(incidents ? { incidents } : {}), ...(group ? { group } : {}), ...(response ? { response } : {}) }
}
