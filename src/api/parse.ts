/** What a client may send: queries, bodies and ids are checked here before anything acts on them. */
import { badRequest, echoed } from './answers.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000
/** Longest id in a query, in characters: a device's name may have so many. */
export const MAX_ID = 1024
/** Longest reason, in characters. */
export const MAX_REASON = 500

type Query = Readonly<Record<string, unknown>>

/** One text a key, none beyond `allowed`. A key that is missing is null. Throws 400. */
export function readQuery<K extends string>(query: unknown, allowed: readonly K[]): Record<K, string | null> {
  const given = (query ?? {}) as Query
  for (const key of Object.keys(given))
    if (!(allowed as readonly string[]).includes(key)) throw badRequest(`query: unknown key '${echoed(key)}', expected ${list(allowed) || 'none'}`)
  const read = allowed.map((key) => {
    const value = given[key] ?? null
    if (Array.isArray(value)) throw badRequest(`query: ${key} is given ${value.length} times, expected once`)
    return [key, value === null ? null : String(value)]
  })
  return Object.fromEntries(read) as Record<K, string | null>
}

/** Throws 400. */
export function readPage(query: Readonly<Record<'limit' | 'after', string | null>>): { readonly limit: number; readonly after: string | null } {
  return { limit: readLimit(query.limit), after: query.after === null ? null : readText(query.after, 'query: after', MAX_ID) }
}

function readLimit(text: string | null): number {
  if (text === null) return DEFAULT_LIMIT
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > MAX_LIMIT) throw badRequest(`query: limit is '${echoed(text)}', expected a whole number from 1 to ${MAX_LIMIT}`)
  return limit
}

/** One of `choices`, or null when not given. Throws 400. */
export function readChoice<T extends string>(text: string | null, where: string, choices: readonly T[]): T | null {
  if (text === null) return null
  const choice = choices.find((other) => other === text)
  if (choice === undefined) throw badRequest(`${where} is '${echoed(text)}', expected ${list(choices)}`)
  return choice
}

/** A text of 1 to `longest` characters without control characters. Throws 400. */
export function readText(value: unknown, where: string, longest: number): string {
  if (typeof value !== 'string' || value.trim() === '' || value.length > longest)
    throw badRequest(`${where}: expected a text of 1 to ${longest} characters`)
  if (/\p{Cc}/u.test(value)) throw badRequest(`${where}: expected a text without control characters`)
  return value
}

/** A JSON object with these keys, perhaps the optional ones, and no others. Throws 400. */
export function readBody<K extends string, O extends string = never>(body: unknown, keys: readonly K[], optional: readonly O[] = []): Record<K, unknown> & Partial<Record<O, unknown>> {
  const known: readonly string[] = [...keys, ...optional]
  if (body === null || typeof body !== 'object' || Array.isArray(body)) throw badRequest(`body: expected a JSON object of ${known.join(', ')}`)
  for (const key of Object.keys(body)) if (!known.includes(key)) throw badRequest(`body: unknown key '${echoed(key)}', expected ${list(known)}`)
  for (const key of keys) if (!Object.hasOwn(body, key)) throw badRequest(`body: ${key} is missing, expected ${list(keys)}`)
  return body as Record<K, unknown> & Partial<Record<O, unknown>>
}

/** False where it is left out. Throws 400. */
export function readFlag(value: unknown, where: string): boolean {
  if (value === undefined) return false
  if (typeof value !== 'boolean') throw badRequest(`${where}: expected true or false`)
  return value
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words[words.length - 1]}`
}
