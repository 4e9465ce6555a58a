/** The user's YAML and `--set` arguments as one plain value whose keys still know where they were written: first step of `loadConfig`. */
import { isMap, isScalar, isSeq, LineCounter, parse, parseDocument, type Document as YamlDocument, type Node } from 'yaml'
import { errorText } from '../core/errors.ts'
import { keyOf, type Path, type Problem } from './problems.ts'

const TEXT_MAX = 1_048_576
const DEPTH_MAX = 32
/** One slip makes a parser stumble many times. */
const SYNTAX_PROBLEMS_MAX = 5
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
  const problems: Problem[] = []
  const lines = new LineCounter()
  const refuse = (place: string, key: string, why: string) => void problems.push({ place, key, text: why })
  const yaml = parseYaml(text, lines, (offset, why) => refuse(`${file}${position(lines, offset)}`, '', why))
  const overrides: Override[] = []
  let value = yaml?.value
  for (const argument of set) {
    const override = readOverride(argument)
    if (typeof override === 'string') {
      refuse(`--set ${argument}`, '', override)
      continue
    }
    overrides.unshift({ path: override.path, argument })
    value = assign(value, override.path, override.value)
  }
  const place = (path: Path, what: 'key' | 'value') => {
    const above = overrides.find((one) => startsWith(path, one.path))
    const override = above ?? (yaml?.document.hasIn(path) ? undefined : overrides.find((one) => startsWith(one.path, path)))
    if (override) return `--set ${keyOf(override.path)}`
    return `${file}${position(lines, yaml ? offsetOf(yaml.document, path, what) : 0)}`
  }
  const clean = cleaned(value, [], (path, why) => refuse(place(path, 'key'), keyOf(path), why))
  return {
    readable: yaml !== null,
    value: clean,
    problems,
    placeOfValue: (path) => place(path, 'value'),
    placeOfKey: (path) => place(path, 'key'),
  }
}

function startsWith(path: Path, start: Path): boolean {
  return start.length <= path.length && start.every((part, index) => String(part) === String(path[index]))
}

interface Parsed {
  readonly document: YamlDocument
  readonly value: unknown
}

function parseYaml(text: string, lines: LineCounter, refuse: (offset: number, why: string) => void): Parsed | null {
  if (text.length > TEXT_MAX) {
    refuse(0, `has ${text.length} characters; allowed: at most ${TEXT_MAX}`)
    return null
  }
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, logLevel: 'error' })
    for (const error of document.errors.slice(0, SYNTAX_PROBLEMS_MAX)) {
      const hint = lineAt(text, error.pos[0]).includes('${') ? '; inside { } and [ ] put ${NAME} in quotes' : ''
      refuse(error.pos[0], `is not YAML: ${error.message}${hint}`)
    }
    return document.errors.length > 0 ? null : { document, value: document.toJS() }
  } catch (error) {
    // The stack ends before the file does, or its aliases multiply without bound.
    refuse(0, `is not YAML that can be read: ${errorText(error)}`)
    return null
  }
}

function lineAt(text: string, offset: number): string {
  const end = text.indexOf('\n', offset)
  return text.slice(text.lastIndexOf('\n', offset - 1) + 1, end < 0 ? text.length : end)
}

function position(lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset)
  return `:${line || 1}:${col || 1}`
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

/** A `KEY=VALUE` argument, or why it is none. VALUE is YAML, so numbers, lists and mappings can be given. */
function readOverride(argument: string): { path: Path; value: unknown } | string {
  const match = /^((?:"(?:[^"\\]|\\.)*"|[^".=]+)(?:\.(?:"(?:[^"\\]|\\.)*"|[^".=]+))*)=(.*)$/s.exec(argument)
  if (!match) return 'is not KEY=VALUE; allowed: a dotted key and its value, such as listen.http=127.0.0.1:8081'
  if (match[2]!.trim() === '') return 'has no value after the =; null stands for a key that is not set'
  const parts = match[1]!.match(/"(?:[^"\\]|\\.)*"|[^".]+/g) ?? []
  try {
    const path = parts.map((part) => (part.startsWith('"') ? String(JSON.parse(part)) : part))
    return { path, value: parse(match[2]!, { stringKeys: true, logLevel: 'error' }) }
  } catch (error) {
    return `is not YAML after the =: ${errorText(error).split('\n')[0]}; put the value in quotes`
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
      refuse([...path, key], 'unknown key')
      return []
    }),
  )
}
