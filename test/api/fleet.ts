/** A small app in memory behind the API's port, for the tests of the API and of the verbs that speak to it. */
import type { ConfigDoor } from '../../src/api/config-door.ts'
import type { IncidentQuery, Page, Views } from '../../src/api/views.ts'
import type { DeviceView } from '../../src/core/device.ts'
import type { Incident } from '../../src/core/incident.ts'
import type { Request } from '../../src/core/request.ts'
import { type Role, ROLES } from '../../src/core/role.ts'
import type { Standing } from '../../src/core/standing.ts'
import type { Readiness } from '../../src/ops/health.ts'

export function anIncident(fields: Partial<Incident> = {}): Incident {
  return {
    id: 'i1',
    revision: 1,
    device: 'p1',
    class: 'pump',
    labels: { class: 'pump' },
    cause: 'limit',
    severity: 'major',
    state: 'open',
    openedAt: 1_700_000_000_000,
    updatedAt: 1_700_000_000_500,
    closedAt: null,
    closedBy: null,
    surprise: 6.5,
    summary: 'vibration 9.3 mm/s, at most 7.1 allowed',
    votes: [{ detector: 'limits', metric: 'vibration', surprise: 6.5, observed: 9.3, expected: [null, 7.1] }],
    ...fields,
  }
}

export function aDevice(fields: Partial<DeviceView> = {}): DeviceView {
  return { id: 'p1', class: 'pump', labels: { class: 'pump' }, state: 'normal', learning: 1, lastSeen: 1_700_000_000_000, metrics: { vibration: 3.5 }, ...fields }
}

/** Enforcement on, a hundred devices' room, nothing silenced. */
export function aStanding(fields: Partial<Standing> = {}): Standing {
  return {
    config: null,
    enforcement: { state: 'on', says: 'config', reason: '', by: '', since: null },
    quarantines: { active: 0, atOnce: 100, lastMinute: 0, perMinute: 10, waiting: 0 },
    silences: [],
    isQuarantined: () => false,
    silencedBy: () => [],
    ...fields,
  }
}

export interface FleetOptions {
  /** All of them where left out. */
  readonly roles?: readonly Role[]
  readonly elsewhere?: readonly { readonly partition: number; readonly owner: string | null }[]
  /** By place. */
  readonly holders?: Readonly<Record<string, string>>
  readonly incidents?: readonly Incident[]
  readonly devices?: readonly DeviceView[]
  /** Partitions whose devices can't be seen. */
  readonly missing?: readonly string[]
  readonly readiness?: Readiness
  readonly standing?: Standing | null
  /** Left out: there is no file to read again. */
  readonly config?: ConfigDoor
  /** Stands in for the log: what it throws is what storing a request throws. */
  readonly store?: (request: Request) => Promise<void>
}

export class Fleet implements Views {
  readonly requests: Request[] = []
  private readonly options: FleetOptions

  constructor(options: FleetOptions = {}) {
    this.options = options
  }

  readonly incidents = {
    list: ({ state, device, ...page }: IncidentQuery) =>
      pageOf((this.options.incidents ?? []).filter((one) => (state === null || one.state === state) && (device === null || one.device === device)), page),
    get: (id: string) => this.options.incidents?.find((one) => one.id === id) ?? null,
  }

  readonly devices = {
    list: (page: Page) => pageOf(this.options.devices ?? [], page),
    get: (id: string) => this.options.devices?.find((one) => one.id === id) ?? null,
    missing: () => this.options.missing ?? [],
    elsewhere: () => this.options.elsewhere ?? [],
    partitionOf: (id: string) => Number(/\d+$/.exec(id)?.[0] ?? 0),
  }

  get config(): { readonly config?: ConfigDoor } {
    return this.options.config ? { config: this.options.config } : {}
  }

  get roles(): readonly Role[] {
    return this.options.roles ?? ROLES
  }

  holder(place: string): string | null {
    return this.options.holders?.[place] ?? null
  }

  async request(request: Request): Promise<string> {
    await this.options.store?.(request)
    this.requests.push(request)
    return request.id
  }

  standing(): Standing | null {
    return this.options.standing === undefined ? aStanding() : this.options.standing
  }

  readiness(): Readiness {
    return this.options.readiness ?? { ready: true, reasons: [] }
  }
}

function pageOf<T extends { readonly id: string }>(all: readonly T[], { limit, after }: Page): readonly T[] {
  const start = after === null ? 0 : all.findIndex((one) => one.id === after) + 1
  return all.slice(start, start + limit)
}
