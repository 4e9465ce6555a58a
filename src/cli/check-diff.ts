/** `picket check --diff`: what the configuration would change against the running Picket's, or another file's, key by key. */
import { loadWritten } from '../config/config.ts'
import { type Difference, differencesOf, effectText, entriesOf, type Entry } from '../config/difference.ts'
import { shortHash } from '../core/hash.ts'
import { apiClient } from './api-client.ts'
import type { CliIo } from './io.ts'
import { apiToken, apiUrl } from './options.ts'
import type { UrlOptions } from './options.ts'
import { table, visible } from './table.ts'

export interface DiffOptions extends UrlOptions {
  /** The file to compare with; true: the running Picket. */
  readonly diff: string | true
  readonly json?: boolean
}

/** What is compared with. */
interface Before {
  readonly name: string
  readonly hash: string
  /** Version in force; null: not known. */
  readonly version: number | null
  readonly keys: readonly Entry[]
}

interface ConfigAnswer {
  readonly hash: string
  readonly inForce: { readonly version: number; readonly hash: string } | null
  readonly keys: readonly Entry[]
}

export const DIFFERENCE_HEADER = ['KEY', 'OLD', 'NEW', 'WHERE', 'WHAT IT DOES']

export function differenceCells(one: Difference): string[] {
  return [one.key, one.old ?? '–', one.new ?? '–', one.place ?? (one.new === null ? 'left out' : 'default'), effectText(one)]
}

/** Throws BAD_CONFIG for a file that is none, Failure where no Picket answers. */
export async function checkDiff(io: CliIo, options: DiffOptions): Promise<void> {
  const after = loadWritten({ file: options.config, set: options.set, unsetSecrets: 'leave' })
  const before = await beforeOf(io, options)
  const changed = differencesOf(before.keys, entriesOf(after))
  if (options.json) return io.stdout.write(changed.map((one) => `${JSON.stringify(one)}\n`).join(''))
  const hash = after.config.settingsHash
  if (changed.length > 0) io.stdout.write(`${table(DIFFERENCE_HEADER, changed.map(differenceCells))}\n`)
  const settings = hash === before.hash ? `settings as they are, hash ${shortHash(hash)}: no new version` : settingsText(before, hash)
  io.stdout.write(`${visible(changed.length === 0 && hash === before.hash ? `no change against ${before.name}` : settings)}\n`)
}

function settingsText({ hash: old, version, name }: Before, hash: string): string {
  const next = version === null ? 'the next version' : `version ${version + 1}`
  return `settings ${shortHash(old)} of ${name} → ${shortHash(hash)}: picket reload writes ${next} to every partition`
}

async function beforeOf(io: CliIo, options: DiffOptions): Promise<Before> {
  if (options.diff !== true) {
    // Without `--set`, which is about the other one.
    const written = loadWritten({ file: options.diff, unsetSecrets: 'leave' })
    return { name: options.diff, hash: written.config.settingsHash, version: null, keys: entriesOf(written) }
  }
  const url = apiUrl(options)
  const { hash, inForce, keys } = await apiClient(io, url, apiToken(options)).get<ConfigAnswer>('/api/v1/config')
  return { name: `the Picket at ${url}`, hash: inForce?.hash ?? hash, version: inForce?.version ?? null, keys }
}
