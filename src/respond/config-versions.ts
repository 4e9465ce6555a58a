/** Config versions: which config is in force in the readings partitions, and the control records that put a changed one there. */
import { idOf } from '../core/hash.ts'
import type { Log } from '../log/log.ts'
import { readableControl } from '../log/oldest-control.ts'
import type { Deciding } from './deciding.ts'
import { enqueue } from './outbox.ts'

/** So often the version in force is written again, that retention never takes the last. */
const CONFIG_REPEAT_MS = 3_600_000
/** Records read at once: frames are up to 512 KiB. */
const LOOK_AT_ONCE = 32

/** What a config record says. */
export interface ConfigSaid {
  readonly version: number
  readonly hash: string
}

/**
 * The newest config record a readings partition keeps; null when it keeps none, or `signal` has aborted.
 * Reads backwards, at worst all the partition keeps: a version below one that stands there would be obeyed by nobody.
 */
export async function readNewestConfig(log: Log, partition: number, signal: AbortSignal): Promise<ConfigSaid | null> {
  const { low, high } = await log.bounds('readings', partition)
  for (let end = high; end > low && !signal.aborted; end -= LOOK_AT_ONCE) {
    const config = await lastConfigIn(log, partition, Math.max(low, end - LOOK_AT_ONCE), end)
    if (config) return config
  }
  return null
}

/** Of the offsets [start, end). */
async function lastConfigIn(log: Log, partition: number, start: number, end: number): Promise<ConfigSaid | null> {
  let config: ConfigSaid | null = null
  for (let next = start; next < end; ) {
    const slice = await log.read('readings', partition, next, end - next)
    if (!slice) break
    for (const { value } of slice.records) {
      const body = readableControl(value)?.body
      if (body?.kind === 'config') config = { version: body.version, hash: body.hash }
    }
    next = slice.next
  }
  return config
}

/** At takeover, with the newest config of each partition that keeps one: nothing to do, or a new version for all of them. */
export function decideConfig(on: Deciding, newest: readonly ConfigSaid[]): void {
  const row = on.state.config
  const found = row ? [row] : newest
  const version = Math.max(0, ...found.map((config) => config.version))
  const isInForce = found.length > 0 && found.every((config) => config.hash === on.settingsHash)
  if (!isInForce) {
    on.state.record({ at: on.now(), kind: 'decision', device: '', incident: '', action: 'config', reason: `version ${version + 1}, hash ${on.settingsHash}` })
    writeConfig(on, version + 1)
  } else {
    if (!row) on.state.setConfig({ version, hash: on.settingsHash, at: on.now() })
    on.alarm('config', (row?.at ?? on.now()) + CONFIG_REPEAT_MS)
  }
}

/** The hour is over. */
export function decideConfigRepeat(on: Deciding): void {
  if (on.state.config) writeConfig(on, on.state.config.version)
}

/** To every partition, under ids that are the same all hour long. */
function writeConfig(on: Deciding, version: number): void {
  const at = on.now()
  const hour = Math.floor(at / CONFIG_REPEAT_MS)
  on.state.setConfig({ version, hash: on.settingsHash, at })
  on.alarm('config', at + CONFIG_REPEAT_MS)
  for (let partition = 0; partition < on.partitions; partition++) {
    const id = idOf('config', version, hour, partition)
    enqueue(on, { kind: 'control', id, at, tries: 1, due: at, partition, body: { kind: 'config', version, hash: on.settingsHash } })
  }
}
