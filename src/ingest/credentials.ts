/** Who may connect to the embedded broker, and as which devices: the file `mosquitto_passwd` writes, with the devices of gateways. */
import { pbkdf2, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { errorText, PipelineError } from '../core/errors.ts'
import type { Account } from '../core/message.ts'

export interface Credentials {
  readonly users: number
  /** null: no such user, or another password. */
  verify(username: string, password: Uint8Array): Promise<Account | null>
}

interface Entry {
  readonly account: Account
  readonly iterations: number
  readonly salt: Buffer
  readonly hash: Buffer
}

const ENTRY = /^\$7\$([1-9]\d{0,6})\$([A-Za-z0-9+/]+=*)\$([A-Za-z0-9+/]+=*)(?::(.*))?$/
const ENTRY_SHOWN = '$7$iterations$salt$hash, or that and :devices'
/** Of SHA-512. */
const HASH_BYTES = 64
const PATTERNS_MAX = 64
const PATTERN_LENGTH_MAX = 1024
/** Deriving takes a thread of the pool that the log's disk writes need too: no more than this many of its four at once. */
const AT_ONCE = 2

const derive = promisify(pbkdf2)

/** Throws BAD_CONFIG: the file can't be read, or see `parseCredentials`. */
export async function readCredentials(path: string): Promise<Credentials> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new PipelineError('BAD_CONFIG', `credentials file ${path}: ${errorText(cause)}`, { cause })
  }
  return parseCredentials(text, path)
}

/**
 * Lines `user:$7$iterations$salt$hash`: PBKDF2 with HMAC-SHA-512, salt and hash in base64.
 * A gateway has `:devices` after it, names split by commas, in which `*` stands for any characters: it may speak for these and itself.
 * Empty lines and those that begin with `#` are skipped.
 * Throws BAD_CONFIG naming the line.
 */
export function parseCredentials(text: string, where: string): Credentials {
  const entries = new Map<string, Entry>()
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line === '' || line.startsWith('#')) continue
    const bad = (what: string) => new PipelineError('BAD_CONFIG', `${where}, line ${i + 1}: ${what}; mosquitto_passwd makes such lines`)
    const colon = line.indexOf(':')
    if (colon < 1) throw bad('expected user:$7$iterations$salt$hash')
    const user = line.slice(0, colon)
    const match = ENTRY.exec(line.slice(colon + 1))
    if (!match) throw bad(`expected ${ENTRY_SHOWN} after user ${JSON.stringify(user)}`)
    const [, iterations, salt, hash, devices] = match
    const entry = {
      account: accountOf(user, devices, (what) => new PipelineError('BAD_CONFIG', `${where}, line ${i + 1}: ${what}`)),
      iterations: Number(iterations),
      salt: Buffer.from(salt!, 'base64'),
      hash: Buffer.from(hash!, 'base64'),
    }
    if (entry.hash.length !== HASH_BYTES) throw bad(`the hash has ${entry.hash.length} bytes, expected ${HASH_BYTES}`)
    if (entries.has(user)) throw bad(`user ${JSON.stringify(user)} stands here twice`)
    entries.set(user, entry)
  }
  if (entries.size === 0) throw new PipelineError('BAD_CONFIG', `${where} names no user`)
  return verifier(entries)
}

function accountOf(name: string, devices: string | undefined, bad: (what: string) => PipelineError): Account {
  if (devices === undefined) return { name, isGateway: false, mayBe: (device) => device === name }
  const patterns = devices.split(',').map((pattern) => pattern.trim())
  const who = JSON.stringify(name)
  if (patterns.includes('')) throw bad(`the devices of ${who} have an empty name; expected names such as pump-*, split by commas`)
  if (patterns.length > PATTERNS_MAX) throw bad(`${patterns.length} device names of ${who}, at most ${PATTERNS_MAX} are allowed; use *`)
  const long = patterns.find((pattern) => pattern.length > PATTERN_LENGTH_MAX)
  if (long !== undefined) throw bad(`a device name of ${long.length} characters, at most ${PATTERN_LENGTH_MAX} are allowed`)
  const matchers = patterns.map(matcherOf)
  return { name, isGateway: true, mayBe: (device) => device === name || matchers.some((matches) => matches(device)) }
}

/** `*` stands for any characters, also none and `/`. Takes no longer than to look each text between them up once. */
function matcherOf(pattern: string): (name: string) => boolean {
  const [first = '', ...middle] = pattern.split('*')
  const last = middle.pop()
  if (last === undefined) return (name) => name === pattern
  return (name) => {
    const end = name.length - last.length
    if (!name.startsWith(first) || !name.endsWith(last)) return false
    let at = first.length
    for (const text of middle) {
      const found = name.indexOf(text, at)
      if (found < 0) return false
      at = found + text.length
    }
    return at <= end
  }
}

function verifier(entries: ReadonlyMap<string, Entry>): Credentials {
  const turns: Promise<unknown>[] = Array.from({ length: AT_ONCE }, () => Promise.resolve())
  const [anyone] = entries.values()
  let calls = 0
  return {
    users: entries.size,
    async verify(username, password) {
      const known = entries.get(username)
      // An unknown user costs as long as a known one, so that time tells nobody which names exist.
      const { iterations, salt, hash } = known ?? anyone!
      const turn = calls++ % AT_ONCE
      const run = () => derive(password, salt, iterations, HASH_BYTES, 'sha512')
      const derived = turns[turn]!.then(run, run)
      turns[turn] = derived
      return timingSafeEqual(await derived, hash) && known !== undefined ? known.account : null
    },
  }
}
