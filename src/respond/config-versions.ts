/** Config versions: which config is in force in the readings partitions, and the control records that put a changed one there. */
import { isPipelineError } from '../core/errors.ts'
import { idOf } from '../core/hash.ts'
import { decodeControl, isControl } from '../log/control.ts'
import type { Log } from '../log/log.ts'
import { enqueue } from './outbox.ts'
import type { Deciding } from './outbox.ts'

/** So often the version in force is written again, that retention never takes the last. */
const CONFIG_REPEAT_MS = 3_600_000
/** Records of a partition looked at for its first control record, and how many at once: frames are up to 512 KiB. */
const LOOK_AT = 10_000
const LOOK_AT_ONCE = 32

export interface PartitionHead {
  readonly offset: number
  readonly incarnation: string
  /** Of the first config record; null when there was another kind of control record first. */
  readonly config: { readonly version: number; readonly hash: string } | null
}

/** What the oldest control record kept in a readings partition says, or the first from `from` on; null when 10,000 records have none. */
export async function readPartitionHead(log: Log, partition: number, from?: number): Promise<PartitionHead | null> {
  const start = from ?? (await log.bounds('readings', partition)).low
  for (let next = start; next < start + LOOK_AT; ) {
    const slice = await log.read('readings', partition, next, next === start ? 1 : LOOK_AT_ONCE)
    if (!slice) return null
    for (const { offset, value } of slice.records) {
      const head = value && isControl(value) ? headOf(offset, value) : null
      if (head) return head
    }
    next = slice.next
  }
  return null
}

/** Null for a damaged record: another will say it, and its reader in detect counts it. */
function headOf(offset: number, value: Uint8Array): PartitionHead | null {
  try {
    const { incarnation, body } = decodeControl(value)
    return { offset, incarnation, config: body.kind === 'config' ? { version: body.version, hash: body.hash } : null }
  } catch (error) {
    if (!isPipelineError(error, 'BAD_RECORD')) throw error
    return null
  }
}

/** At takeover with what the partitions hold: nothing to do, or a new version for all of them. */
export function decideConfig(on: Deciding, heads: readonly (PartitionHead | null)[]): void {
  const row = on.state.config
  const found = row ? [row] : heads.flatMap((head) => (head?.config ? [head.config] : []))
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
