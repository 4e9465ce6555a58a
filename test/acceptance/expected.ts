/** What a fleet's faults should come to at the far end: one incident a device and cause, each revision once, a quarantine and its release. */
import type { Incident } from '../../src/core/incident.ts'
import type { Fleet, FleetOptions } from './fleet.ts'
import type { Receiver } from './receiver.ts'

/** Limits and levels broken by the same value are two causes, so two incidents. */
const EXPECTED = { pressure: ['limit', 'telemetry'], temperature: ['telemetry'] } as const

type Require = (holds: boolean, what: string) => void

/** By id and revision, as the webhook's receiver counted them. */
export function requireIncidents(receiver: Receiver, faults: FleetOptions['faults'], require: Require): void {
  require(receiver.faults.length === 0, `webhooks are signed and say one thing a revision (${receiver.faults.slice(0, 3).join('; ')})`)
  const found = new Map<string, Incident[]>()
  for (const revisions of receiver.incidents.values()) {
    const last = revisions.get(Math.max(...revisions.keys()))!
    const key = `${last.device}/${last.cause}`
    found.set(key, [...(found.get(key) ?? []), last])
    require(revisions.size === last.revision, `${key}: revisions 1 to ${last.revision} came without a gap`)
    require(last.state === 'closed', `${key} is closed (${last.closedBy})`)
  }
  const wanted = [...faults].flatMap(([index, { fault }]) => EXPECTED[fault].map((cause) => `pump-${index}/${cause}`))
  for (const key of wanted) require(found.get(key)?.length === 1, `${key} is one incident (${found.get(key)?.length ?? 0})`)
  const extra = [...found].flatMap(([key, incidents]) => (wanted.includes(key) ? [] : `${key}: ${incidents[0]!.summary}`))
  require(extra.length === 0, `nothing else became an incident (${extra.join('; ')})`)
}

/** As the devices saw it. */
export function requireQuarantines(fleet: Fleet, faults: FleetOptions['faults'], require: Require): void {
  for (const [index, { fault }] of faults) {
    const { name, quarantines, releases, device } = fleet.members[index]!
    require(quarantines === 1 && releases === 1 && !device.isQuarantined, `${name} (${fault}) was quarantined once (${quarantines}) and released (${releases})`)
  }
  const healthy = fleet.members.filter(({ index, quarantines }) => !faults.has(index) && quarantines > 0)
  require(healthy.length === 0, `no healthy device was quarantined (${healthy.map(({ name }) => name).join(', ')})`)
}
