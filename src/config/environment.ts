/** Secrets from the environment: the one file that reads it, for `${NAME}` in values that hold a secret and nowhere else. */
import { isSecret, SECRET_NAMES, type Path } from './problems.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export function processEnvironment(): Environment {
  return process.env
}

const REFERENCE = /\$\{([^}]*)\}/g

/** `value` with every `${NAME}` in its secrets replaced; `refuse` hears of names that are not set, and of `${` where no secret stands. */
export function substitute(value: unknown, environment: Environment, refuse: (path: Path, text: string) => void, path: Path = []): unknown {
  if (Array.isArray(value)) return value.map((inner, index) => substitute(inner, environment, refuse, [...path, index]))
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, substitute(inner, environment, refuse, [...path, key])]))
  }
  if (typeof value !== 'string' || !value.includes('${')) return value
  if (!isSecret(path)) {
    refuse(path, `has \${…} in it, which is replaced only in ${SECRET_NAMES}; write the value itself`)
    return value
  }
  return value.replace(REFERENCE, (whole, name: string) => {
    const found = Object.hasOwn(environment, name) ? environment[name] : undefined
    if (found) return found
    refuse(path, `needs the environment variable ${name || '(no name given)'}, which is not set`)
    return whole
  })
}
