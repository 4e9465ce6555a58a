/** What a good config amounts to, as `picket check` says it: to people in lines, to programs as one object. */
import type { Config } from '../config/config.ts'
import type { Address } from '../config/notation.ts'
import type { Role } from '../core/role.ts'
import type { Layer } from '../core/settings.ts'
import { ruleOf } from '../core/topic-rule.ts'
import { bracketed } from './options.ts'

/** A load to reckon with: DESIGN.md section 8. */
const MESSAGES_PER_SECOND = 5_000
/**
 * CPU to decode and score a message of 8 readings again, µs: 0.75 + 2.5 measured of a frame of 64 messages and 10,000 devices with level, limits and
 * silence (2 cores, Node 20.20, 2026-11-25), and half as much again for the detectors that came since.
 */
const REPLAY_MICROS = 5
/** Names in a line. */
const NAMES_SHOWN = 8

export interface Summary {
  readonly ok: true
  readonly file: string
  readonly listen: { readonly mqtt: string; readonly http: string }
  /** `path`: of the embedded log; `brokers` and `prefix` of one in Kafka. */
  readonly log: { readonly partitions: number; readonly path?: string; readonly brokers?: readonly string[]; readonly prefix?: string }
  readonly roles: readonly Role[]
  /** `broker`: of an MQTT broker that is not Picket's own. */
  readonly sources: readonly { readonly name: string; readonly broker?: string; readonly topics: readonly string[] }[]
  readonly classes: readonly string[]
  readonly sites: readonly string[]
  readonly devices: readonly string[]
  /** Who is never quarantined; and who may be for all that a class says never: the layers that name a severity. */
  readonly never: { readonly classes: readonly string[]; readonly sites: readonly string[]; readonly devices: readonly string[]; readonly unless: readonly string[] }
  /** By incidents and requests; `enforcement: off` stops them all. */
  readonly quarantines: { readonly enforcement: 'on' | 'off'; readonly perMinute: number; readonly atOnce: number }
  readonly receivers: number
  readonly detectors: readonly string[]
  /** Of each partition. `replayMs`: what a crash just before the next one costs at `messagesPerSecond` of the whole process. */
  readonly checkpoint: { readonly bytes: number; readonly intervalMs: number; readonly replayMs: number; readonly messagesPerSecond: number }
  readonly settingsHash: string
  readonly remarks: readonly string[]
}

export function summaryOf(config: Config): Summary {
  const { settings, checkpoint } = config
  const { classes, sites, devices } = settings
  const neverIn = (layers: Readonly<Record<string, Pick<Layer, 'quarantine'>>>) => names(layers, ({ quarantine }) => quarantine === null)
  const never = { classes: neverIn(classes), sites: neverIn(sites), devices: neverIn(devices) }
  const lifting = (layers: Readonly<Record<string, Layer>>) => names(layers, ({ quarantine }) => quarantine?.from !== undefined)
  const unless = [...lifting(sites).map((name) => `site ${name}`), ...lifting(devices).map((name) => `device ${name}`)]
  const replayMs = Math.ceil((checkpoint.intervalMs / 1000) * MESSAGES_PER_SECOND * (REPLAY_MICROS / 1000))
  return {
    ok: true,
    file: config.file,
    listen: { mqtt: addressText(config.listen.mqtt), http: addressText(config.listen.http) },
    log: logOf(config.log),
    roles: config.roles,
    sources: config.sources.map(({ name, mqtt, topics }) => ({ name, ...(mqtt ? { broker: mqtt.url } : {}), topics: topics.map((topic) => ruleOf(topic).pattern) })),
    classes: Object.keys(classes),
    sites: Object.keys(sites),
    devices: Object.keys(devices),
    never: { ...never, unless: never.classes.length + never.sites.length > 0 ? unless : [] },
    quarantines: { enforcement: config.respond.enforcement, perMinute: config.respond.quarantines.perMinute, atOnce: config.respond.quarantines.atOnce },
    receivers: config.notify.length,
    detectors: settings.detectors,
    checkpoint: { ...checkpoint, replayMs, messagesPerSecond: MESSAGES_PER_SECOND },
    settingsHash: config.settingsHash,
    remarks: config.remarks,
  }
}

