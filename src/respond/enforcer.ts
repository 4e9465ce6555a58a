/** Port: the way from a lease to the device. `device-command.ts` stands behind it, over the embedded broker. */
import type { Outcome } from './notifier.ts'

/** A quarantine with its end. Times are ms since epoch. */
export interface Lease {
  readonly device: string
  /** Grows with every command to the device, even past a lost log. */
  readonly generation: number
  /** Incident it came from; '' when a person asked. */
  readonly incident: string
  readonly reason: string
  readonly issuedAt: number
  readonly until: number
}

export interface Command {
  /** The same in every repeat; the device executes an id once. */
  readonly id: string
  readonly kind: 'quarantine' | 'release'
  readonly lease: Lease
}

export interface Ack {
  readonly id: string
  readonly device: string
  readonly generation: number
  readonly status: 'accepted' | 'done' | 'rejected' | 'failed'
  readonly reason: string
}

export interface Enforcer {
  /**
   * Publishes the retained desired state, then the command; `done` once both are handed over. Never rejects.
   * `mayLeave` is asked right before each publish, which may have waited for others; once it says no the outcome is `retry`. Left out: it may.
   */
  send(command: Command, mayLeave?: () => boolean): Promise<Outcome>
  /** Publishes the retained desired state alone: at takeover and every 5 minutes while the lease lasts. Never rejects. */
  assertDesired(command: Command, mayLeave?: () => boolean): Promise<Outcome>
  /** Devices' answers; the broker acknowledges each to its device after `each` resolves. */
  onAck(each: (ack: Ack) => Promise<void>): void
}

/** Port: MQTT topics as the enforcer needs them; the embedded broker stands behind it. */
export interface Channel {
  /** QoS 1; resolves when the broker has taken it. Call one at a time: aedes 1.2 doubles or loses overlapping retained publishes. */
  publish(topic: string, payload: string, options: { readonly retain: boolean }): Promise<void>
  /** What devices publish under `picket/+/ack`; acknowledged to the device after `each` resolves. */
  receive(each: (topic: string, payload: Uint8Array) => Promise<void>): void
}
