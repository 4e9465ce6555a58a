/** Who may connect to the embedded broker: the file `mosquitto_passwd` writes. */
import { pbkdf2, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { errorText, PipelineError } from '../core/errors.ts'

export interface Credentials {
  readonly users: number
  verify(username: string, password: Uint8Array): Promise<boolean>
}

interface Entry {
  readonly iterations: number
  readonly salt: Buffer
  readonly hash: Buffer
}

const ENTRY = /^\$7\$([1-9]\d{0,8})\$([A-Za-z0-9+/]+=*)\$([A-Za-z0-9+/]+=*)$/
/** Of SHA-512. */
const HASH_BYTES = 64
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
    if (!match) throw bad(`expected $7$iterations$salt$hash after user ${JSON.stringify(user)}`)
    const entry = { iterations: Number(match[1]), salt: Buffer.from(match[2]!, 'base64'), hash: Buffer.from(match[3]!, 'base64') }
    if (entry.hash.length !== HASH_BYTES) throw bad(`the hash has ${entry.hash.length} bytes, expected ${HASH_BYTES}`)
    if (entries.has(user)) throw bad(`user ${JSON.stringify(user)} stands here twice`)
    entries.set(user, entry)
  }
  if (entries.size === 0) throw new PipelineError('BAD_CONFIG', `${where} names no user`)
  return verifier(entries)
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
      return timingSafeEqual(await derived, hash) && known !== undefined
    },
  }
}
