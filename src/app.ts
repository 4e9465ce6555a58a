/** The way of a reading, wired over ports in reading order: ingest → log → detect → respond, or those of them that are this process's roles. The simulation runs this same file. */
import { assert } from './core/assert.ts'
import type { DeviceView } from './core/device.ts'
import { errorText, isPipelineError } from './core/errors.ts'
import { encodeRequest, FLEET_PARTITION, type Request } from './core/request.ts'
import { type Role, ROLES } from './core/role.ts'
import type { ResponsePolicy, Settings } from './core/settings.ts'
import type { ConfigView, Standing } from './core/standing.ts'
import { partitionOf } from './core/hash.ts'
import { createDetect, type Detect } from './detect/detect.ts'
import type { CheckpointPace } from './detect/task.ts'
import { createIngest, type IngestSource } from './ingest/ingest.ts'
import type { IngestLimits } from './ingest/limits.ts'
import type { LedChannel } from './ingest/mqtt-channel.ts'
import type { Log, Owned } from './log/log.ts'
import { type Clock, delay } from './ops/clock.ts'
import { type Readiness, readinessOf } from './ops/health.ts'
import type { Logger } from './ops/logger.ts'
import type { Metrics } from './ops/metrics.ts'
import type { Random } from './ops/random.ts'
import { Board } from './respond/board.ts'
import type { Enforcer } from './respond/enforcer.ts'
import type { Notifier } from './respond/notifier.ts'
import { createResponder, type Responder } from './respond/responder.ts'
import type { Rules } from './respond/rules.ts'

export interface AppPorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Of ingest; empty without that role. */
  readonly sources: readonly IngestSource[]
  /** Of respond; null and empty without that role. */
  readonly enforcer: Enforcer | null
  readonly notifiers: readonly Notifier[]
  /** What the enforcer goes through where it is there only while this process leads respond; left out: it is always there. */
  readonly channel?: LedWay
  readonly metrics: Metrics
  readonly logger: Logger
}

/** Of `LedChannel`, what its leader does with it. */
export type LedWay = Pick<LedChannel, 'start' | 'stop' | 'reasons'>

export interface AppOptions {
  /** What this process does; left out: all of it. */
  readonly roles?: readonly Role[]
  /** Of this process, in its ticks and to the log; what stands before a / in it is where its API is, `host:port`. */
  readonly name: string
  readonly settings: Settings
  /** Tells whether the partitions hold other settings than these. */
  readonly settingsHash: string
  /** Bounds on response, should this process lead it. */
  readonly policy: ResponsePolicy
  readonly limits: IngestLimits
  readonly checkpoint: CheckpointPace
  /** Told what keeps it from starting, each time before that is tried again; left out: nobody asks. */
  readonly waitFor?: ((reason: string) => void) | undefined
  /** Aborts when it need not start any more; after the start it means nothing. */
  readonly stopping?: AbortSignal | undefined
}

export interface App {
  readonly roles: readonly Role[]
  /** Of respond; stays empty without that role. */
  readonly incidents: Board
  /** Those of this process's partitions. */
  readonly devices: {
    list(page: { readonly limit: number; readonly after: string | null }): readonly DeviceView[]
    get(id: string): DeviceView | null
    /** Partitions whose devices nobody is known to show, each with why. */
    missing(): readonly string[]
    /** Partitions whose devices another process shows, `owner` as `holder` gives it; all of them without the role detect. */
    elsewhere(): readonly { readonly partition: number; readonly owner: string | null }[]
    partitionOf(id: string): number
  }
  /** Where the API of the other process is that holds `readings/3` or leads `respond`, `host:port`; null: not known, or this process. */
  holder(place: string): string | null
  /** Resolves with the request's id once it is durable; rejects with what the log throws. */
  request(request: Request): Promise<string>
  /** What respond stands at; null where another process leads it, or this one does not know yet. */
  standing(): Standing | null
  /** See `Responder.reload`; without the role nothing is reloaded and it resolves with null. */
  reload(rules: Rules, by: string): Promise<ConfigView | null>
  readiness(): Readiness
  /** Sets the gauges that are read rather than counted; called before each scrape. */
  measure(): Promise<void>
  /** Rejects with what no retry can mend: the process can do no more than stop. Never resolves. */
  readonly failed: Promise<never>
  /** Takes nothing more in, lets what is under way become durable, and stops. The log stays open. */
  stop(): Promise<void>
}

/** Pause before a source that could not start is tried again, ms. */
const RETRY_FIRST_MS = 100
const RETRY_MOST_MS = 5000

