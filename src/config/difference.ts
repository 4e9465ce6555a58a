/** What a configuration says, key by key in its own notation, and how another differs: for `picket check --diff` and `picket reload`. */
import { ROLES, type Role } from '../core/role.ts'
import { canonicalJson } from '../log/control.ts'
import type { WrittenConfig } from './config.ts'
import { isUnresolved } from './environment.ts'
import { inputSchema, type SchemaNode } from './json-schema.ts'
import { hiddenPart, isSecret, keyOf, type Path } from './problems.ts'
import { embeddedLog } from './schema.ts'

/** One key. JSON; holds no secret. */
export interface Entry {
  readonly key: string
  /** As it is written, or as the default would be; a secret only where it is a reference to one. */
  readonly value: string
  /** What it comes to: equal for `60s` and `1m`. Null for what is not shown whole, which then is compared by `value` alone. */
  readonly means: string | null
  /** `file:line:column` or the `--set` argument; null for a default. */
  readonly place: string | null
}

/** With what may not leave the process. */
export interface HeldEntry extends Entry {
  readonly path: Path
  /** Also of secrets. */
  readonly exact: string
}

export interface Difference {
  readonly key: string
  /** null: nothing is said. The same of the next. */
  readonly old: string | null
  readonly new: string | null
  /** Where the new value stands; null: nowhere, it is the default or nothing. */
  readonly place: string | null
  /** What is needed for it, see `effectText`. */
  readonly does: 'version' | 'reload' | 'restart' | 'refused' | 'nothing'
  /** Those that have to be started again; empty: none. */
  readonly roles: readonly Role[]
}

/** In the order of the schema, the names in each mapping as they were written. */
export function entriesOf({ document, parsed }: Pick<WrittenConfig, 'document' | 'parsed'>): HeldEntry[] {
  const meaning = withLog(parsed, embeddedLog.parse({}))
  return leavesOf(withLog(document.value, {}), inputSchema(), []).map(({ path, value }) => {
    const isWritten = lookUp(document.value, path) !== undefined
    const exact = canonicalJson(lookUp(meaning, path) ?? value)
    const shown = shownValue(value, path)
    return { path, key: keyOf(path), value: shown.text, means: shown.isWhole ? exact : null, place: isWritten ? document.placeOfValue(path) : null, exact }
  })
}

/** Without what may not leave the process. */
export function shownEntries(entries: readonly HeldEntry[]): Entry[] {
  return entries.map(({ path: _path, exact: _exact, ...entry }) => entry)
}

/** What changes when `after` takes the place of `before`. Secrets and long values count where both sides know them. */
export function differencesOf(before: readonly (Entry & Partial<HeldEntry>)[], after: readonly HeldEntry[]): Difference[] {
  const old = new Map(before.map((entry) => [entry.key, entry]))
  const found = after.flatMap((entry) => {
    const was = old.get(entry.key)
    old.delete(entry.key)
    return was && isSame(was, entry) ? [] : [differenceOf(entry.key, was ?? null, entry)]
  })
  const gone = [...old.values()].map((entry) => differenceOf(entry.key, entry, null))
  // A name without keys of its own is told by them as soon as it has some.
  const named = [...before, ...after].map(({ key }) => key)
  const isEmpty = (value: string | null) => value !== null && EMPTY.has(value)
  return [...found, ...gone].filter(({ key, old: was, new: is }) => !(isEmpty(was) || isEmpty(is)) || !named.some((other) => other.startsWith(`${key}.`)))
}

/** In words. */
export function effectText({ does, roles }: Pick<Difference, 'does' | 'roles'>): string {
  const restart = roles.length === ROLES.length ? 'a restart of every process' : `a restart of ${roles.join(' and ')}`
  if (does === 'version') return roles.length > 0 ? `new version for all partitions, and ${restart}` : 'new version for all partitions'
  if (does === 'reload') return 'taken with a reload, by respond'
  if (does === 'restart') return `needs ${restart}`
  return does === 'refused' ? 'refused at the next start: the log was made with the old value' : 'has no effect'
}

/** A mapping and a list as they are shown. */
const NOTHING = '{}'
const EMPTY: ReadonlySet<string> = new Set([NOTHING, '[]'])

function isSame(was: Entry & Partial<HeldEntry>, is: HeldEntry): boolean {
  if (was.exact !== undefined) return was.exact === is.exact
  return was.means !== null && is.means !== null ? was.means === is.means : was.value === is.value
}

function differenceOf(key: string, was: Entry | null, is: Entry | null): Difference {
  return { key, old: was?.value ?? null, new: is?.value ?? null, place: is?.place ?? null, ...effectOf(key) }
}

