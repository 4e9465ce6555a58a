/** Requirements: respond decided what the policy asks for, devices did it once, it came to an end, and the ledger tells of it in one chain. */
import { createHash } from 'node:crypto'
import { quarantines } from './fleet.ts'
import { isSilenced, ledgerTexts, linesOf, type Line } from './ledger-lines.ts'
import { brokenLink, live, type ToldIncident } from './reader.ts'
import { toldIncidents } from './required-incidents.ts'
import type { Outcome } from './simulation.ts'

export function ledgerSound(outcome: Outcome): string | null {
  return brokenLink(ledgerTexts(outcome))
}

export function respondAtRest({ logs, devices }: Outcome): string | null {
  for (const key of live(logs.get('leases/0')!).keys()) if (/^(outbox|lease|incident|silence|owed)\//.test(key)) return `there is still ${key}`
  const bound = devices.find((device) => device.contract.isQuarantined)
  return bound ? `${bound.id} is still quarantined` : null
}

/** Each revision that reaches the policy's severity is decided on once, and each decision has one end. */
export function quarantinesAsExpected(outcome: Outcome): string | null {
  const lines = linesOf(outcome)
  const told = toldIncidents(outcome)
  for (const incident of told.values()) {
    const broken = decidedOnce(incident, lines, outcome)
    if (broken !== null) return `incident ${incident.id} of ${incident.device}: ${broken}`
  }
  const decisions = lines.filter((line) => line.kind === 'decision' && line.action === 'quarantine' && line.outcome === undefined)
  const stray = decisions.find((line) => !told.has(line.incident))
  if (stray) return `${stray.device} was quarantined for ${stray.incident}, which is no incident`
  for (const device of outcome.devices) {
    const broken = obeyed(outcome, device.id, decisions.filter((line) => line.device === device.id), lines)
    if (broken !== null) return `${device.id}: ${broken}`
  }
  return null
}

function decidedOnce(incident: ToldIncident, lines: readonly Line[], outcome: Outcome): string | null {
  const { class: klass, cause, revisions } = incident
  const due = revisions.filter(({ state, severity }) => state === 'open' && quarantines(klass, severity, cause)).length
  const about = lines.filter((line) => line.incident === incident.id && line.kind === 'decision' && line.action === 'quarantine')
  const begun = about.filter((line) => line.outcome === undefined).length
  const held = about.filter((line) => line.outcome === 'held').length
  if (due === 0 && begun + held > 0) return `no revision asks for a quarantine, ${begun} were begun and ${held} held`
  if (due > 0 && begun + held < 1 && !isSilenced(incident.id, lines)) return `${due} revisions ask for a quarantine, none was begun or held`
  // One that is held back may begin later without a further revision; after a silence each is looked at again.
  const [most, mostOfBoth] = isLeftAlone(outcome) ? [due, due] : [due + outcome.operators.silences, 2 * (due + outcome.operators.silences)]
  if (begun > most || begun + held > mostOfBoth) return `${due} revisions ask for a quarantine, ${begun} were begun and ${held} held`
  const releases = lines.filter((line) => line.incident === incident.id && line.kind === 'decision' && line.action === 'release').length
  return releases === begun ? null : `${begun} quarantines were begun and ${releases} ended`
}

/** Nothing but the policy decides: people ask for nothing, and the governor has room for all. */
function isLeftAlone({ options: { governor, operators, devices } }: Outcome): boolean {
  return Math.min(governor.perMinute, governor.atOnce) > devices && operators.silences + operators.switches + operators.releases === 0
}

/** The device did what was decided, each once, and nothing else; a quarantine may be missing only if it was never asked in time. */
function obeyed(outcome: Outcome, id: string, decisions: readonly Line[], lines: readonly Line[]): string | null {
  const device = outcome.devices.find((one) => one.id === id)!
  const { executions } = device.contract
  const published = outcome.broker.published.filter((one) => one.device === id && one.kind === 'command')
  const commands = published.map(({ payload }) => JSON.parse(payload) as Command)
  const stranger = commands.find((command) => !lines.some((line) => line.command === command.id))
  if (stranger) return `command ${stranger.id} was published and decided by nobody`
  for (const { kind, generation } of executions) {
    const same = executions.filter((one) => one.kind === kind && one.generation === generation && one.id !== '')
    if (same.length > 1) return `${kind} ${generation} was executed twice`
    if (kind === 'quarantine' && !decisions.some((line) => line.command === commandId(line.incident, kind, generation)))
      return `quarantine ${generation} was executed and no decision asks for it`
  }
  for (const decision of decisions) {
    const asked = commands.filter((command) => command.id === decision.command)
    const done = asked.some((command) => executions.some((one) => one.kind === 'quarantine' && one.generation === command.generation))
    if (!done && asked.some((command) => command.ttl > REACHED_WITHIN_S))
      return `quarantine ${decision.command} was decided, published in time, and not executed`
  }
  return null
}

/** As the design has it: of incident, rung and generation; each part behind its length, SHA-256, 24 digits. */
function commandId(...parts: readonly (string | number)[]): string {
  return createHash('sha256').update(parts.map((part) => `${String(part).length}:${part}`).join('')).digest('hex').slice(0, 24)
}

/** A device that is switched on is reached within this, s. */
const REACHED_WITHIN_S = 12

interface Command {
  readonly id: string
  readonly kind: string
  readonly generation: number
  readonly ttl: number
}
