/** Port: what the API asks of the running app. `App` stands behind it; tests bring a small one in memory. */
import type { DeviceView } from '../core/device.ts'
import type { Incident } from '../core/incident.ts'
import type { Request } from '../core/request.ts'
import type { Role } from '../core/role.ts'
import type { Standing } from '../core/standing.ts'
import type { Readiness } from '../ops/health.ts'

/** Part of a list, in the list's own order: up to `limit` (1 to 1000) after the one with id `after`; from the start when it is null. */
export interface Page {
  readonly limit: number
  readonly after: string | null
}

export interface IncidentQuery extends Page {
  /** null: both. */
  readonly state: Incident['state'] | null
  /** null: all. */
  readonly device: string | null
}

/** An incident as the API gives it: additions only. */
export type ShownIncident = Incident & {
  /** Ids of the silences that mute it now; left out when none does. */
  readonly silencedBy?: readonly string[]
}

export interface Views {
  readonly roles: readonly Role[]
  /** Of respond. */
  readonly incidents: {
    list(query: IncidentQuery): readonly Incident[]
    get(id: string): Incident | null
  }
  /** Of detect: those of this process's partitions. */
  readonly devices: {
    list(page: Page): readonly DeviceView[]
    get(id: string): DeviceView | null
    /** Partitions whose devices nobody is known to show, each with why, such as "readings/2 is not owned yet: the disk is full". */
    missing(): readonly string[]
    /** Partitions whose devices another process shows, and where its API is, `host:port`, if known. All of them without the role detect. */
    elsewhere(): readonly { readonly partition: number; readonly owner: string | null }[]
    partitionOf(id: string): number
  }
  /** Where the API of the other process is that holds `readings/3` or leads `respond`, `host:port`; null: not known, or this process. */
  holder(place: string): string | null
  /** Resolves with the request's id once it is durable; rejects with a PipelineError when it was not stored. */
  request(request: Request): Promise<string>
  /** What respond stands at; null where another process leads it, or this one does not know yet. */
  standing(): Standing | null
  readiness(): Readiness
}