/** Starts the roles. Rejects with what ingest's start throws and can't be retried, or once `stopping` aborted. */
export async function startApp(ports: AppPorts, options: AppOptions): Promise<App> {
  const { log, clock, logger } = ports
  const { roles = ROLES, name } = options
  const stopping = new AbortController()
  const ingest = roles.includes('ingest') ? createIngest({ ...ports, ...options }) : null
  const detect = roles.includes('detect') ? createDetect({ ...ports, name }, options.checkpoint) : null
  const responder = roles.includes('respond') ? responderOf(ports, options) : null
  const incidents = new Board(ports)
  tellRoles(ports.metrics, roles)

  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  failed.catch(() => undefined) // whoever runs the app listens; a test need not
  const works: Promise<void>[] = []
  const run = (role: string, work: Promise<void>) => {
    const watched = work.catch((error: unknown) => {
      logger.error({ role, error: errorText(error) }, 'a role ended on an error that no retry can mend')
      fail(error)
    })
    works.push(watched)
  }
  if (detect) run('detect', detect.run(stopping.signal))
  if (responder) {
    run('respond', log.lead('respond', (owned) => term(responder, ports.channel, owned), stopping.signal))
    run('board', incidents.run(stopping.signal))
  }
  const stopRoles = async () => {
    stopping.abort()
    await Promise.all(works)
  }
  try {
    if (ingest) {
      await startIngest(ingest.start.bind(ingest), clock, logger, options)
      run('ingest', ingest.ended)
    }
  } catch (error) {
    await stopRoles()
    throw error
  }

  return {
    roles,
    incidents,
    devices: devicesOf(detect, log, name),
    holder: (place) => holderOf(log, name, place),
    async request(request) {
      const partition = request.device === '' ? FLEET_PARTITION : partitionOf(request.device, log.partitions)
      const { flushed } = await log.append('requests', partition, [{ key: request.device, value: encodeRequest(request) }])
      await flushed
      return request.id
    },
    readiness() {
      const ofRoles = [ingest?.readiness().reasons, detect?.reasons(), responder?.readiness(), ports.channel?.reasons()]
      return readinessOf([...log.reasons(), ...ofRoles.flatMap((reasons) => reasons ?? [])])
    },
    standing: () => responder?.standing() ?? null,
    reload: async (rules, by) => (await responder?.reload(rules, by)) ?? null,
    async measure() {
      await detect?.measure()
      await responder?.measure()
    },
    failed,
    async stop() {
      await ingest?.stop()
      await stopRoles()
    },
  }
}

function responderOf(ports: AppPorts, { settings, settingsHash, policy }: AppOptions): Responder {
  const { enforcer } = ports
  assert(enforcer !== null, 'respond has an enforcer')
  return createResponder({ ...ports, enforcer, settings, settingsHash, policy })
}

/** Connecting ends the connection of whoever led before, ahead of the first effect of this term. */
async function term(responder: Responder, channel: LedWay | undefined, owned: Owned): Promise<void> {
  channel?.start(owned)
  try {
    await responder.run(owned)
  } finally {
    await channel?.stop()
  }
}

function tellRoles(metrics: Metrics, roles: readonly Role[]): void {
  const gauge = metrics.gauge('picket_role', '1 for each role of this process, else 0', ['role'])
  for (const role of ROLES) gauge.set(roles.includes(role) ? 1 : 0, { role })
}

function holderOf(log: Log, own: string, place: string): string | null {
  const holder = log.holder(place)
  return holder === null || holder === own ? null : holder.split('/', 1)[0]!
}

function devicesOf(detect: Detect | null, log: Log, own: string): App['devices'] {
  const all = Array.from({ length: log.partitions }, (_, partition) => ({ partition }))
  return {
    list: (page) => detect?.list(page) ?? [],
    get: (id) => detect?.get(id) ?? null,
    missing: () => detect?.missing() ?? [],
    elsewhere: () => (detect?.elsewhere() ?? all).map(({ partition }) => ({ partition, owner: holderOf(log, own, `readings/${partition}`) })),
    partitionOf: (id) => partitionOf(id, log.partitions),
  }
}

async function startIngest(start: () => Promise<void>, clock: Clock, logger: Logger, { waitFor, stopping }: AppOptions): Promise<void> {
  for (let pause = RETRY_FIRST_MS; ; pause = Math.min(2 * pause, RETRY_MOST_MS)) {
    try {
      return await start()
    } catch (error) {
      if (!isPipelineError(error) || !error.retriable || stopping?.aborted) throw error
      logger.warn({ error: error.message, pauseMs: pause }, 'ingest could not start, trying again')
      waitFor?.(`ingest could not start, trying again: ${error.message}`)
      await delay(clock, pause, stopping)
    }
  }
}
