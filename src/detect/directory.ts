/** The devices of the partitions this process owns, as the API shows them: read from the rows, never kept beside them. */
import type { DeviceView } from '../core/device.ts'
import { KIND_BOOLEAN, KIND_CATEGORY, KIND_MISSING, KIND_NUMBER } from '../core/message.ts'
import type { ClassSettings } from '../core/settings.ts'
import type { Detector } from './detector.ts'
import type { Incidents } from './incidents.ts'
import { GATE_SEEN, seriesGate } from './gate.ts'
import * as presence from './presence.ts'
import type { State } from './state.ts'

/** Warm-ups that the furthest series of a known device has behind it. */
const KNOWN_AFTER = 2
/** A sum of whole shares may fall short of a whole by rounding. */
const ALMOST = 1e-6

/** One device; null when the partition has no such row. */
export function viewDevice(state: State, incidents: Incidents, now: number, id: string): DeviceView | null {
  const row = state.tables.device.row(id)
  if (row === undefined) return null
  const rows = state.tables.device.view(presence.devicePresence.name)!
  const o = row * rows.stride64 + rows.at64
  const seen = rows.float32[row * rows.stride32 + rows.at32 + presence.MESSAGES]! > 0
  const learning = learningOf(state, row)
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

/**
 * Share of their warm-ups that its series and its detectors have behind them, 0 to 1; 1 when all that will ever have a say have it, and no sooner. Series of
 * anything but numbers have none. Once the furthest series has two warm-ups behind it the device counts as known, and only detectors of its own can still
 * be learning: a metric that came later or comes rarely has no say yet, but does not make a stranger of its device.
 */
function learningOf(state: State, device: number): number {
  const own = state.detectors.flatMap((detector) => (detector.scope === 'device' ? warmths(state, detector, device, state.settingsOf(device)) : []))
  const series = warmthOfSeries(state, device)
  const shares = Math.max(...series) < KNOWN_AFTER ? [...own, ...series] : own
  if (shares.length === 0) return 1
  const share = shares.reduce((sum, one) => sum + Math.min(1, one), 0) / shares.length
  return Math.floor(share * 100 + ALMOST) / 100
}

/** One number, or none for a detector that needs none. */
function warmths(state: State, { name, scope, warmth }: Detector, row: number, settings: ClassSettings): number[] {
  return warmth ? [warmth((scope === 'device' ? state.tables.device : state.tables.series).view(name)!, row, settings)] : []
}

/** Warm-ups behind each series that has or will have a say: readings with an opinion, or what its slowest detector has. */
function warmthOfSeries(state: State, device: number): number[] {
  const settings = state.settingsOf(device)
  if (!state.detectors.some(({ scope, cause }) => scope === 'series' && cause === 'telemetry')) return []
  const gate = state.tables.series.view(seriesGate.name)!
  const last = state.tables.series.view(presence.seriesPresence.name)!
  return [...state.metrics(device).values()].flatMap((series) => {
    const seen = gate.float32[series * gate.stride32 + gate.at32 + GATE_SEEN]!
    if (seen === 0 && last.float32[series * last.stride32 + last.at32 + presence.LAST_KIND] !== KIND_NUMBER) return []
    const slowest = state.detectors.flatMap((detector) => (detector.scope === 'series' ? warmths(state, detector, series, settings) : []))
    return Math.min(seen / settings.warmup, ...slowest)
  })
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
