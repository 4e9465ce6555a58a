/** What is wrong with a config, said so that a person can mend it: the way all refusals of `src/config` are worded. */
import { PipelineError } from '../core/errors.ts'

/** Keys and list indexes from the top of the file. */
export type Path = readonly (string | number)[]

export interface Problem {
  /** `file:line:column`, or the `--set` argument it came from. */
  readonly place: string
  /** Dotted, as `--set` takes it; '' for the file as a whole. */
  readonly key: string
  /** What is wrong there and what is allowed. */
  readonly text: string
}

/** Problems looked for in a text that is wrong from end to end: each costs a search for its place. */
export const PROBLEMS_MAX = 200
/** Lines of a message. */
const LINES_MAX = 100

/** BAD_CONFIG with every problem found, one a line of its message, in the order of the file; those of `--set` last. */
export class ConfigError extends PipelineError {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    const ordered = problems.toSorted((a, b) => orderOf(a) - orderOf(b))
    const more = ordered.length > LINES_MAX ? ['… and more'] : []
    super('BAD_CONFIG', [...ordered.slice(0, LINES_MAX).map(lineOf), ...more].join('\n'))
    this.name = 'ConfigError'
    this.problems = ordered
  }
}

function lineOf({ place, key, text }: Problem): string {
  return [place, key, text].filter(Boolean).join(': ')
}

/** Columns of a line are fewer than a file has characters. */
const LINE = 2 ** 21

function orderOf({ place }: Problem): number {
  const at = positionOf(place)
  return at ? at.line * LINE + at.column : Number.MAX_SAFE_INTEGER
}

/** Of `file:line:column`; null for a `--set` argument, or a file as a whole. */
export function positionOf(place: string): { file: string; line: number; column: number } | null {
  const match = place.startsWith('--set') ? null : /^(.*):(\d+):(\d+)$/s.exec(place)
  return match && { file: match[1]!, line: Number(match[2]), column: Number(match[3]) }
}

/** `classes.pump.metrics."a.b".above`: quoted where a name has a dot of its own. */
export function keyOf(path: Path): string {
  return path.map((part) => (/[."=]/.test(String(part)) ? JSON.stringify(part) : String(part))).join('.')
}

/** Names of keys that hold a secret: never shown. */
const SECRETS: ReadonlySet<string> = new Set(['password', 'secret', 'key', 'token'])
/** Those in which `${NAME}` and `${file:PATH}` are replaced: processes of one file may log in as different users. */
const REPLACED: ReadonlySet<string> = new Set([...SECRETS, 'username', 'clientId'])

export function isSecret(path: Path): boolean {
  return SECRETS.has(String(path.at(-1)))
}

export function isReplaced(path: Path): boolean {
  return REPLACED.has(String(path.at(-1)))
}

export const REPLACED_NAMES = [...REPLACED].join(', ')

const SHOWN_MAX = 80

/** The value as a person wrote it, cut where it is long; never the inside of a mapping or list, which may hold secrets. */
export function shown(value: unknown, path: Path): string {
  if (value === undefined) return 'missing'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (value !== null && typeof value === 'object') return 'a mapping'
  if (isSecret(path)) return '(not shown)'
  const text = typeof value === 'string' ? shownText(value, path) : String(value)
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text
}

/** A URL may stand where none belongs, and so may a key that was pasted in place of its file's name. */
function shownText(text: string, path: Path): string {
  if (/[\r\n]/.test(text)) return 'a text of several lines'
  return JSON.stringify(hiddenPart(text, path))
}

/** The text at `path` as it is, but of a URL, and of all that a receiver is reached by, no more than the host. */
export function hiddenPart(text: string, path: Path): string {
  return path[0] === 'notify' ? hostOf(text) : withoutSecret(text)
}

/** A name or value as it is, but of a URL no more than its host. */
export function withoutSecret(text: string): string {
  return text.includes('://') ? hostOf(text) : text
}

/** Users, passwords and tokens stand in URLs before and after the host. */
function hostOf(url: string): string {
  return url.replace(/^([a-z]*:?\/\/)?(?:[^@/]*@)?([^/?#]*)(.*)$/is, (_, scheme: string | undefined, host: string, rest: string) => `${scheme ?? ''}${host}${rest ? '/…' : ''}`)
}

/** The way problems are collected: none beyond the bound. `place` is asked only for those that are kept. */
export function collector(problems: Problem[], place: (path: Path) => string): (path: Path, text: string) => void {
  return (path, text) => {
    if (problems.length < PROBLEMS_MAX) problems.push({ place: place(path), key: keyOf(path), text })
  }
}

/** The refusal of a key nobody knows; `known` in the order of the schema. */
export function unknownKey(name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  return `unknown key${near ? `, did you mean ${near}?` : ';'} allowed: ${known.join(', ')}`
}

/** The known name with the fewest edits, when those are few enough to be a slip; null when none is. */
function nearest(name: string, known: readonly string[]): string | null {
  let best: string | null = null
  let fewest = Math.max(2, Math.ceil(name.length / 3)) + 1
  for (const candidate of known) {
    const edits = editDistance(name.toLowerCase().slice(0, 64), candidate.toLowerCase())
    if (edits < fewest) [best, fewest] = [candidate, edits]
  }
  return best
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment) that make `b` of `a`. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let edits = Math.min(replaced, last[j]! + 1, row[j - 1]! + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) edits = Math.min(edits, before[j - 2]! + 1)
      row.push(edits)
    }
    ;[before, last] = [last, row]
  }
  return last[b.length]!
}