type Effect = Pick<Difference, 'does' | 'roles'>
const VERSION: Effect = { does: 'version', roles: [] }
const restartOf = (...roles: Role[]): Effect => ({ does: 'restart', roles })

/** By the beginning of the key; the first that fits. */
const EFFECTS: readonly (readonly [RegExp, Effect])[] = [
  [/^(?:classes|sites|devices)\.(?:"(?:[^"\\]|\\.)*"|[^.]+)\.window\b/, { does: 'nothing', roles: [] }],
  [/^(?:classes|sites|devices|detectors|capacity|time|state\.expire|limits\.newSeriesPerMinute)\b/, VERSION],
  [/^limits\.metricsPerDevice$/, { does: 'version', roles: ['ingest'] }],
  [/^(?:respond|notify)\b/, { does: 'reload', roles: [] }],
  [/^(?:log\.(?:embedded|kafka)\.partitions|sources\.0\.device)$/, { does: 'refused', roles: [] }],
  [/^(?:limits|log\.frame|listen\.mqtt|auth\.credentials)\b/, restartOf('ingest')],
  [/^sources\b/, restartOf('ingest', 'respond')],
  [/^auth\.signingKey\b/, restartOf('respond')],
  [/^state\.checkpoint\b/, restartOf('detect')],
]

function effectOf(key: string): Effect {
  return EFFECTS.find(([pattern]) => pattern.test(key))?.[1] ?? restartOf(...ROLES)
}

/** With the log there is where none is named: its keys have defaults too. */
function withLog(value: unknown, embedded: unknown): unknown {
  const top = asMapping(value) ?? {}
  const log = asMapping(top['log']) ?? {}
  return log['kafka'] === undefined ? { ...top, log: { ...log, embedded: log['embedded'] ?? embedded } } : top
}

interface Leaf {
  readonly path: Path
  readonly value: unknown
}

/** With the defaults of what is left out. */
function leavesOf(given: unknown, node: SchemaNode, path: Path): Leaf[] {
  const value = given === undefined ? node.default : given
  if (value === undefined) return []
  if (Array.isArray(value)) {
    if (!value.some((item) => asMapping(item))) return [{ path, value }]
    return value.flatMap((item: unknown, index) => leavesOf(item, nodeFor(item, node.items ?? {}), [...path, index]))
  }
  const mapping = asMapping(value)
  if (!mapping) return [{ path, value }]
  const { properties = {}, additionalProperties } = nodeFor(mapping, node)
  const keys = [...new Set([...Object.keys(properties), ...Object.keys(mapping)])]
  const inner = typeof additionalProperties === 'object' ? additionalProperties : {}
  const leaves = keys.flatMap((key) => leavesOf(own(mapping, key), own(properties, key) ?? inner, [...path, key]))
  return leaves.length > 0 || path.length === 0 ? leaves : [{ path, value: mapping }]
}

/** Of several forms a value may have, that of mappings where it is one. */
function nodeFor(value: unknown, node: SchemaNode): SchemaNode {
  return asMapping(value) ? (node.anyOf?.find(({ properties }) => properties) ?? node) : node
}

const SHOWN_MAX = 120

function shownValue(value: unknown, path: Path): { readonly text: string; readonly isWhole: boolean } {
  if (typeof value === 'string' && isSecret(path)) return isReference(value) ? { text: value, isWhole: false } : { text: '(not shown)', isWhole: false }
  if (asMapping(value)) return { text: NOTHING, isWhole: true }
  const items = (Array.isArray(value) ? value : [value]).map((item: unknown) => (typeof item === 'string' ? hiddenPart(item, path) : JSON.stringify(item)))
  const text = Array.isArray(value) ? `[${items.join(', ')}]` : items.join()
  const isCut = text.length > SHOWN_MAX
  // What a reference stands for may differ from process to process.
  const isAsWritten = [value].flat().every((item, index) => typeof item !== 'string' || (items[index] === item && !isUnresolved(item)))
  const isWhole = isAsWritten && !isCut
  return { text: isCut ? `${text.slice(0, SHOWN_MAX)}…` : text, isWhole }
}

/** Nothing but references: where a secret is, not what it is. */
function isReference(text: string): boolean {
  return isUnresolved(text) && text.replace(/\$\{[^}]*\}/g, '') === ''
}

function asMapping(value: unknown): Readonly<Record<string, unknown>> | null {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : null
}

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined
}

function lookUp(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, part) => (inner !== null && typeof inner === 'object' && Object.hasOwn(inner, part) ? (inner as Record<string | number, unknown>)[part] : undefined), value)
}
