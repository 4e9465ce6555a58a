/** A YAML text and `--set` arguments → all Picket needs to start, or all that is wrong with them at once. The CLI's first step. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import { errorText } from '../core/errors.ts'
import type { Settings } from '../core/settings.ts'
import { canonicalJson } from '../log/control.ts'
import { crossProblems } from './cross.ts'
import { readDocument, type Document } from './document.ts'
import { processEnvironment, substitute, type Environment, type SubstituteOptions } from './environment.ts'
import type { Address } from './notation.ts'
import { ConfigError, keyOf, shown, unknownKey, type Path, type Problem } from './problems.ts'
import { resolveClasses } from './resolve.ts'
import { configSchema, NOT_YET, type Parsed, type ROLES } from './schema.ts'

export interface SourceConfig {
  readonly name: string
  readonly embedded: true
  /** Patterns, tried in this order. */
  readonly topics: readonly string[]
  /** Template of a device's name, over the parts of the topic. */
  readonly device: string
}

export interface WebhookConfig {
  readonly url: string
  /** null: deliveries are not signed. */
  readonly secret: string | null
}

/** The config with every default filled in. Paths are as the user wrote them: relative to where Picket was started. */
export interface Config {
  readonly file: string
  readonly listen: { readonly mqtt: Address; readonly http: Address }
  readonly log: { readonly embedded: { readonly path: string; readonly partitions: number } }
  readonly sources: readonly SourceConfig[]
  readonly notify: readonly { readonly webhook: WebhookConfig }[]
  /** Files; null: not given. */
  readonly auth: { readonly credentials: string | null; readonly signingKey: string | null }
  /** What a door refuses; those of a device's series are in `settings.limits`. */
  readonly limits: {
    readonly payloadBytes: number
    readonly nesting: number
    readonly fields: number
    readonly nameLength: number
    readonly connections: number
  }
  readonly checkpoint: { readonly intervalMs: number; readonly bytes: number }
  readonly roles: readonly (typeof ROLES)[number][]
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
  /** `leave`: a secret whose `${NAME}` is not set stays as it is written. Left out: refused. */
  readonly unsetSecrets?: SubstituteOptions['unset']
}

/** Throws ConfigError (BAD_CONFIG) that names every problem. */
export function loadConfig(input: ConfigInput): Config {
  const document = readDocument(input.file, input.text ?? readText(input.file), input.set ?? [])
  if (!document.readable) throw new ConfigError(document.problems)
  const problems: Problem[] = [...document.problems]
  const refuse = (path: Path, text: string) => void problems.push({ place: document.placeOfValue(path), key: keyOf(path), text })
  const refuseKey = (path: Path, text: string) => void problems.push({ place: document.placeOfKey(path), key: keyOf(path), text })
  const current = withoutPlanned(document.value, refuseKey)
  const value = substitute(current ?? {}, {
    environment: input.environment ?? processEnvironment(),
    unset: input.unsetSecrets ?? 'refuse',
    refuse,
  })
  const parsed = configSchema.safeParse(value)
  if (parsed.error) problems.push(...parsed.error.issues.flatMap((issue) => problemsOf(issue, [], value, document)))
  for (const { path, text } of crossProblems(value)) refuse(path, text)
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems)
  return configOf(input.file, parsed.data)
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new ConfigError([{ place: file, key: '', text: `can't be read (${errorText(error)}); name another file by --config FILE` }])
  }
}

/** `value` without the keys of `NOT_YET`, each refused. */
function withoutPlanned(value: unknown, refuse: (path: Path, text: string) => void): unknown {
  return NOT_YET.reduce((left, { path, instead }) => {
    return without(left, path, [], (at) => refuse(at, `is not in this version; ${instead}`))
  }, value)
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
    return issue.keys.map((key) => {
      const at = [...path, key]
      return { place: document.placeOfKey(at), key: keyOf(at), text: unknownKey(key, issue.message.split(', ')) }
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
    detectors: parsed.detectors,
    capacity: parsed.capacity,
    limits: { metricsPerDevice: parsed.limits.metricsPerDevice, newSeriesPerMinute: parsed.limits.newSeriesPerMinute },
    toleranceMs: parsed.time.tolerance,
    expireMs: parsed.state.expire,
  }
  const { payload, nesting, fields, nameLength, connections } = parsed.limits
  return {
    file,
    listen: parsed.listen,
    log: parsed.log,
    sources: parsed.sources,
    notify: parsed.notify.map(({ webhook }) => ({ webhook: { url: webhook.url, secret: webhook.secret ?? null } })),
    auth: { credentials: parsed.auth.credentials ?? null, signingKey: parsed.auth.signingKey ?? null },
    limits: { payloadBytes: payload, nesting, fields, nameLength, connections },
    checkpoint: { intervalMs: parsed.state.checkpoint.interval, bytes: parsed.state.checkpoint.bytes },
    roles: parsed.roles,
    remarks: remarksOn(parsed),
    settings,
    settingsHash: createHash('sha256').update(canonicalJson(settings)).digest('hex'),
  }
}

function remarksOn({ classes }: Parsed): string[] {
  return Object.entries(classes).flatMap(([name, layer]) =>
    layer.window ? `classes.${name}.window has no effect: no detector of this version looks at windows` : [],
  )
}
