/** A PUBLISH of a broker of the user's → the message ingest takes: whom the broker says it is from, and what MQTT 5 says beside the payload. */
import type { IPublishPacket } from 'mqtt'
import type { Account, Message } from '../core/message.ts'

export interface MessageOptions {
  /** Name of the source. */
  readonly source: string
  /** User property in which the broker says who published; null: it doesn't say. */
  readonly identity: string | null
}

/** Who published is not known, though it must be: may be no device. */
const NOBODY: Account = { name: '', isGateway: false, mayBe: () => false }

/** `arrival`: wall clock, ms since epoch. */
export function messageOf(packet: IPublishPacket, { source, identity }: MessageOptions, arrival: number): Message {
  const { topic, qos, dup, retain, properties } = packet
  const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload, 'utf8') : packet.payload
  const told = properties?.userProperties
  const account = identity === null ? null : accountOf(told?.[identity])
  return {
    source,
    client: account?.name ?? '',
    account,
    topic,
    payload,
    qos,
    dup,
    retain,
    arrival,
    ...(properties?.contentType === undefined ? {} : { contentType: properties.contentType }),
    ...(told === undefined ? {} : { properties: propertiesOf(told) }),
  }
}

/** Said twice it may be the publisher's own word beside the broker's: then it is nobody's. */
function accountOf(said: string | string[] | undefined): Account {
  if (typeof said !== 'string' || said === '') return NOBODY
  return { name: said, isGateway: false, mayBe: (device) => device === said }
}

/** Of a name that stands twice the last counts. */
function propertiesOf(told: Readonly<Record<string, string | string[]>>): ReadonlyMap<string, string> {
  return new Map(Object.entries(told).map(([name, value]) => [name, typeof value === 'string' ? value : (value.at(-1) ?? '')]))
}