export function summaryLines(summary: Summary): string[] {
  const { listen, log, never, checkpoint } = summary
  const { bytes, intervalMs, replayMs, messagesPerSecond } = checkpoint
  const hasBroker = summary.sources.some(({ broker }) => broker === undefined)
  const layers = [some('class', summary.classes), some('site', summary.sites), some('device', summary.devices)].filter(Boolean)
  const nevers = [some('class', never.classes), some('site', never.sites), some('device', never.devices)].filter(Boolean)
  const replayed = Math.round((intervalMs / 1000) * messagesPerSecond)
  return [
    `${summary.file}: ok`,
    `listen      ${hasBroker ? `MQTT ${listen.mqtt}, ` : ''}HTTP ${listen.http}`,
    ...(log.path === undefined ? [`roles       ${summary.roles.join(', ')}`] : []),
    `log         ${log.path ?? `Kafka at ${shortened(log.brokers ?? [])}, topics ${log.prefix}…`}, ${counted(log.partitions, 'partition')}`,
    ...summary.sources.map(({ name, broker, topics }) => `source      ${name}${broker === undefined ? '' : ` at ${broker}`}: ${topics.join(', ')}`),
    `settings    ${layers.join('; ')}`,
    `detectors   ${summary.detectors.join(', ')}`,
    `quarantine  ${quarantinesText(summary.quarantines)}`,
    `never cut   ${nevers.join('; ') || 'nobody'}${never.unless.length > 0 ? `; but ${shortened(never.unless)} can be, whatever class and site say` : ''}`,
    `notify      ${counted(summary.receivers, 'receiver')}`,
    `checkpoint  of a partition every ${durationText(intervalMs)}, sooner once ${bytesText(bytes)} of its rows have changed`,
    `replay      after a crash at most what came since the checkpoint: ${replayed} messages at ${messagesPerSecond} a second, about ${durationText(replayMs)}`,
    ...summary.remarks.map((remark) => `note        ${remark}`),
  ]
}

function logOf({ embedded, kafka }: Config['log']): Summary['log'] {
  if (embedded) return { path: embedded.path, partitions: embedded.partitions }
  return { brokers: kafka.brokers, prefix: kafka.prefix, partitions: kafka.partitions }
}

function quarantinesText({ enforcement, perMinute, atOnce }: Summary['quarantines']): string {
  return enforcement === 'off' ? 'off: no device is cut off (respond.enforcement)' : `at most ${perMinute} a minute by incidents, ${counted(atOnce, 'device')} at a time`
}

function names<T>(record: Readonly<Record<string, T>>, is: (one: T) => boolean): string[] {
  return Object.entries(record).flatMap(([name, one]) => (is(one) ? [name] : []))
}

/** `classes default, pump`; '' for none. */
function some(kind: string, all: readonly string[]): string {
  return all.length === 0 ? '' : `${kind} ${shortened(all)}`
}

function shortened(all: readonly string[]): string {
  return `${all.slice(0, NAMES_SHOWN).join(', ')}${all.length > NAMES_SHOWN ? ` and ${all.length - NAMES_SHOWN} more` : ''}`
}

function counted(count: number, what: string): string {
  return `${count === 0 ? 'no' : count} ${what}${count === 1 ? '' : 's'}`
}

function addressText({ host, port }: Address): string {
  return `${bracketed(host)}:${port}`
}

function durationText(ms: number): string {
  if (ms < 1000) return `${ms} ms`
  return ms < 120_000 ? `${Math.round(ms / 100) / 10} s` : `${Math.round(ms / 6_000) / 10} min`
}

function bytesText(bytes: number): string {
  return bytes < 1_048_576 ? `${Math.round(bytes / 1024)} KiB` : `${Math.round(bytes / 104_857.6) / 10} MiB`
}
