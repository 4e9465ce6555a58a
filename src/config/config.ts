/** A YAML text and `--set` arguments → all Picket needs to start, or all that is wrong with them at once. The CLI's first step. */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import type { z } from 'zod'
import { errorText } from '../core/errors.ts'
import { ROLES, type Role } from '../core/role.ts'
import type { ResponsePolicy, Settings } from '../core/settings.ts'
import { partsOf, ruleOf, type TopicEntry } from '../core/topic-rule.ts'
import { canonicalJson } from '../log/control.ts'
import { crossProblems } from './cross.ts'
import { readDocument, type Document } from './document.ts'
import { processEnvironment, substitute, type Environment } from './environment.ts'
import type { Address } from './notation.ts'
import { collector, ConfigError, keyOf, PROBLEMS_MAX, shown, unknownKey, withoutSecret, type Path, type Problem } from './problems.ts'
import { layerOf, mapped, resolveClasses } from './resolve.ts'
import { TEXT_MAX } from './syntax.ts'
import { configSchema, embeddedLog, MISPLACED, type Parsed } from './schema.ts'
import { topicsOf } from './topics.ts'

interface TopicsOfSource {
  readonly name: string
  /** Tried in this order. */
  readonly topics: readonly TopicEntry[]
  /** Template of a device's name, over the parts of the topic; a topic may have its own. */
  readonly device: string
}

/** Paths of PEM files; null: the system's, or none. */
export interface TlsFiles {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
}

export interface MqttConfig {
  /** mqtt, mqtts, ws or wss, without user and password. */
  readonly url: string
  readonly version: 5 | '3.1.1'
  /** null: none. The same of the next. */
  readonly username: string | null
  readonly password: string | null
  /** null: not said, so made of the name of the source. */
  readonly clientId: string | null
  /** Messages taken in and not yet acknowledged. */
  readonly window: number
  readonly tls: TlsFiles | null
  /** Group of the shared subscription; null: not shared. */
  readonly share: string | null
  /** User property by which the broker says who published; null: it does not. */
  readonly identityProperty: string | null
}

export type EmbeddedSource = TopicsOfSource & { readonly embedded: true; readonly mqtt: null }
export type MqttSource = TopicsOfSource & { readonly embedded: false; readonly mqtt: MqttConfig }
export type SourceConfig = EmbeddedSource | MqttSource

export interface WebhookConfig {
  readonly url: string
  /** null: deliveries are not signed. */
  readonly secret: string | null
  /** Revisions of one device within so long go as one delivery, ms; 0: each by itself. */
  readonly gatherMs: number
}

export interface EmbeddedLogConfig {
  /** Folder. */
  readonly path: string
  readonly partitions: number
  /** Bytes and ms that readings and dead letters are kept within. */
  readonly retention: { readonly size: number; readonly age: number }
  /** Bytes set aside for a full disk. */
  readonly reserve: number
}

export interface KafkaLogConfig {
  /** `host:port`. */
  readonly brokers: readonly string[]
  readonly partitions: number
  readonly prefix: string
  readonly replication: number
  readonly minInSync: number
  readonly compression: 'none' | 'gzip' | 'lz4' | 'zstd'
  /** null: no TLS. */
  readonly tls: TlsFiles | null
  readonly sasl: { readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; readonly username: string; readonly password: string } | null
  /** Bytes of a partition, and ms, that readings and dead letters are kept within. */
  readonly retention: { readonly size: number; readonly age: number }
}

/** Most messages of one record of the readings. */
interface Frames {
  readonly frame: { readonly messages: number }
}

/** One of the two. */
export type LogConfig = Frames &
  ({ readonly embedded: EmbeddedLogConfig; readonly kafka: null } | { readonly embedded: null; readonly kafka: KafkaLogConfig })

/** The config with every default filled in. Paths are as the user wrote them: relative to where Picket was started. */
export interface Config {
  readonly file: string
  /** `advertise`: where others reach `http`; null: not said. */
  readonly listen: { readonly mqtt: Address; readonly http: Address; readonly advertise: Address | null }
  readonly log: LogConfig
  readonly sources: readonly SourceConfig[]
  readonly notify: readonly { readonly webhook: WebhookConfig }[]
  /** Bounds on response, of this process: not part of `settings`, as no score depends on them. */
  readonly respond: ResponsePolicy
  /** The first two are files; null: not given. */
  readonly auth: { readonly credentials: string | null; readonly signingKey: string | null; readonly apiToken: string | null }
  /** What a door refuses; those of a device's series are in `settings.limits`. */
  readonly limits: {
    readonly payloadBytes: number
    readonly nesting: number
    readonly fields: number
    readonly samples: number
    readonly nameLength: number
    readonly connections: number
  }
  readonly checkpoint: { readonly intervalMs: number; readonly bytes: number }
  readonly roles: readonly Role[]
  /** What scores and response depend on: travels in the log as a config control record. */
  readonly settings: Settings
  /** What it says that has no effect in this version, a sentence each. */
  readonly remarks: readonly string[]
  /** SHA-256 of the canonical JSON of `settings`, hex: equal settings, equal hash. */
  readonly settingsHash: string
}

