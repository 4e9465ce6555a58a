/** The MQTT topics between Picket and one device (device contract v1): what respond publishes under, and the broker's rules are about. */

const ESCAPED = /[/%+#\0]/g
const ESCAPES = new Map([['/', '%2F'], ['%', '%25'], ['+', '%2B'], ['#', '%23'], ['\0', '%00']])
const UNESCAPES = new Map([...ESCAPES].map(([char, escape]) => [escape, char]))

/** First level of all topics of the contract. */
export const PICKET_LEVEL = 'picket'

const DEVICE_TOPIC_KINDS = ['command', 'ack', 'desired'] as const
export type DeviceTopicKind = (typeof DEVICE_TOPIC_KINDS)[number]

/** A device's name as one topic level: `/ % + #` and NUL percent-encoded, all else as it is. */
export function encodeDeviceLevel(device: string): string {
  return device.replace(ESCAPED, (char) => ESCAPES.get(char) ?? char)
}

/** The device's name; null when the level is none that `encodeDeviceLevel` makes, so that a device has exactly one topic. */
export function decodeDeviceLevel(level: string): string | null {
  const device = level.replace(/%[0-9A-F]{2}/g, (escape) => UNESCAPES.get(escape) ?? escape)
  return device !== '' && encodeDeviceLevel(device) === level ? device : null
}

export function deviceTopic(device: string, kind: DeviceTopicKind): string {
  return `${PICKET_LEVEL}/${encodeDeviceLevel(device)}/${kind}`
}

/** What a topic of the contract says; null for any other topic. */
export function parseDeviceTopic(topic: string): { readonly device: string; readonly kind: DeviceTopicKind } | null {
  const [first, level, last, ...more] = topic.split('/')
  const kind = DEVICE_TOPIC_KINDS.find((known) => known === last)
  if (first !== PICKET_LEVEL || level === undefined || kind === undefined || more.length > 0) return null
  const device = decodeDeviceLevel(level)
  return device === null ? null : { device, kind }
}
