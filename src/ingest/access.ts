/** Who may publish and subscribe to what on the embedded broker. */
import { encodeDeviceLevel, parseDeviceTopic, PICKET_LEVEL } from '../core/device-topic.ts'
import { Refusal } from './refusal.ts'
import type { TopicPatterns } from './topic-pattern.ts'

/** What the broker does with a published message. */
export type Use =
  /** For ingest. */
  | { readonly kind: 'telemetry' }
  /** A device's answer to a command. */
  | { readonly kind: 'ack' }
  | { readonly kind: 'refused'; readonly why: string }

const TELEMETRY: Use = { kind: 'telemetry' }
const ACK: Use = { kind: 'ack' }

/** `owner`: the device a connection logged in as; null where there are no credentials, and anyone may be any device. */
export function useOf(topic: string, owner: string | null, telemetry: TopicPatterns): Use {
  if (topic.startsWith('$')) return { kind: 'refused', why: 'topics that begin with $ are the broker\'s own' }
  if (isUnder(topic, PICKET_LEVEL)) {
    const parsed = parseDeviceTopic(topic)
    if (parsed?.kind !== 'ack') return { kind: 'refused', why: `devices publish only picket/{device}/ack under ${PICKET_LEVEL}/` }
    return owner === null || parsed.device === owner ? ACK : { kind: 'refused', why: 'a device answers only under its own name' }
  }
  if (owner === null) return TELEMETRY
  const device = deviceOf(topic, telemetry)
  if (device === null) return { kind: 'refused', why: `topic fits none of ${telemetry.filters.join(', ')}` }
  return device === owner ? TELEMETRY : { kind: 'refused', why: 'a device publishes only under its own name' }
}

function deviceOf(topic: string, telemetry: TopicPatterns): string | null {
  try {
    return telemetry.meaning(topic)?.device ?? null
  } catch (error) {
    // An unfit name is nobody's.
    if (error instanceof Refusal) return null
    throw error
  }
}

/** Why a subscription is refused; null when it may be. */
export function subscriptionRefusal(filter: string, owner: string | null): string | null {
  if (filter.startsWith('$share/')) return 'shared subscriptions are not supported here'
  if (owner === null || isUnder(filter, `${PICKET_LEVEL}/${encodeDeviceLevel(owner)}`)) return null
  return `a device subscribes only to ${PICKET_LEVEL}/${encodeDeviceLevel(owner)}/#`
}

function isUnder(topic: string, prefix: string): boolean {
  return topic === prefix || topic.startsWith(`${prefix}/`)
}
