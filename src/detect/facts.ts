/** What a partition knows besides its rows: the config in force, its time, its sources; kept as the one row of the task page. */
import type { Position } from '../core/position.ts'
import type { Settings } from '../core/settings.ts'
import type { ConfigInForce } from '../log/revision.ts'
import type { SourceCover } from './coverage.ts'

/** Ids of control records kept against repeats; ticks apart, so that they can't push out the others. */
const TICK_IDS = 32
const OTHER_IDS = 128

export interface Facts {
  config: (ConfigInForce & { readonly settings: Settings }) | null
  /** Partition time: the running maximum of the records' append times, ms since epoch. */
  time: number
  /** Ticks seen; tells which sixteenth of the rows the next one visits. */
  ticks: number
  sources: SourceCover[]
  tickIds: string[]
  controlIds: string[]
  /** Partition time at which something last found no room, ms since epoch; 0: never. */
  refusedAt: number
  /** The place of the last revision that is surely in the incidents partition though this task has not come there yet. */
  furthest: Position | null
}

export function freshFacts(): Facts {
  return { config: null, time: 0, ticks: 0, sources: [], tickIds: [], controlIds: [], refusedAt: 0, furthest: null }
}

/** False when the id was seen already; else it is kept. */
export function isNews(facts: Facts, id: string, kind: string): boolean {
  const [ids, limit] = kind === 'tick' ? [facts.tickIds, TICK_IDS] : [facts.controlIds, OTHER_IDS]
  if (ids.includes(id)) return false
  ids.push(id)
  if (ids.length > limit) ids.shift()
  return true
}
