/** Many processes of the built service, each with one role, over one log and one broker: who holds what, and how long a takeover takes. */
import type { Role } from '../../src/core/role.ts'
import { freePorts } from '../parts/ports.ts'
import { pause, Service } from './service.ts'

const POLL_MS = 50
/** What does not answer by then holds nothing. */
const ANSWER_MS = 2_000
/** Far beyond any takeover, and what a lease takes to end. */
const GIVE_UP_MS = 90_000
const START_MS = 90_000

export interface Replica {
  readonly role: Role
  readonly name: string
  readonly http: string
  readonly service: Service
  /** Stopped by SIGSTOP: it can't be asked, and can't act. */
  isPaused: boolean
}

export interface ReplicasOptions {
  readonly config: string
  readonly partitions: number
  readonly counts: Readonly<Record<Role, number>>
}

export class Replicas {
  readonly all: Replica[] = []
  readonly #options: ReplicasOptions

  constructor(options: ReplicasOptions) {
    this.#options = options
  }

  /** Resolves when all are ready. */
  async start(): Promise<void> {
    const { config, counts } = this.#options
    const roles = (Object.keys(counts) as Role[]).flatMap((role) => Array.from({ length: counts[role] }, (_, i) => ({ role, name: `${role}-${i + 1}` })))
    const ports = await freePorts(roles.length)
    for (const [i, { role, name }] of roles.entries()) {
      const address = `127.0.0.1:${ports[i]}`
      const http = `http://${address}`
      const args = ['--roles', role, '--set', `listen.http=${address}`]
      this.all.push({ role, name, http, service: new Service({ config, http, args, startMs: START_MS }), isPaused: false })
    }
    await Promise.all(this.all.map(({ service }) => service.start()))
    await this.settled()
  }

  of(role: Role): Replica[] {
    return this.all.filter((one) => one.role === role)
  }

  /** One that leads, or owns partitions. */
  async holder(role: Role): Promise<Replica> {
    await this.heldAgain(role)
    for (const one of this.of(role)) if ((await heldBy(one)) > 0) return one
    throw new Error(`no ${role} process holds anything\n${this.logs()}`)
  }

  /** Resolves with the ms until the living processes of the role hold all there is to hold. */
  async heldAgain(role: Role): Promise<number> {
    const began = performance.now()
    const all = role === 'detect' ? this.#options.partitions : 1
    while (performance.now() - began < GIVE_UP_MS) {
      const held = await Promise.all(this.of(role).map(heldBy))
      if (held.reduce((sum, one) => sum + one, 0) === all) return performance.now() - began
      await pause(POLL_MS)
    }
    throw new Error(`${role}: not held again after ${GIVE_UP_MS} ms\n${this.logs()}`)
  }

  /** Everything is held by somebody, and once. */
  async settled(): Promise<void> {
    for (const role of new Set(this.all.map((one) => one.role))) await this.heldAgain(role)
  }

  /** Until all processes of the role answer, and the metrics are 0 under all their labels. Throws with those that are not. */
  async untilZero(role: Role, metrics: readonly string[]): Promise<void> {
    for (const end = performance.now() + GIVE_UP_MS; ; await pause(POLL_MS)) {
      const answers = await Promise.all(this.of(role).map(async ({ name, http }) => ({ name, text: await metricsOf(http) })))
      const left = answers.flatMap(({ name, text }) => (text === null ? `${name} does not answer` : nonZero(text, metrics).map((line) => `${name}: ${line}`)))
      if (left.length === 0) return
      if (performance.now() > end) throw new Error(`not 0 after ${GIVE_UP_MS / 1000} s: ${left.join('; ')}`)
    }
  }

  /** What each said last. */
  logs(): string {
    return this.all.map(({ name, service }) => `--- ${name}\n${service.log}`).join('\n')
  }

  async kill(): Promise<void> {
    await Promise.all(this.all.map(({ service }) => service.kill()))
  }
}

const GAUGES: Readonly<Record<Role, string>> = { ingest: 'picket_source_connected', detect: 'picket_partition_owned', respond: 'picket_enforcement' }

/** Partitions, or 1 for a leader; 0 for what does not answer. */
async function heldBy({ role, http, isPaused }: Replica): Promise<number> {
  const text = isPaused ? null : await metricsOf(http)
  return text === null ? 0 : sumOf(text, GAUGES[role])
}

async function metricsOf(http: string): Promise<string | null> {
  try {
    return await (await fetch(`${http}/metrics`, { signal: AbortSignal.timeout(ANSWER_MS) })).text()
  } catch {
    return null // it was killed, or starts
  }
}

function sumOf(text: string, metric: string): number {
  return linesOf(text, metric).reduce((sum, line) => sum + valueOf(line), 0)
}

function nonZero(text: string, metrics: readonly string[]): string[] {
  return metrics.flatMap((metric) => linesOf(text, metric).filter((line) => valueOf(line) !== 0))
}

function linesOf(text: string, metric: string): string[] {
  return text.split('\n').filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `))
}

function valueOf(line: string): number {
  return Number(line.slice(line.lastIndexOf(' ') + 1))
}
