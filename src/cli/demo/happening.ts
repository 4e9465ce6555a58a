/** What happens in a demonstration, as its screens show it and its verdict counts it. */
import type { Incident } from '../../core/incident.ts'
import { inWords, type Truth } from '../../fleet/truth.ts'

interface At {
  /** ms since the fleet's start. */
  readonly at: number
  readonly device: string
}

/** A fault begins: only the fleet knows. */
export interface FaultHappening extends At {
  readonly kind: 'fault'
  readonly truth: Truth
}

export interface IncidentHappening extends At {
  readonly kind: 'incident'
  readonly change: 'opened' | 'worse' | 'closed'
  /** When the API showed it, ms since the fleet's start; `at` is the time of the reading that changed it, by its device's clock. */
  readonly seen: number
  readonly incident: Incident
}

/** A command on its way to a device. */
export interface CommandHappening extends At {
  readonly kind: 'command'
  readonly command: 'quarantine' | 'release'
  /** Of a quarantine, s. */
  readonly ttl: number
  readonly reason: string
}

/** A device's answer to one. */
export interface AckHappening extends At {
  readonly kind: 'ack'
  readonly command: 'quarantine' | 'release'
  readonly status: string
  readonly reason: string
}

export type Happening = FaultHappening | IncidentHappening | CommandHappening | AckHappening

/** One word, and one sentence. */
export interface Told {
  readonly word: string
  readonly sentence: string
}

export function tell(happening: Happening): Told {
  switch (happening.kind) {
    case 'fault':
      return { word: 'fault', sentence: `begins: ${inWords(happening.truth)}` }
    case 'incident': {
      const { cause, severity, summary, closedBy } = happening.incident
      if (happening.change === 'closed') return { word: 'closed', sentence: `${cause}, by ${closedBy ?? 'nobody'}` }
      return { word: happening.change === 'worse' ? `↑ ${severity}` : severity, sentence: `${cause}: ${summary}` }
    }
    case 'command':
      if (happening.command === 'quarantine') return { word: 'QUARANTINE', sentence: `for ${happening.ttl} s: ${happening.reason}` }
      return { word: 'RELEASE', sentence: happening.reason }
    case 'ack':
      return { word: 'ack', sentence: `the device says: ${happening.command} ${happening.status}${happening.reason === '' ? '' : `, ${happening.reason}`}` }
  }
}

/** Whether people are told: that a device has understood a command, it says again when it has carried it out. */
export function isForPeople(happening: Happening): boolean {
  return happening.kind !== 'ack' || happening.status !== 'accepted'
}

/** `0:41.2`: minutes and seconds. */
export function elapsed(ms: number): string {
  const tenths = Math.max(0, Math.floor(ms / 100))
  return `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, '0')}`
}