export interface ConfigInput {
  /** Read unless `text` is given; in errors in any case. */
  readonly file: string
  readonly text?: string
  /** `KEY=VALUE` arguments, a later one over an earlier. */
  readonly set?: readonly string[]
  /** Left out: the process's own. */
  readonly environment?: Environment
  /**
   * A secret that can't be had is refused where the roles need it, and stays as it is written elsewhere. With `leave` it always stays,
   * with `refuse-in-log` it is refused in `log` alone.
   */
  readonly unsetSecrets?: 'leave' | 'refuse-in-log'
}

/** Bytes of the settings, which are one record in each partition of the log and are written again each hour. */
const SETTINGS_MAX = 4_194_304

/** A config together with where each of its values was written. */
export interface WrittenConfig {
  readonly config: Config
  readonly document: Pick<Document, 'value' | 'placeOfValue'>
  /** Under the keys of the file, with defaults, durations in ms and so on. */
  readonly parsed: unknown
}

/** Throws ConfigError (BAD_CONFIG) that names every problem. */
export function loadConfig(input: ConfigInput): Config {
  return loadWritten(input).config
}

/** As `loadConfig`, for those who say where a value comes from. */
export function loadWritten(input: ConfigInput): WrittenConfig {
  const document = readDocument(input.file, input.text ?? readText(input.file), input.set ?? [])
  if (!document.readable) throw new ConfigError(document.problems)
  const problems: Problem[] = [...document.problems]
  const refuse = collector(problems, document.placeOfValue)
  const refuseKey = collector(problems, document.placeOfKey)
  const current = withoutMisplaced(document.value, refuseKey) ?? {}
  const value = substitute(current, {
    environment: input.environment ?? processEnvironment(),
    unset: (path) => (isNeeded(path, input.unsetSecrets, rolesIn(current)) ? 'refuse' : 'leave'),
    refuse,
  })
  const parsed = configSchema.safeParse(value)
  if (parsed.error) problems.push(...parsed.error.issues.slice(0, PROBLEMS_MAX).flatMap((issue) => problemsOf(issue, [], value, document)))
  for (const { path, text } of crossProblems(value)) refuse(path, text)
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems)
  const config = configOf(input.file, parsed.data)
  const bytes = Buffer.byteLength(canonicalJson(config.settings))
  if (bytes > SETTINGS_MAX) throw new ConfigError([{ place: input.file, key: '', text: tooMuch(bytes) }])
  return { config, document, parsed: parsed.data }
}

function tooMuch(bytes: number): string {
  return `its classes, sites and devices come to a record of ${bytes} bytes; allowed: at most ${SETTINGS_MAX}; each class counts the metrics of default again`
}

/** Never more than is allowed, whatever the file is: it may be a pipe, or have no end. */
function readText(file: string): string {
  const refused = (text: string) => new ConfigError([{ place: file, key: '', text }])
  const bytes = Buffer.alloc(TEXT_MAX + 1)
  let length = 0
  try {
    const descriptor = openSync(file, 'r')
    try {
      for (let read = -1; read !== 0 && length < bytes.length; length += read) read = readSync(descriptor, bytes, length, bytes.length - length, null)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    throw refused(`can't be read (${errorText(error)}); name another file by --config FILE`)
  }
  if (length > TEXT_MAX) throw refused(`has more than ${TEXT_MAX} bytes; allowed: at most ${TEXT_MAX}`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length))
  } catch {
    throw refused('is not text in UTF-8')
  }
}

/** As they are written, before they are known to be roles. */
function rolesIn(value: unknown): readonly unknown[] {
  const roles = value !== null && typeof value === 'object' && 'roles' in value ? value.roles : undefined
  return Array.isArray(roles) ? roles : ROLES
}

/** Whether the secret at `path` is one that must be had. */
function isNeeded(path: Path, unset: ConfigInput['unsetSecrets'], roles: readonly unknown[]): boolean {
  if (unset === 'leave') return false
  const [section = ''] = path
  if (unset === 'refuse-in-log') return section === 'log'
  return NEEDED_BY.get(section)?.some((role) => roles.includes(role)) ?? true
}

/** By section, whose secrets are whose; all need those of any other. */
const NEEDED_BY: ReadonlyMap<string | number, readonly Role[]> = new Map([
  ['sources', ['ingest', 'respond']],
  ['notify', ['respond']],
  ['auth', ['detect', 'respond']],
])

/** `value` without the keys of `MISPLACED`, each refused. */
function withoutMisplaced(value: unknown, refuse: (path: Path, text: string) => void): unknown {
  return MISPLACED.reduce((left, { path, text }) => without(left, path, [], (at) => refuse(at, text)), value)
}

function without(value: unknown, path: Path, at: Path, found: (path: Path) => void): unknown {
  const [part, ...rest] = path
  if (value === null || typeof value !== 'object' || part === undefined) return value
  if (Array.isArray(value)) return value.map((inner, index) => without(inner, rest, [...at, index], found))
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => {
      if (part !== '*' && part !== key) return [[key, inner]]
      if (rest.length > 0) return [[key, without(inner, rest, [...at, key], found)]]
      found([...at, key])
      return []
    }),
  )
}

