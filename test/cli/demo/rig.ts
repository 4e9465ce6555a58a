/** Happenings and incidents as the tests of the demonstration need them. */
import type { Incident } from '../../../src/core/incident.ts'
import type { Happening } from '../../../src/cli/demo/happening.ts'
import type { Trouble, Truth } from '../../../src/fleet/truth.ts'

export function incident(fields: Partial<Incident> = {}): Incident {
  return {
    id: 'i1',
    revision: 1,
    device: 'pump-01',
    class: 'pump',
    labels: {},
    cause: 'telemetry',
    severity: 'minor',
    state: 'open',
    openedAt: 0,
    updatedAt: 0,
    closedAt: null,
    closedBy: null,
    surprise: 5,
    summary: 'vibration is 4 mm/s, expected 1 to 3',
    votes: [],
    ...fields,
  }
}

export const truth = (device: string, kind: Trouble, from = 40_000): Truth => ({ device, kind, from, to: from + 36_000, metric: kind === 'stuck' ? 'flow' : '' })

export function found(at: number, fields: Partial<Incident> = {}, change: 'opened' | 'worse' | 'closed' = 'opened'): Happening {
  const one = incident(fields)
  return { kind: 'incident', at, seen: at + 100, device: one.device, change, incident: one }
}

/** A quarantine of a device from its command to the answer to its release. */
export function course(device: string, at: number): Happening[] {
  return [
    { kind: 'command', at, device, command: 'quarantine', ttl: 12, reason: 'odd' },
    { kind: 'ack', at: at + 10, device, command: 'quarantine', status: 'accepted', reason: '' },
    { kind: 'ack', at: at + 20, device, command: 'quarantine', status: 'done', reason: '' },
    { kind: 'command', at: at + 12_000, device, command: 'release', ttl: 3600, reason: 'the lease has ended' },
    { kind: 'ack', at: at + 12_010, device, command: 'release', status: 'done', reason: '' },
  ]
}
