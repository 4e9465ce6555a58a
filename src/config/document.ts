/** The user's YAML and `--set` arguments as one plain value whose keys still know where they were written: first step of `loadConfig`. */
import { isMap, isScalar, isSeq, type Document as YamlDocument, type Node } from 'yaml'
import { collector, keyOf, type Path, type Problem } from './problems.ts'
import { parseYaml } from './syntax.ts'

const DEPTH_MAX = 32
/** Each time an alias stands for something, that counts again. */
const VALUES_MAX = 200_000
/** Characters of a `--set` argument that is none. */
const ARGUMENT_SHOWN = 80
/** YAML would let this key through to places where it means something else. */
const NEVER_KEY = '__proto__'

export interface Document {
  /** False: not YAML, so there is nothing to judge but its problems. */
  readonly readable: boolean
  /** Mappings, lists, strings, numbers, booleans; what was written as null is undefined: not set. */
  readonly value: unknown
  readonly problems: readonly Problem[]
  /** `file:line:column` of the value there, or of the nearest thing around it; the `--set` argument when that wrote it. */
  placeOfValue(path: Path): string
  /** The same of the key itself. */
  placeOfKey(path: Path): string
}

interface Override {
  readonly path: Path
  readonly argument: string
}

/** Never throws: what can't be read is among the problems, and the value is then what could be. */
export function readDocument(file: string, text: string, set: readonly string[]): Document {
  const yaml = parseYaml(file, text)
  const problems: Problem[] = [...yaml.problems]
  const refuse = (place: string, key: string, why: string) => void problems.push({ place, key, text: why })
  const overrides: Override[] = []
  let value = yaml.parsed?.value
  for (const argument of set) {
    const override = readOverride(argument)
    if ('refusal' in override) {
      refuse(`--set ${override.shown}`.trim(), '', override.refusal)
      continue
    }
    overrides.unshift({ path: override.path, argument })
    value = assign(value, override.path, override.value)
  }
  const place = (path: Path, what: 'key' | 'value') => {
    const above = overrides.find((one) => startsWith(path, one.path))
    const override = above ?? (yaml.parsed?.document.hasIn(path) ? undefined : overrides.find((one) => startsWith(one.path, path)))
    if (override) return `--set ${keyOf(override.path)}`
    return `${file}${yaml.position(yaml.parsed ? offsetOf(yaml.parsed.document, path, what) : 0)}`
  }
  const isSmall = valuesLeft(value, VALUES_MAX) >= 0
  if (!isSmall) refuse(file, '', `has more than ${VALUES_MAX} values, aliases followed; allowed: fewer`)
  return {
    readable: yaml.parsed !== null && isSmall,
    value: isSmall ? cleaned(value, [], collector(problems, (path) => place(path, 'key'))) : undefined,
    problems,
    placeOfValue: (path) => place(path, 'value'),
    placeOfKey: (path) => place(path, 'key'),
  }
}

function startsWith(path: Path, start: Path): boolean {
  return start.length <= path.length && start.every((part, index) => String(part) === String(path[index]))
}

/** Where the deepest part of `path` that was written stands in the text. */
function offsetOf(document: YamlDocument, path: Path, what: 'key' | 'value'): number {
  let node = document.contents as Node | null
  let offset = node?.range?.[0] ?? 0
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => String(isScalar(item.key) ? item.key.value : item.key) === String(part))
      if (!pair) return offset
      const key = pair.key as Node
      const value = pair.value as Node | null
      offset = (what === 'value' ? value?.range?.[0] : undefined) ?? key.range?.[0] ?? offset
      node = value
    } else if (isSeq(node)) {
      node = (node.items[Number(part)] ?? null) as Node | null
      offset = node?.range?.[0] ?? offset
    } else return offset
  }
  return offset
}

/** A `KEY=VALUE` argument, or why it is none, with as much of it as holds no secret. VALUE is YAML, so numbers, lists and mappings can be given. */
function readOverride(argument: string): { path: Path; value: unknown } | { refusal: string; shown: string } {
  const match = /^((?:"(?:[^"\\]|\\.)*"|[^".=]+)(?:\.(?:"(?:[^"\\]|\\.)*"|[^".=]+))*)=(.*)$/s.exec(argument)
  const shown = (/^[^=:\s]*/.exec(argument)?.[0] ?? '').slice(0, ARGUMENT_SHOWN)
  const path = match && pathOf(match[1]!)
  if (!path) return { refusal: 'is not KEY=VALUE; allowed: a dotted key and its value, such as listen.http=127.0.0.1:8081', shown }
  if (match[2]!.trim() === '') return { refusal: 'has no value after the =; null stands for a key that is not set', shown }
  const { parsed, problems } = parseYaml('', match[2]!)
  if (!parsed) return { refusal: `its value ${problems[0]!.text}`, shown }
  return { path, value: parsed.value }
}

function pathOf(key: string): Path | null {
  const parts = key.match(/"(?:[^"\\]|\\.)*"|[^".]+/g) ?? []
  try {
    return parts.map((part) => (part.startsWith('"') ? String(JSON.parse(part)) : part))
  } catch {
    // A quoted part that is no JSON text.
    return null
  }
}

/** A copy of `value` with `written` at `path`; what is in the way and has no inside is replaced by a mapping. */
function assign(value: unknown, path: Path, written: unknown): unknown {
  const [part, ...rest] = path
  if (part === undefined) return written
  if (Array.isArray(value) || (value == null && part === '0')) {
    const list: unknown[] = Array.isArray(value) ? [...value] : []
    const index = Number(part)
    if (Number.isInteger(index) && index >= 0 && index <= list.length) {
      list[index] = assign(list[index], rest, written)
      return list
    }
  }
  const inside = value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
  const inner = Object.hasOwn(inside, part) ? inside[part] : undefined
  return Object.fromEntries([...Object.entries(inside).filter(([key]) => key !== part), [part, assign(inner, rest, written)]])
}

/** What is left of `left` after counting what is in `value`; negative, and counted no further, where that is too much. */
function valuesLeft(value: unknown, left: number): number {
  if (value === null || typeof value !== 'object') return left - 1
  let rest = left - 1
  for (const key in value) {
    rest = valuesLeft((value as Record<string, unknown>)[key], rest)
    if (rest < 0) return rest
  }
  return rest
}

function cleaned(value: unknown, path: Path, refuse: (path: Path, why: string) => void): unknown {
  if (value === null || typeof value !== 'object') return value ?? undefined
  if (path.length > DEPTH_MAX) {
    refuse(path, `is nested deeper than ${DEPTH_MAX} levels`)
    return undefined
  }
  if (Array.isArray(value)) return value.map((inner, index) => cleaned(inner, [...path, index], refuse))
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => {
      if (key !== NEVER_KEY) return [[key, cleaned(inner, [...path, key], refuse)]]
      refuse([...path, key], 'unknown key; none may have this name')
      return []
    }),
  )
}
