/** Config versions: which config detect says is in force in the readings partitions, and the control records that put a changed one there. */
import { idOf, shortHash } from '../core/hash.ts'
import type { ConfigView, PartitionConfig } from '../core/standing.ts'
import type { Deciding } from './deciding.ts'
import { decided } from './deciding.ts'
import { enqueue } from './outbox.ts'
import type { ConfigRow, ConfigSaid, ResponderState } from './state.ts'

/** So often the version in force is written again, that retention never takes the last. */
const CONFIG_REPEAT_MS = 3_600_000

/** Detect says what a partition obeys: kept, and acted on where it is not what was last written. */
export function decideSaid(on: Deciding, partition: number, said: ConfigSaid): void {
  const before = on.state.said.get(String(partition))
  on.state.said.set(String(partition), said)
  const row = on.state.config
  if (!row) {
    if (on.isAbreast()) decideConfig(on)
  } else if (isStrange(row, said)) decideConfig(on)
  // A topic made anew begins with what ingest's file says.
  else if (before && before.incarnation !== said.incarnation && said.version < row.version) write(on, row, [partition])
}

/** Beyond what respond remembers to have written: its state was lost or set back, or somebody else writes there. */
function isStrange(row: ConfigRow, said: ConfigSaid): boolean {
  return said.version > row.version || (said.version === row.version && said.hash !== row.hash)
}

/**
 * At takeover, and whenever something speaks against what was last written: nothing to do, or a new version for all partitions.
 * Without a version of its own respond waits until it knows what all of them obey: one below theirs would be obeyed by nobody.
 */
export function decideConfig(on: Deciding): void {
  const row = on.state.config
  const said = on.state.said.values()
  if (!row && unheard(on.state, on.partitions).length > 0) return
  const version = newestVersion(on.state)
  // A partition that has not come to what was last written may obey anything older.
  const counts = row ? [row, ...said].filter((one) => one.version === version) : said
  const other = counts.find(({ hash }) => hash !== on.settingsHash)
  if (other) {
    const what = { version: version + 1, hash: on.settingsHash, was: other.version, wasHash: other.hash }
    on.tell('info', what, `version ${other.version} of the configuration has hash ${shortHash(other.hash)}, this process's file ${shortHash(on.settingsHash)}: version ${version + 1} goes to every partition`)
    writeVersion(on, version + 1, '')
  } else if (row && row.version < version) renew(on, version)
  else {
    const at = row?.at ?? on.now()
    if (!row) on.state.setConfig({ version, hash: on.settingsHash, at })
    on.alarm('config', at + CONFIG_REPEAT_MS)
  }
}

function newestVersion(state: ResponderState): number {
  return Math.max(state.config?.version ?? 0, ...state.said.values().map(({ version }) => version))
}

/** Other rules were put in force while this process leads: a new version where their settings differ from what was last written. */
export function decideReload(on: Deciding, by: string): void {
  const row = on.state.config
  if (row && row.hash !== on.settingsHash) writeVersion(on, newestVersion(on.state) + 1, by)
}

/** The hour is over. */
export function decideConfigRepeat(on: Deciding): void {
  if (on.state.config) renew(on, on.state.config.version)
}

function writeVersion(on: Deciding, version: number, by: string): void {
  decided(on, { device: '', incident: '', action: 'config', reason: `version ${version}, hash ${on.settingsHash}${by ? ` (asked by ${by})` : ''}` })
  renew(on, version)
}

function renew(on: Deciding, version: number): void {
  const at = on.now()
  const row = { version, hash: on.settingsHash, at }
  on.state.setConfig(row)
  on.alarm('config', at + CONFIG_REPEAT_MS)
  write(on, row, Array.from({ length: on.partitions }, (_, partition) => partition))
}

/** Under ids that are the same all hour long. */
function write(on: Deciding, row: ConfigRow, partitions: readonly number[]): void {
  const at = on.now()
  const body = { kind: 'config', version: row.version, hash: row.hash } as const
  for (const partition of partitions) enqueue(on, { kind: 'control', id: idIn(row, partition), at, tries: 1, due: at, partition, body })
}

function idIn({ version, at }: ConfigRow, partition: number): string {
  return idOf('config', version, Math.floor(at / CONFIG_REPEAT_MS), partition)
}

/** A partition's incarnation is known from now on, or another: what waits for it need not wait longer. */
export function hurryControls(on: Deciding, partition: number): void {
  for (const entry of on.state.outbox.values())
    if (entry.kind === 'control' && entry.partition === partition && entry.due > on.now()) on.alarm(`outbox/${entry.id}`, on.now())
}

/** Partitions of which nobody has said yet what respond has to know: the incarnation, and before the first version of its own the config. */
export function unheard(state: ResponderState, partitions: number): number[] {
  const numbers = Array.from({ length: partitions }, (_, partition) => partition)
  return numbers.filter((partition) => !(state.config ? state.marks : state.said).has(String(partition)))
}

/** How far each partition is with the version last written, as the committed state has it. */
export class ConfigProgress {
  private readonly state: ResponderState
  private readonly partitions: number
  private ids: { readonly row: ConfigRow; readonly of: readonly string[] } | null = null

  constructor(state: ResponderState, partitions: number) {
    this.state = state
    this.partitions = partitions
  }

  /** Null before any was written or found. */
  view(): ConfigView | null {
    const row = this.state.config
    if (!row) return null
    const ids = this.idsOf(row)
    return { version: row.version, hash: row.hash, partitions: ids.map((id, partition) => this.partition(row, partition, id)) }
  }

  private partition(row: ConfigRow, partition: number, id: string): PartitionConfig {
    const said = this.state.said.get(String(partition))
    const position = said && said.offset >= 0 ? said.offset : null
    const about = { partition, version: said?.version ?? null, position }
    if (said && said.version >= row.version) return { ...about, state: 'switched' }
    if (!this.state.outbox.has(id)) return { ...about, state: 'written' }
    return { ...about, state: this.state.marks.has(String(partition)) ? 'pending' : 'unknown' }
  }

  private idsOf(row: ConfigRow): readonly string[] {
    if (this.ids?.row !== row) this.ids = { row, of: Array.from({ length: this.partitions }, (_, partition) => idIn(row, partition)) }
    return this.ids.of
  }
}
