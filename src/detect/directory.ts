/** The devices of the partitions this process owns, as the API shows them: read from the rows, never kept beside them. */
import type { DeviceView } from '../core/device.ts'
import { KIND_BOOLEAN, KIND_CATEGORY, KIND_MISSING } from '../core/message.ts'
import type { Incidents } from './incidents.ts'
import { GATE_SEEN, seriesGate } from './gate.ts'
import * as presence from './presence.ts'
import type { State } from './state.ts'

/** One device; null when the partition has no such row. */
export function viewDevice(state: State, incidents: Incidents, now: number, id: string): DeviceView | null {
  const row = state.tables.device.row(id)
  if (row === undefined) return null
  const rows = state.tables.device.view(presence.devicePresence.name)!
  const o = row * rows.stride64 + rows.at64
  const seen = rows.float32[row * rows.stride32 + rows.at32 + presence.MESSAGES]! > 0
  const learning = learnt(state, row)
  const quarantined = rows.float64[o + presence.QUARANTINED_UNTIL]! > now
  return {
    id,
    ...state.about(row),
    state: quarantined ? 'quarantined' : stateOf(incidents, id, learning),
    learning,
    lastSeen: seen ? rows.float64[o + presence.LAST_EVENT]! : null,
    metrics: lastValues(state, row),
  }
}

function stateOf(incidents: Incidents, id: string, learning: number): DeviceView['state'] {
  if (incidents.isOpen(id, 'silence')) return 'silent'
  if (incidents.has(id)) return 'odd'
  return learning < 1 ? 'learning' : 'normal'
}

function learnt(state: State, device: number): number {
  const gate = state.tables.series.view(seriesGate.name)!
  let most = 0
  for (const series of state.metrics(device).values()) most = Math.max(most, gate.float32[series * gate.stride32 + gate.at32 + GATE_SEEN]!)
  const { warmup } = state.settingsOf(device)
  return warmup <= 0 ? 1 : Math.round(Math.min(1, most / warmup) * 100) / 100
}

function lastValues(state: State, device: number): DeviceView['metrics'] {
  const last = state.tables.series.view(presence.seriesPresence.name)!
  const out: Record<string, number | boolean | string | null> = Object.create(null) as Record<string, never>
  for (const [metric, series] of state.metrics(device)) {
    const value = last.float64[series * last.stride64 + last.at64 + presence.LAST_VALUE]!
    const kind = last.float32[series * last.stride32 + last.at32 + presence.LAST_KIND]!
    out[metric] = kind === KIND_MISSING ? null : kind === KIND_BOOLEAN ? value === 1 : kind === KIND_CATEGORY ? state.tables.series.about(series) : value
  }
  return out
}
