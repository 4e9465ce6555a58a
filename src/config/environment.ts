/** Secrets from the environment and from files: the one file that reads either, for `${NAME}` and `${file:PATH}` in secrets and nowhere else. */
import { closeSync, openSync, readSync } from 'node:fs'
import { isReplaced, REPLACED_NAMES, type Path } from './problems.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export function processEnvironment(): Environment {
  return process.env
}

const REFERENCE = /\$\{([^}]*)\}/g
/** A reference that is never closed. */
const OPEN_REFERENCE = /\$\{[^}]*$/
/** What a shell would replace. */
const BARE_REFERENCE = /^\$[A-Za-z_]\w*$/
const ALLOWED = 'allowed: ${NAME} of an environment variable, ${file:PATH} of a file'
const FILE = 'file:'
/** Bytes of a secret's file. */
const FILE_MAX = 65_536

export interface SubstituteOptions {
  readonly environment: Environment
  /** What becomes of a secret at this place that can't be had: refused, or left as it is written, for who has no need of it. */
  readonly unset: (path: Path) => 'refuse' | 'leave'
  readonly refuse: (path: Path, text: string) => void
}

/** `value` with every reference in its secrets replaced; `refuse` hears of those that can't be, of slips, and of `${` where no secret stands. */
export function substitute(value: unknown, options: SubstituteOptions, path: Path = []): unknown {
  const { refuse } = options
  if (Array.isArray(value)) return value.map((inner, index) => substitute(inner, options, [...path, index]))
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, substitute(inner, options, [...path, key])]))
  }
  if (typeof value !== 'string' || !value.includes('$')) return value
  if (isReplaced(path)) return withReferences(value, options, path)
  if (value.includes('${')) refuse(path, `has \${…} in it, which is replaced only in ${REPLACED_NAMES}; write the value itself`)
  return value
}

/** Whether a secret was left as it is written. */
export function isUnresolved(secret: string): boolean {
  return secret.search(REFERENCE) >= 0
}

function withReferences(secret: string, { environment, unset, refuse }: SubstituteOptions, path: Path): string {
  if (OPEN_REFERENCE.test(secret)) refuse(path, `has \${ without a } after it; ${ALLOWED}`)
  if (BARE_REFERENCE.test(secret)) refuse(path, `is a variable without braces; ${ALLOWED}`)
  return secret.replace(REFERENCE, (whole, name: string) => {
    const found = name.startsWith(FILE) ? contentOf(name.slice(FILE.length)) : variable(environment, name)
    if ('value' in found) return found.value
    if (unset(path) === 'refuse') refuse(path, found.problem)
    return whole
  })
}

type Found = { readonly value: string } | { readonly problem: string }

function variable(environment: Environment, name: string): Found {
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined
  if (value) return { value }
  return { problem: `needs the environment variable ${name || '(no name given)'}, which is ${value === '' ? 'empty' : 'not set'}` }
}

/** Without the line end that editors and `echo` put at its end. No problem shows what is in the file. */
function contentOf(file: string): Found {
  const problem = (why: string): Found => ({ problem: `needs the file ${file || '(no path given)'}, ${why}` })
  const bytes = Buffer.alloc(FILE_MAX + 1)
  let length = 0
  try {
    const descriptor = openSync(file, 'r')
    try {
      for (let read = -1; read !== 0 && length < bytes.length; length += read) read = readSync(descriptor, bytes, length, bytes.length - length, null)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    return problem(`which can't be read (${error instanceof Error && 'code' in error ? String(error.code) : 'error'})`)
  }
  if (length > FILE_MAX) return problem(`which has more than ${FILE_MAX} bytes; allowed: a secret and nothing else`)
  const value = bytes.toString('utf8', 0, length).replace(/\r?\n$/, '')
  return value === '' ? problem('which is empty') : { value }
}
