/** The effects: how an outbox entry reaches people, a device, or a partition of readings. Every one may happen again under its id. */
import { errorText } from '../core/errors.ts'
import type { Settings } from '../core/settings.ts'
import { encodeControl } from '../log/control.ts'
import type { ControlBody } from '../log/control.ts'
import type { Log } from '../log/log.ts'
import { oldestControl } from '../log/oldest-control.ts'
import type { Enforcer } from './enforcer.ts'
import type { Notification, Notifier, Outcome } from './notifier.ts'
import type { ControlEntry, NotifyEntry, OutboxEntry } from './state.ts'

export interface EffectPorts {
  readonly log: Log
  readonly notifiers: readonly Notifier[]
  readonly enforcer: Enforcer
  readonly settings: Settings
  readonly settingsHash: string
}

/** Records of a partition looked at for one that names its incarnation. */
export const NAMED_WITHIN = 10_000

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
  /** Where the control record was that told the partition's incarnation. */
  private readonly heads = new Map<number, number>()

  constructor(ports: EffectPorts) {
    this.ports = ports
  }

  /** Never rejects. `mayLeave`: asked right before a command leaves. */
  async perform(entry: OutboxEntry, mayLeave: () => boolean): Promise<Outcome> {
    try {
      if (entry.kind === 'command') return await this.ports.enforcer.send(entry.command, mayLeave)
      if (entry.kind === 'control') return await this.writeControl(entry)
      const notifier = this.ports.notifiers.find((other) => other.name === entry.notifier)
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
    const incarnation = await this.incarnationOf(entry.partition)
    if (incarnation === null) return { status: 'retry', detail: `no control record in readings/${entry.partition} yet` }
    const value = encodeControl({ id: entry.id, incarnation, at: entry.at, body })
    const appended = await this.ports.log.append('readings', entry.partition, [{ key: '', value }])
    await appended.flushed
    return { status: 'done', detail: '' }
  }

  /** Null for a config that is not the one of this process: its successor is decided already. */
  private bodyOf({ body }: ControlEntry): ControlBody | null {
    if (body.kind !== 'config') return body
    return body.hash === this.ports.settingsHash ? { ...body, settings: this.ports.settings } : null
  }

  private async incarnationOf(partition: number): Promise<string | null> {
    const { log } = this.ports
    const known = this.heads.get(partition)
    // Looked at again each time: a record of a former incarnation would make detect begin the new one anew.
    const most = NAMED_WITHIN
    const head = (known !== undefined && (await oldestControl(log, partition, { from: known, most }))) || (await oldestControl(log, partition, { most }))
    if (!head) return null
    this.heads.set(partition, head.offset)
    return head.incarnation
  }
}

function notificationOf({ id, incident, incidents, group, response }: NotifyEntry): Notification {
  return { id, incident, ...(incidents ? { incidents } : {}), ...(group ? { group } : {}), ...(response ? { response } : {}) }
}
