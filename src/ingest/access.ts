/** Who may publish, subscribe to and receive what on the embedded broker. */
import { decodeDeviceLevel, encodeDeviceLevel, parseDeviceTopic, PICKET_LEVEL } from '../core/device-topic.ts'
import type { Account } from '../core/message.ts'
import { Refusal } from './refusal.ts'
import type { TopicPatterns } from './topic-pattern.ts'

/** What the broker does with a published message. */
export type Use =
  /** For ingest, which asks the account once more: a payload may name devices too. */
  | { readonly kind: 'telemetry' }
  /** A device's answer to a command. */
  | { readonly kind: 'ack' }
  | { readonly kind: 'refused'; readonly why: string }

const TELEMETRY: Use = { kind: 'telemetry' }
const ACK: Use = { kind: 'ack' }

/** `account`: whom a connection logged in as; null where there are no credentials, and anyone may be any device. */
export function useOf(topic: string, account: Account | null, telemetry: TopicPatterns): Use {
  if (topic.startsWith('$')) return refused('topics that begin with $ are the broker\'s own')
  if (topic === PICKET_LEVEL || topic.startsWith(`${PICKET_LEVEL}/`)) {
    const parsed = parseDeviceTopic(topic)
    if (parsed?.kind !== 'ack') return refused(`devices publish only picket/{device}/ack under ${PICKET_LEVEL}/`)
    return account === null || account.mayBe(parsed.device) ? ACK : refused('a device answers only under its own name')
  }
  if (account === null) return TELEMETRY
  const claim = claimOf(topic, telemetry)
  if (claim.kind === 'none') return refused(`topic fits none of ${telemetry.filters.join(', ')}`)
  return claim.kind === 'payload' || account.mayBe(claim.device) ? TELEMETRY : refused('a device publishes only under its own name')
}

function refused(why: string): Use {
  return { kind: 'refused', why }
}

/** Where a topic says its device: itself, or its payload. */
type Claim = { readonly kind: 'topic'; readonly device: string } | { readonly kind: 'payload' } | { readonly kind: 'none' }

function claimOf(topic: string, telemetry: TopicPatterns): Claim {
  try {
    const meaning = telemetry.meaning(topic)
    if (meaning === null) return { kind: 'none' }
    return meaning.device === null ? { kind: 'payload' } : { kind: 'topic', device: meaning.device }
  } catch (error) {
    // An unfit name is nobody's.
    if (error instanceof Refusal) return { kind: 'none' }
    throw error
  }
}

/** Why a subscription is refused; null when it may be. One to `picket/+/…` is cut to the account's devices by `mayReceive`. */
export function subscriptionRefusal(filter: string, account: Account | null): string | null {
  if (filter.startsWith('$share/')) return 'shared subscriptions are not supported here'
  if (account === null) return null
  const [first, level = ''] = filter.split('/')
  const device = decodeDeviceLevel(level)
  if (first === PICKET_LEVEL && (device === null ? level === '+' && account.isGateway : account.mayBe(device))) return null
  const own = `${PICKET_LEVEL}/${encodeDeviceLevel(account.name)}/#`
  if (!account.isGateway) return `a device subscribes only to ${own}`
  return `a gateway subscribes only to ${own}, those of its devices, and ${PICKET_LEVEL}/+/#, of which it gets what is for them`
}

/** Whether a message may go to a connection of this account that subscribed to it. */
export function mayReceive(topic: string, account: Account | null): boolean {
  if (account === null) return true
  const device = parseDeviceTopic(topic)?.device
  return device !== undefined && account.mayBe(device)
}
