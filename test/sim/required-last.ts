/**
 * Requirement: each series' row holds the value and time of the newest reading that was neither a repeat nor late, by rules written anew from
 * DESIGN.md section 4; replays alone would not tell, as they err as the product does.
 */
import { SETTINGS } from './fleet.ts'
import { type LoggedMessage, messagesOf, stateOf, withoutRepeats } from './reader.ts'
import { partitionsOf } from './requirements.ts'
import type { Outcome } from './simulation.ts'

/** So many late messages in a row are a clock that was set back. */
const LATE_IN_A_ROW = 16

interface Last {
  readonly value: number | string
  readonly time: number
}

/** Of one device. */
interface Seen {
  event: number
  lates: number
  readonly series: Map<string, Last>
}

export function lastAsLogged(outcome: Outcome): string | null {
  for (const [partition, records] of partitionsOf(outcome, 'readings').entries()) {
    const { rows } = stateOf(outcome.logs.get(`state/${partition}`)!)
    for (const [device, { series }] of seenBy(messagesOf(withoutRepeats(records).records))) {
      for (const [metric, { value, time }] of series) {
        const row = rows.get(`series/${device}\0${metric}`)
        // Invented without end: beyond its limit a device has no more rows.
        if (!row && metric.startsWith('invented')) continue
        if (!row) return `${device} has no row for ${metric}`
        const [lastValue, lastTime] = row.float64('last')
        if (lastTime !== time) return `${metric} of ${device} was last read at ${time}, its row says ${lastTime}`
        if (typeof value === 'number' && lastValue !== value) return `${metric} of ${device} was last ${value}, its row says ${lastValue}`
      }
    }
  }
  return null
}

function seenBy(messages: readonly LoggedMessage[]): Map<string, Seen> {
  const devices = new Map<string, Seen>()
  for (const message of messages) {
    const seen: Seen = devices.get(message.device) ?? { event: -Infinity, lates: 0, series: new Map() }
    devices.set(message.device, seen)
    see(seen, message)
  }
  return devices
}

function see(seen: Seen, { time, arrival, metrics }: LoggedMessage): void {
  // No device reports from the future.
  const isBelieved = time <= arrival && arrival - time <= SETTINGS.first.toleranceMs
  const heard = isBelieved ? time : Math.max(arrival, seen.event)
  const isLate = [...metrics.keys()].every((metric) => heard < (seen.series.get(metric)?.time ?? -Infinity))
  if (isLate && seen.lates < LATE_IN_A_ROW) {
    seen.lates++
    return
  }
  if (!isLate) seen.lates = 0
  const when = isLate ? Math.max(heard, seen.event) : heard
  for (const [metric, value] of metrics) {
    if (when >= (seen.series.get(metric)?.time ?? -Infinity)) seen.series.set(metric, { value, time: when })
  }
  seen.event = Math.max(seen.event, when)
}
