/** Requirements: an incident for each anomaly that was put in, none for any other reason, and the far end told of it once a revision. */
import type { Fault } from '../../src/fleet/fault.ts'
import type { FarDevice, Outgoing } from './far-device.ts'
import { isSilenced, linesOf } from './ledger-lines.ts'
import { incidentsOf, take, type ToldIncident } from './reader.ts'
import { partitionsOf } from './requirements.ts'
import type { Outcome } from './simulation.ts'

const CAUSE: Readonly<Record<Fault['kind'], string>> = { spike: 'telemetry', breach: 'limit', silence: 'silence', crowd: 'cardinality' }

/** What the incidents partitions come to for a reader that keeps a mark. */
export function toldIncidents(outcome: Outcome): Map<string, ToldIncident> {
  return new Map(partitionsOf(outcome, 'incidents').flatMap((records) => [...incidentsOf(records).incidents]))
}

export function eachAnomalyOnce(outcome: Outcome): string | null {
  for (const records of partitionsOf(outcome, 'incidents')) {
    const { superseded } = incidentsOf(records)
    if (superseded.length > 0) return `${superseded[0]} was superseded`
  }
  const told = [...toldIncidents(outcome).values()]
  for (const incident of told) {
    const broken = whole(incident)
    if (broken !== null) return `incident ${incident.id} (${incident.cause} of ${incident.device}) ${broken}`
  }
  for (const device of outcome.devices) {
    const broken = asInjected(device, told.filter((incident) => incident.device === device.id), outcome)
    if (broken !== null) return broken
  }
  const stranger = told.find((incident) => !outcome.devices.some(({ id }) => id === incident.device))
  return stranger ? `an incident of ${stranger.device}, cause ${stranger.cause}` : null
}

function whole(incident: ToldIncident): string | null {
  const { revisions } = incident
  const numbers = revisions.map(({ revision }) => revision)
  if (numbers.some((revision, i) => revision !== i + 1)) return `has revisions ${numbers.join(', ')}`
  if (revisions.at(-1)!.state !== 'closed') return 'is still open'
  return revisions.slice(0, -1).some(({ state }) => state === 'closed') ? 'goes on after it was closed' : null
}

/** Who is released early and does not hear of it stays silent until its lease would have ended: nobody's fault, and rightly said. */
function unheardReleases({ contract }: FarDevice, { options: { operators } }: Outcome): number {
  return operators.releases + operators.switches > 0 ? contract.executions.filter(({ kind }) => kind === 'quarantine').length : 0
}

/** A fault that at least one acknowledged message shows has its incident; one that was never handed over has none. */
function asInjected(device: FarDevice, told: readonly ToldIncident[], outcome: Outcome): string | null {
  for (const kind of ['spike', 'breach', 'silence', 'crowd'] as const) {
    const faults = device.wiring.spec.faults.filter((fault) => fault.kind === kind)
    const shown = (fault: Fault, by: (message: Outgoing) => boolean) =>
      device.sent.some((message) => by(message) && message.faults.includes(fault))
    const certain = faults.filter((fault) => (kind === 'silence' ? isMissed(device, fault) : shown(fault, (message) => message.acked)))
    const possible = faults.filter((fault) => kind === 'silence' || shown(fault, (message) => message.handed > 0))
    const found = told.filter(({ cause }) => cause === CAUSE[kind])
    const excused = kind === 'silence' ? unheardReleases(device, outcome) : 0
    if (found.length >= certain.length && found.length <= possible.length + excused) continue
    const opened = found.map(({ openedAt, revisions }) => `${new Date(openedAt).toISOString()} ${(JSON.parse(revisions[0]!.text) as { summary: string }).summary}`).join(', ')
    return `${device.id} had ${certain.length} faults of kind ${kind}, and there are ${found.length} incidents of ${CAUSE[kind]} (${opened || 'none'})`
  }
  const other = told.find(({ cause }) => !Object.values(CAUSE).includes(cause))
  return other ? `${device.id} has an incident of cause ${other.cause}: ${new Date(other.openedAt).toISOString()} ${(JSON.parse(other.revisions[0]!.text) as { summary: string }).summary}` : null
}

/** Nobody misses a device that was quarantined, late as that may have been, in the time it was silent. */
function isMissed({ contract }: FarDevice, { from, to }: Fault): boolean {
  return !contract.executions.some(({ at }) => from <= at && at < to)
}

/** By revisions, ids, and bodies: as many deliveries as revisions, each under one id, and none that the log does not tell of. */
export function deliveredAsTold(outcome: Outcome): string | null {
  const told = toldIncidents(outcome)
  const heard = new Map<string, ToldIncident>()
  for (const { incident } of outcome.webhook.deliveries.values()) take(heard, incident)
  const lines = linesOf(outcome)
  for (const [id, incident] of told) {
    if (outcome.operators.silences > 0) {
      const broken = deliveredButSilenced(incident, heard.get(id)?.revisions ?? [], isSilenced(id, lines))
      if (broken !== null) return `incident ${id} ${broken}`
      continue
    }
    const received = (heard.get(id)?.revisions ?? []).map(({ text }) => canonical(text)).sort()
    const expected = incident.revisions.map(({ text }) => canonical(text)).sort()
    if (received.length !== expected.length)
      return `incident ${id} has ${expected.length} revisions, and ${received.length} ids were delivered`
    if (received.some((text, i) => text !== expected[i])) return `incident ${id} was delivered other than it stands in the log`
  }
  const stranger = [...heard.keys()].find((id) => !told.has(id))
  if (stranger !== undefined) return `incident ${stranger} was delivered, and the log does not tell of it`
  return null
}

/** Each at least once, but for what was silenced; and who heard that it is open hears that it closed. */
function deliveredButSilenced(incident: ToldIncident, heard: ToldIncident['revisions'], isMuted: boolean): string | null {
  const received = new Set(heard.map(({ text }) => canonical(text)))
  const expected = incident.revisions.map(({ text }) => canonical(text))
  if ([...received].some((text) => !expected.includes(text))) return 'was delivered other than it stands in the log'
  if (!isMuted && received.size < expected.length) return `has ${expected.length} revisions, ${received.size} were delivered, and no silence is to blame`
  return received.size > 0 && !received.has(expected.at(-1)!) ? 'was delivered as open, and not as closed' : null
}

/** Every process's API shows the incidents the log tells of, in their last revision; the owners of partitions show each device once, well. */
export function shownAsTold(outcome: Outcome): string | null {
  const told = toldIncidents(outcome)
  for (const { process, incidents } of outcome.shown) {
    if (incidents.length !== told.size) return `${process} shows ${incidents.length} incidents of ${told.size}`
    const wrong = incidents.find(({ id, revision, state }) => state !== 'closed' || revision !== told.get(id)?.revisions.length)
    if (wrong) return `${process} shows ${wrong.id} in revision ${wrong.revision}, ${wrong.state}`
  }
  const views = outcome.shown.flatMap(({ devices }) => devices)
  for (const { id } of outcome.devices) {
    const states = views.filter((view) => view.id === id).map(({ state }) => state)
    if (states.length !== 1 || !['normal', 'learning'].includes(states[0]!)) return `${id} is shown as ${states.join(' and ') || 'nothing'}`
  }
  return null
}

function canonical(text: string): string {
  return JSON.stringify(JSON.parse(text), (_key, value: unknown) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )
}
