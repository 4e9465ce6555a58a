/** Requirements: what bounds the response held, by the ledger and by what left: the governor's two bounds, and the kill switch. */
import { linesOf, type Line } from './ledger-lines.ts'
import type { Outcome } from './simulation.ts'

const MINUTE_MS = 60_000

export function governorHeld(outcome: Outcome): string | null {
  const { perMinute, atOnce } = outcome.options.governor
  const lines = linesOf(outcome)
  const begun = lines.filter(isBegun)
  for (const { at } of begun) {
    const count = begun.filter((other) => other.at >= at && other.at < at + MINUTE_MS).length
    if (count > perMinute) return `${count} quarantines were begun in the minute from ${at}, of at most ${perMinute}`
  }
  const cut = new Set<string>()
  for (const line of lines) {
    if (isBegun(line)) cut.add(line.device)
    if (line.kind === 'outcome' && line.action === 'release' && line.outcome !== 'superseded' && line.outcome !== 'accepted') cut.delete(line.device)
    if (cut.size > atOnce) return `${cut.size} devices were quarantined at once, of at most ${atOnce}`
  }
  return null
}

function isBegun({ kind, action, outcome }: Line): boolean {
  return kind === 'decision' && action === 'quarantine' && outcome === undefined
}

/** Commands and desired states: a device obeys either. */
export function switchObeyed({ broker, operators }: Outcome): string | null {
  for (const { from, to } of operators.spells) {
    const late = broker.published.find(({ at, payload }) => at > from && at < to && /"kind":"quarantine"|"state":"quarantined"/.test(payload))
    if (late) return `a quarantine of ${late.device} left at ${late.at}, while enforcement was off from ${from} to ${to}`
  }
  return null
}
