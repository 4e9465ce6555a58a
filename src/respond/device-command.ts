/** The enforcer over MQTT: the device contract's command, desired state and ack (v 1, docs/respond.md). The end of a reading's way, and the way back. */
import { sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { deviceTopic, parseDeviceTopic } from '../core/device-topic.ts'
import { errorText } from '../core/errors.ts'
import type { Clock } from '../ops/clock.ts'
import type { Logger } from '../ops/logger.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { Ack, Channel, Command, Enforcer } from './enforcer.ts'
import type { Outcome } from './notifier.ts'

export interface DeviceCommandOptions {
  readonly channel: Channel
  readonly clock: Clock
  readonly metrics: Metrics
  readonly logger: Logger
  /** Ed25519 private key; null: unsigned. */
  readonly key: KeyObject | null
}

const VERSION = 1
const ACK_BYTES_MOST = 4_096
const ID_CHARACTERS_MOST = 64
const REASON_CHARACTERS_KEPT = 500
const STATUSES: readonly string[] = ['accepted', 'done', 'rejected', 'failed'] satisfies Ack['status'][]

const always = () => true

export function createDeviceCommand(options: DeviceCommandOptions): Enforcer {
  const { channel, clock } = options
  const inTurn = oneAtATime()
  const publish = async (mayLeave: () => boolean, topic: string, payload: string, how: { readonly retain: boolean }) => {
    if (!mayLeave()) throw new Error('withheld: enforcement is off, or another leads')
    await channel.publish(topic, payload, how)
  }
  const publishDesired = (command: Command, mayLeave: () => boolean) =>
    publish(mayLeave, deviceTopic(command.lease.device, 'desired'), desiredOf(command, options.key), { retain: true })
  return {
    send: (command, mayLeave = always) =>
      inTurn(async () => {
        await publishDesired(command, mayLeave)
        await publish(mayLeave, deviceTopic(command.lease.device, 'command'), commandOf(command, clock.now(), options.key), { retain: false })
      }),
    assertDesired: (command, mayLeave = always) => inTurn(() => publishDesired(command, mayLeave)),
    onAck: (each) => receiveAcks(options, each),
  }
}

/** The broker loses or doubles overlapping publishes, and a device's older state may not come after its newer one. */
function oneAtATime(): (work: () => Promise<void>) => Promise<Outcome> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const outcome = last.then(work).then(
      (): Outcome => ({ status: 'done', detail: '' }),
      (error: unknown): Outcome => ({ status: 'retry', detail: errorText(error) }),
    )
    last = outcome
    return outcome
  }
}

/** `ttl`: seconds from receipt, for a device without a clock; less in a later attempt. */
function commandOf({ id, kind, lease }: Command, now: number, key: KeyObject | null): string {
  const { device, generation, reason, incident } = lease
  const issued = lease.issuedAt
  const expires = lease.until
  const ttl = Math.max(1, Math.ceil((expires - now) / 1000))
  const reply = deviceTopic(device, 'ack')
  const sig = signed([VERSION, id, generation, kind, device, issued, expires, reply, reason], key)
  return JSON.stringify({ v: VERSION, id, generation, kind, device, reason, incident, issued, expires, ttl, reply, ...sig })
}

/** `id`, `issued` and `reply` are empty lines under the signature, `until` too when the state is normal. */
function desiredOf({ kind, lease }: Command, key: KeyObject | null): string {
  const { device, generation, reason } = lease
  const state = kind === 'quarantine' ? 'quarantined' : 'normal'
  const until = kind === 'quarantine' ? lease.until : null
  const sig = signed([VERSION, '', generation, state, device, '', until ?? '', '', reason], key)
  return JSON.stringify({ v: VERSION, state, generation, until, reason, ...sig })
}

function signed(lines: readonly (string | number)[], key: KeyObject | null): { readonly sig?: string } {
  return key ? { sig: sign(null, Buffer.from(lines.join('\n'), 'utf8'), key).toString('base64') } : {}
}

function receiveAcks({ channel, metrics, logger }: DeviceCommandOptions, each: (ack: Ack) => Promise<void>): void {
  const drops = metrics.counter('picket_messages_dropped_total', 'What a stage dropped, by reason', ['stage', 'reason'])
  channel.receive(async (topic, payload) => {
    const ack = parseAck(topic, payload)
    if (typeof ack !== 'string') return each(ack)
    drops.add(1, { stage: 'ack', reason: ack })
    logger.debug({ topic, bytes: payload.length, reason: ack }, 'ack dropped')
  })
}

/** The ack, or why it is none. Fields it doesn't know are left alone: the contract grows by additions. */
function parseAck(topic: string, payload: Uint8Array): Ack | string {
  const place = parseDeviceTopic(topic)
  if (place?.kind !== 'ack') return 'bad-topic'
  if (payload.length > ACK_BYTES_MOST) return 'too-long'
  const fields = parseObject(payload)
  if (!fields) return 'not-json'
  const { v, id, generation, status, reason = '' } = fields
  if (v !== VERSION) return 'bad-version'
  if (typeof id !== 'string' || id === '' || id.length > ID_CHARACTERS_MOST) return 'bad-id'
  if (!Number.isSafeInteger(generation) || (generation as number) < 0) return 'bad-generation'
  if (typeof status !== 'string' || !STATUSES.includes(status)) return 'bad-status'
  if (typeof reason !== 'string') return 'bad-reason'
  return { id, device: place.device, generation: generation as number, status: status as Ack['status'], reason: reason.slice(0, REASON_CHARACTERS_KEPT) }
}

function parseObject(payload: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString('utf8'))
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : null
  } catch {
    return null // counted by the caller as what it is: no JSON
  }
}
