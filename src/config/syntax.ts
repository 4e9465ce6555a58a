/** YAML text → a document and its plain value, or what is wrong with the text; no word of a refusal is taken from it, for it may hold secrets. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type ErrorCode, type Node, type YAMLError } from 'yaml'
import { keyOf, type Path, type Problem } from './problems.ts'

export const TEXT_MAX = 1_048_576
/** Lines named; one slip makes a parser stumble many times. */
const SLIPS_MAX = 5
const ALIASES_MAX = 100

/** In place of the parser's own words where those repeat the text, or say less than they could. */
const WORDS: Readonly<Partial<Record<ErrorCode, string>>> = {
  ALIAS_PROPS: 'an alias (*name) can have no tag or anchor',
  BAD_ALIAS: 'an anchor (&name) or alias (*name) without a name, or with : at its end; put a text that begins with & or * in quotes',
  BAD_COLLECTION_TYPE: 'tags are not used here; put a text that begins with ! in quotes',
  BAD_DIRECTIVE: 'a line that begins with % is no directive known here; put a text that begins with % in quotes',
  BAD_DQ_ESCAPE: 'a \\ in double quotes begins no known escape; use single quotes',
  BAD_SCALAR_START: 'no text may begin with @ or `; put it in quotes',
  KEY_OVER_1024_CHARS: 'a key of more than 1024 characters',
  MULTIPLE_DOCS: 'a second document begins here; allowed: one',
  NON_STRING_KEY: 'a mapping or list is no key; allowed: a name',
  RESOURCE_EXHAUSTION: 'mappings and lists are nested too deeply',
  TAB_AS_INDENT: 'a tab indents the line; use spaces',
  TAG_RESOLVE_FAILED: 'tags are not used here; put a text that begins with ! in quotes',
  UNEXPECTED_TOKEN: 'something stands here that belongs to nothing before it; a text with YAML’s own characters (: # { } [ ] , & * ! | > % @ `) may need quotes',
}

export interface ParsedYaml {
  readonly document: Document
  /** What can be read of it; undefined where something is wrong. */
  readonly value: unknown
}

export interface YamlText {
  /** null: there is nothing to find a key in. */
  readonly parsed: ParsedYaml | null
  readonly problems: readonly Problem[]
  /** `:line:column` of an offset. */
  position(offset: number): string
}

/** Never throws. `file` names the text in problems. */
export function parseYaml(file: string, text: string): YamlText {
  const lines = new LineCounter()
  const position = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `:${line || 1}:${col || 1}`
  }
  const problem = (offset: number, why: string, path: Path = []): Problem => ({ place: `${file}${position(offset)}`, key: keyOf(path), text: why })
  const refused = (problems: readonly Problem[], parsed: ParsedYaml | null = null): YamlText => ({ parsed, problems, position })
  if (text.length > TEXT_MAX) return refused([problem(0, `has ${text.length} characters; allowed: at most ${TEXT_MAX}`)])
  try {
    // By its version directive a text would choose other rules, and types, than ours.
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, logLevel: 'error', schema: 'core', resolveKnownTags: false, uniqueKeys: false })
    const slips = [...document.errors, ...document.warnings]
    const first = slips.filter(({ pos }, index) => slips.findIndex((other) => lines.linePos(other.pos[0]).line === lines.linePos(pos[0]).line) === index)
    if (first.length > 0) return refused(first.slice(0, SLIPS_MAX).map((slip) => problem(slip.pos[0], slipText(slip, text))))
    const repeated = repeatedKeys(document)
    if (repeated.length > 0) return refused(repeated.map((offset) => problem(offset, 'is there twice in one mapping; keep one', pathAt(document, offset))))
    const badAlias = findBadAlias(document)
    if (badAlias) return refused([problem(badAlias.offset, badAlias.text)])
    return refused([], { document, value: document.toJS() })
  } catch (error) {
    const why = error instanceof RangeError ? WORDS.RESOURCE_EXHAUSTION! : 'its aliases (*name) multiply without bound, or name what they stand in'
    return refused([problem(0, `is not YAML that can be read: ${why}`)])
  }
}

function slipText({ code, message, pos }: YAMLError, text: string): string {
  const isReference = lineAt(text, pos[0]).includes('${')
  const bracket = /end with a ([\]}])$/.exec(message)?.[1]
  const unclosed = bracket && `a ${bracket === ']' ? '[' : '{'} before this is not closed by ${bracket}, or what is in it is not indented`
  return `is not YAML: ${isReference ? 'inside { } and [ ] put ${NAME} in quotes' : (unclosed ?? WORDS[code] ?? message)}`
}

function lineAt(text: string, offset: number): string {
  const end = text.indexOf('\n', offset)
  return text.slice(text.lastIndexOf('\n', offset - 1) + 1, end < 0 ? text.length : end)
}

/** The keys down to the one that begins at `offset`. */
function pathAt(document: Document, offset: number): Path {
  const path: (string | number)[] = []
  let node = document.contents as Node | null
  for (;;) {
    if (isMap(node)) {
      const pair = node.items.find(({ key, value }) => spans(key, offset) || spans(value, offset))
      if (!pair) return path
      path.push(String(isScalar(pair.key) ? pair.key.value : pair.key))
      if (spans(pair.key, offset)) return path
      node = pair.value as Node | null
    } else if (isSeq(node)) {
      const index = node.items.findIndex((item) => spans(item, offset))
      if (index < 0) return path
      path.push(index)
      node = node.items[index] as Node | null
    } else return path
  }
}

function spans(node: unknown, offset: number): boolean {
  const range = (node as Node | null)?.range
  return range != null && range[0] <= offset && offset < range[2]
}

/** Offsets of keys that their mapping has already; the parser's own search takes a time that grows as the square of a mapping's size. */
function repeatedKeys(document: Document): number[] {
  const offsets: number[] = []
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<string>()
      for (const { key } of items) {
        if (!isScalar(key)) continue
        if (seen.has(String(key.value))) offsets.push(key.range?.[0] ?? 0)
        seen.add(String(key.value))
      }
      return offsets.length >= SLIPS_MAX ? visit.BREAK : undefined
    },
  })
  return offsets.slice(0, SLIPS_MAX)
}

function findBadAlias(document: Document): { offset: number; text: string } | null {
  const anchors = new Set<string>()
  let count = 0
  let bad: { offset: number; text: string } | null = null
  visit(document, {
    Node(_, node, above) {
      if (!isAlias(node)) return void ('anchor' in node && node.anchor !== undefined && anchors.add(node.anchor))
      const offset = node.range?.[0] ?? 0
      if (!anchors.has(node.source)) bad = { offset, text: 'is not YAML: an alias (*name) of no anchor (&name) before it; put a text that begins with * in quotes' }
      else if (above.some((one) => 'anchor' in one && one.anchor === node.source)) bad = { offset, text: 'is an alias (*name) of what it stands in' }
      else if (++count > ALIASES_MAX) bad = { offset, text: `is not YAML that can be read: more than ${ALIASES_MAX} aliases (*name)` }
      return bad ? visit.BREAK : undefined
    },
  })
  return bad
}
