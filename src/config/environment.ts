/** Secrets from the environment: the one file that reads it, for `${NAME}` in values that hold a secret and nowhere else. */
import { isSecret, SECRET_NAMES, type Path } from './problems.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export function processEnvironment(): Environment {
  return process.env
}

const REFERENCE = /\$\{([^}]*)\}/g
/** A reference that is never closed. */
const OPEN_REFERENCE = /\$\{[^}]*$/
/** What a shell would replace. */
const BARE_REFERENCE = /^\$[A-Za-z_]\w*$/
const ALLOWED = 'allowed: ${NAME} of an environment variable'

export interface SubstituteOptions {
  readonly environment: Environment
  /** What becomes of a `${NAME}` that is not set: refused, or left as it is written, for who needs no secrets. */
  readonly unset: 'refuse' | 'leave'
  readonly refuse: (path: Path, text: string) => void
}

/** `value` with every `${NAME}` in its secrets replaced; `refuse` hears of names that are not set, of slips, and of `${` where no secret stands. */
export function substitute(value: unknown, options: SubstituteOptions, path: Path = []): unknown {
  const { refuse } = options
  if (Array.isArray(value)) return value.map((inner, index) => substitute(inner, options, [...path, index]))
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, substitute(inner, options, [...path, key])]))
  }
  if (typeof value !== 'string' || !value.includes('$')) return value
  if (isSecret(path)) return withVariables(value, options, path)
  if (value.includes('${')) refuse(path, `has \${…} in it, which is replaced only in ${SECRET_NAMES}; write the value itself`)
  return value
}

function withVariables(secret: string, { environment, unset, refuse }: SubstituteOptions, path: Path): string {
  if (OPEN_REFERENCE.test(secret)) refuse(path, `has \${ without a } after it; ${ALLOWED}`)
  if (BARE_REFERENCE.test(secret)) refuse(path, `is a variable without braces; ${ALLOWED}`)
  return secret.replace(REFERENCE, (whole, name: string) => {
    const found = Object.hasOwn(environment, name) ? environment[name] : undefined
    if (found) return found
    const why = found === '' ? 'empty' : 'not set'
    if (unset === 'refuse') refuse(path, `needs the environment variable ${name || '(no name given)'}, which is ${why}`)
    return whole
  })
}
