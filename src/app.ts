/** The whole way of a reading, wired over ports in reading order: ingest → log → detect → respond. The simulation runs this same file. */
import type { DeviceView } from './core/device.ts'
import { errorText, isPipelineError } from './core/errors.ts'
import { encodeRequest, FLEET_PARTITION, type Request } from './core/request.ts'
import type { ResponsePolicy, Settings } from './core/settings.ts'
import type { Standing } from './core/standing.ts'
import { partitionOf } from './core/hash.ts'
import { createDetect } from './detect/detect.ts'
import type { CheckpointPace } from './detect/task.ts'
import { createIngest, type IngestSource } from './ingest/ingest.ts'
import type { IngestLimits } from './ingest/limits.ts'
import type { Log } from './log/log.ts'
import { type Clock, delay } from './ops/clock.ts'
import { type Readiness, readinessOf } from './ops/health.ts'
import type { Logger } from './ops/logger.ts'
import type { Metrics } from './ops/metrics.ts'
import type { Random } from './ops/random.ts'
import { Board } from './respond/board.ts'
import type { Enforcer } from './respond/enforcer.ts'
import type { Notifier } from './respond/notifier.ts'
import { createResponder } from './respond/responder.ts'

export interface AppPorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly sources: readonly IngestSource[]
  readonly enforcer: Enforcer
  readonly notifiers: readonly Notifier[]
  readonly metrics: Metrics
  readonly logger: Logger
}

export interface AppOptions {
  /** Of this process, in its ticks. */
  readonly name: string
  readonly settings: Settings
  /** Tells whether the partitions hold other settings than these. */
  readonly settingsHash: string
  /** Bounds on response, should this process lead it. */
  readonly policy: ResponsePolicy
  readonly limits: IngestLimits
  readonly checkpoint: CheckpointPace
}

export interface App {
  readonly incidents: Board
  readonly devices: {
    list(page: { readonly limit: number; readonly after: string | null }): readonly DeviceView[]
    get(id: string): DeviceView | null
    /** Partitions whose devices are not among these, each with why. */
    missing(): readonly string[]
  }
  /** Resolves with the request's id once it is durable; rejects with what the log throws. */
  request(request: Request): Promise<string>
  /** What respond stands at; null where another process leads it, or this one does not know yet. */
  standing(): Standing | null
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

/** Starts every role. Rejects with what ingest's start throws and can't be retried. */
export async function startApp(ports: AppPorts, options: AppOptions): Promise<App> {
  const { log, clock, logger } = ports
  const stopping = new AbortController()
  const ingest = createIngest({ ...ports, ...options })
  const detect = createDetect(ports, options.checkpoint)
  const responder = createResponder({ ...ports, settings: options.settings, settingsHash: options.settingsHash, policy: options.policy })
  const incidents = new Board(ports)

  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  failed.catch(() => undefined) // whoever runs the app listens; a test need not
  const role = (name: string, work: Promise<void>): Promise<void> =>
    work.catch((error: unknown) => {
      logger.error({ role: name, error: errorText(error) }, 'a role ended on an error that no retry can mend')
      fail(error)
    })
  const roles = [
    role('detect', detect.run(stopping.signal)),
    role('respond', log.lead('respond', (owned) => responder.run(owned), stopping.signal)),
    role('board', incidents.run(stopping.signal)),
  ]
  const stopRoles = async () => {
    stopping.abort()
    await Promise.all(roles)
  }
  try {
    await startIngest(ingest.start.bind(ingest), clock, logger, stopping.signal)
  } catch (error) {
    await stopRoles()
    throw error
  }

  return {
    incidents,
    devices: detect,
    async request(request) {
      const partition = request.device === '' ? FLEET_PARTITION : partitionOf(request.device, log.partitions)
      const { flushed } = await log.append('requests', partition, [{ key: request.device, value: encodeRequest(request) }])
      await flushed
      return request.id
    },
    readiness() {
      return readinessOf([...log.reasons(), ...ingest.readiness().reasons, ...detect.reasons(), ...responder.readiness()])
    },
    standing: () => responder.standing(),
    async measure() {
      await detect.measure()
      await responder.measure()
    },
    failed,
    async stop() {
      await ingest.stop()
      await stopRoles()
    },
  }
}

async function startIngest(start: () => Promise<void>, clock: Clock, logger: Logger, signal: AbortSignal): Promise<void> {
  for (let pause = RETRY_FIRST_MS; ; pause = Math.min(2 * pause, RETRY_MOST_MS)) {
    try {
      return await start()
    } catch (error) {
      if (!isPipelineError(error) || !error.retriable) throw error
      logger.warn({ error: error.message, pauseMs: pause }, 'ingest could not start, trying again')
      await delay(clock, pause, signal)
    }
  }
}