function problemsOf(issue: z.core.$ZodIssue, above: Path, value: unknown, document: Document): Problem[] {
  const path = [...above, ...(issue.path as (string | number)[])]
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, PROBLEMS_MAX).map((key) => {
      const at = [...path, key]
      return { place: document.placeOfKey(at), key: keyOf([...path, withoutSecret(key)]), text: unknownKey(key, issue.message.split(', ')) }
    })
  }
  if (issue.code === 'invalid_union') {
    const branch = issue.errors.find((errors) => errors.every((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys'))
    if (branch && branch.length > 0) return branch.flatMap((inner) => problemsOf(inner, path, value, document))
  }
  if (issue.code === 'invalid_key') {
    return [{ place: document.placeOfKey(path), key: keyOf(path), text: `is no name; allowed: ${issue.issues[0]?.message ?? ''}` }]
  }
  const text = `is ${shown(valueAt(value, path), path)}; allowed: ${issue.message}`
  return [{ place: document.placeOfValue(path), key: keyOf(path), text }]
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, part) => (inner as Record<string | number, unknown> | undefined)?.[part], value)
}

function configOf(file: string, parsed: Parsed): Config {
  const settings: Settings = {
    classes: resolveClasses(parsed.classes),
    sites: mapped(parsed.sites, layerOf),
    devices: mapped(parsed.devices, layerOf),
    detectors: parsed.detectors,
    capacity: parsed.capacity,
    limits: { metricsPerDevice: parsed.limits.metricsPerDevice, newSeriesPerMinute: parsed.limits.newSeriesPerMinute },
    toleranceMs: parsed.time.tolerance,
    expireMs: parsed.state.expire,
  }
  const { payload, nesting, fields, samples, nameLength, connections } = parsed.limits
  return {
    file,
    listen: { ...parsed.listen, advertise: parsed.listen.advertise ?? null },
    log: logOf(parsed.log),
    sources: parsed.sources.map(sourceOf),
    notify: parsed.notify.map(({ webhook }) => ({ webhook: { url: webhook.url, secret: webhook.secret ?? null, gatherMs: webhook.group ?? 0 } })),
    respond: policyOf(parsed.respond),
    auth: { credentials: parsed.auth.credentials ?? null, signingKey: parsed.auth.signingKey ?? null, apiToken: parsed.auth.api.token ?? null },
    limits: { payloadBytes: payload, nesting, fields, samples, nameLength, connections },
    checkpoint: { intervalMs: parsed.state.checkpoint.interval, bytes: parsed.state.checkpoint.bytes },
    roles: parsed.roles,
    remarks: remarksOn(parsed),
    settings,
    settingsHash: createHash('sha256').update(canonicalJson(settings)).digest('hex'),
  }
}

function logOf({ embedded, kafka, frame }: Parsed['log']): LogConfig {
  if (!kafka) return { embedded: embedded ?? embeddedLog.parse({}), kafka: null, frame }
  const tls = kafka.tls === true ? tlsFilesOf({}) : kafka.tls && tlsFilesOf(kafka.tls)
  return { embedded: null, kafka: { ...kafka, tls: tls ?? null, sasl: kafka.sasl ?? null }, frame }
}

type TlsText = { readonly [Key in keyof TlsFiles]?: string | undefined }

function tlsFilesOf({ ca, cert, key }: TlsText): TlsFiles {
  return { ca: ca ?? null, cert: cert ?? null, key: key ?? null }
}

function sourceOf({ name, topics, device, mqtt }: Parsed['sources'][number]): SourceConfig {
  const about = { name, topics: topicsOf(topics), device }
  if (!mqtt) return { ...about, embedded: true, mqtt: null }
  const { url, version, username = null, password = null, clientId = null, window, tls, share = null, identity } = mqtt
  const client = { url, version, username, password, clientId, window, tls: tls ? tlsFilesOf(tls) : null, share }
  return { ...about, embedded: false, mqtt: { ...client, identityProperty: identity?.property ?? null } }
}

function policyOf({ enforcement, quarantines: { perMinute, atOnce, group } }: Parsed['respond']): ResponsePolicy {
  return { enforcement, quarantines: { perMinute, atOnce, group: group ?? null } }
}

function remarksOn({ classes, sites, devices, sources }: Parsed): string[] {
  const layers = Object.entries({ classes, sites, devices }).flatMap(([section, all]) => Object.entries(all).map(([name, layer]) => ({ at: [section, name], layer })))
  const windows = layers.filter(({ layer }) => layer.window).map(({ at }) => `${keyOf([...at, 'window'])} has no effect: no detector of this version looks at windows`)
  const hasSites = sources.some(({ topics }) => topicsOf(topics).some((topic) => partsOf(ruleOf(topic).pattern).includes('site')))
  return [...windows, ...(Object.keys(sites).length > 0 && !hasSites ? ['sites has no effect: no topic of sources has the part {site}'] : [])]
}
