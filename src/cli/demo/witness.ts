/** Who watches a demonstration from outside, by Picket's doors alone: incidents and devices over HTTP, commands and answers over MQTT. */
import { parseDeviceTopic } from '../../core/device-topic.ts'
import type { DeviceView } from '../../core/device.ts'
import { SEVERITIES, type Incident } from '../../core/incident.ts'
import type { ApiClient } from '../api-client.ts'
import type { Happening } from './happening.ts'

/** What the observer subscribes to. */
export const WITNESSED_TOPICS: readonly string[] = ['picket/+/command', 'picket/+/ack']

/** Commands whose answer may still come, and incidents that may still change; beyond it the oldest are forgotten. */
const KEPT = 5_000

interface Asked {
  readonly command: 'quarantine' | 'release'
  /** Statuses already told. */
  readonly answered: Set<string>
}

/** Fields of a command or an answer, as far as they are shown. */
interface Heard {
  readonly at: number
  readonly device: string
  readonly kind: 'command' | 'ack'
  readonly fields: Readonly<Record<string, unknown>>
}

export interface WitnessOptions {
  readonly api: Pick<ApiClient, 'list'>
  /** ms since the fleet's start. */
  readonly elapsed: () => number
  /** Wall clock, ms since epoch. */
  readonly now: () => number
}

export class Witness {
  readonly #options: WitnessOptions
  readonly #incidents = new Map<string, Incident>()
  readonly #commands = new Map<string, Asked>()
  #heard: Heard[] = []
  #looked = 0

  constructor(options: WitnessOptions) {
    this.#options = options
  }

  /** What happened since the last look, by its time; at one time causes before effects. Throws Failure. */
  async look(): Promise<Happening[]> {
    const began = this.#options.elapsed()
    // What comes while the answer is under way may follow from an incident that is not in it.
    const heard = this.#heard
    this.#heard = []
    const found: Incident[] = []
    for await (const incident of this.#options.api.list<Incident>('/api/v1/incidents', {}, 'incidents')) found.push(incident)
    const news = [
      ...found.toReversed().flatMap((incident) => this.#changesOf(incident)),
      ...heard.flatMap((one) => (one.kind === 'command' ? this.#command(one) : this.#ack(one))),
    ]
    this.#looked = began
    return news.toSorted((a, b) => a.at - b.at)
  }

  /** Throws Failure; also while not every partition is owned yet. */
  async devices(): Promise<DeviceView[]> {
    const found: DeviceView[] = []
    for await (const device of this.#options.api.list<DeviceView>('/api/v1/devices', {}, 'devices')) found.push(device)
    return found
  }

  /** A message under one of `WITNESSED_TOPICS`; told with the next look. */
  receive(topic: string, payload: Uint8Array): void {
    const place = parseDeviceTopic(topic)
    const fields = parse(payload)
    if (!place || place.kind === 'desired' || !fields || this.#heard.length >= KEPT) return
    this.#heard.push({ at: this.#options.elapsed(), device: place.device, kind: place.kind, fields })
  }

  #changesOf(incident: Incident): Happening[] {
    const before = this.#incidents.get(incident.id)
    if (before?.revision === incident.revision) return []
    keep(this.#incidents, incident.id, incident)
    const change = (name: 'opened' | 'worse' | 'closed'): Happening => {
      return { kind: 'incident', at: this.#timeOf(incident), seen: this.#options.elapsed(), device: incident.device, change: name, incident }
    }
    const isWorse = before && incident.state === 'open' && SEVERITIES.indexOf(incident.severity) > SEVERITIES.indexOf(before.severity)
    return [...(before ? [] : [change('opened')]), ...(isWorse ? [change('worse')] : []), ...(incident.state === 'closed' ? [change('closed')] : [])]
  }

  /** By the reading that changed it, so far as that lies between two looks. */
  #timeOf({ updatedAt }: Incident): number {
    const at = this.#options.elapsed()
    return Math.min(at, Math.max(this.#looked, at - (this.#options.now() - updatedAt)))
  }

  /** A command that is sent again is told once. */
  #command({ at, device, fields }: Heard): Happening[] {
    const { id, kind, ttl, reason } = fields
    if (typeof id !== 'string' || this.#commands.has(id) || (kind !== 'quarantine' && kind !== 'release')) return []
    keep(this.#commands, id, { command: kind, answered: new Set<string>() })
    return [{ kind: 'command', at, device, command: kind, ttl: Number(ttl), reason: String(reason) }]
  }

  #ack({ at, device, fields }: Heard): Happening[] {
    const { id, status, reason } = fields
    const asked = typeof id === 'string' ? this.#commands.get(id) : undefined
    if (!asked || typeof status !== 'string' || asked.answered.has(status)) return []
    asked.answered.add(status)
    return [{ kind: 'ack', at, device, command: asked.command, status, reason: String(reason ?? '') }]
  }
}

function parse(payload: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const message: unknown = JSON.parse(Buffer.from(payload).toString('utf8'))
    return message !== null && typeof message === 'object' ? (message as Record<string, unknown>) : null
  } catch {
    return null // anybody may publish there; Picket itself counts what it can't read
  }
}

function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.set(key, value)
  for (const oldest of map.keys()) {
    if (map.size <= KEPT) return
    map.delete(oldest)
  }
}
