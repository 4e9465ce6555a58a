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

/** BAD_CONFIG with every problem found, one a line of its message. */
export class ConfigError extends PipelineError {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super('BAD_CONFIG', problems.map((problem) => [problem.place, problem.key, problem.text].filter(Boolean).join(': ')).join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** `classes.pump.metrics."a.b".above`: quoted where a name has a dot of its own. */
export function keyOf(path: Path): string {
  return path.map((part) => (/[."=]/.test(String(part)) ? JSON.stringify(part) : String(part))).join('.')
}

/** Names of keys that hold a secret: never shown, and the only ones in which `${NAME}` is replaced. */
const SECRETS: ReadonlySet<string> = new Set(['password', 'secret', 'key'])

export function isSecret(path: Path): boolean {
  return SECRETS.has(String(path.at(-1)))
}

export const SECRET_NAMES = [...SECRETS].join(', ')

const SHOWN_MAX = 80

/** The value as a person wrote it, cut where it is long; never the inside of a mapping or list, which may hold secrets. */
export function shown(value: unknown, path: Path): string {
  if (value === undefined) return 'missing'
  if (Array.isArray(value)) return 'a list'
  if (value !== null && typeof value === 'object') return 'a mapping'
  if (isSecret(path)) return '(not shown)'
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text
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
