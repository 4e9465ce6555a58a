/** One simulated process: the real app on its handle of the log, amid a source, a broker and a webhook that are not; it starts, stops, dies. */
import { type App, startApp } from '../../src/app.ts'
import { errorText } from '../../src/core/errors.ts'
import type { Prng } from '../../src/fleet/prng.ts'
import type { IngestLimits } from '../../src/ingest/limits.ts'
import type { MemoryCluster, MemoryLog } from '../../src/log/memory.ts'
import type { Logger } from '../../src/ops/logger.ts'
import type { Random } from '../../src/ops/random.ts'
import { createDeviceCommand } from '../../src/respond/device-command.ts'
import { createWebhook } from '../../src/respond/webhook.ts'
import type { FarBroker } from './far-broker.ts'
import { SETTINGS } from './fleet.ts'
import type { Version } from './fleet.ts'
import { SimMetrics } from './instruments.ts'
import type { SimOptions } from './options.ts'
import { SimSource } from './source.ts'
import type { Strays } from './strays.ts'
import { WEBHOOK_SECRET, type WebhookReceiver } from './webhook.ts'
import { mortal } from './world.ts'
import type { SimClock, World } from './world.ts'

const LIMITS: IngestLimits = {
  payloadBytes: 4_096,
  nesting: 8,
  fields: 64,
  samples: 64,
  nameLength: 128,
  metricsPerDevice: 8,
  knownDevices: 100,
  queue: { messages: 100, bytes: 100_000 },
  inFlight: { records: 8, bytes: 100_000 },
}

const HOOK = 'https://far.example/hook'

/** A process that has not stopped so long after it was asked is killed, ms. */
export const STOP_MS = 10_000

export interface ProcessOptions {
  readonly name: string
  readonly options: SimOptions
  readonly world: World
  readonly clock: SimClock
  readonly cluster: MemoryCluster
  readonly strays: Strays
  readonly broker: FarBroker
  readonly webhook: WebhookReceiver
  readonly draw: Prng
  readonly logger: Logger
  /** Told of what may not happen. */
  readonly problem: (text: string) => void
}

function randomOf(draw: Prng): Random {
  return { id: () => Array.from({ length: 24 }, () => draw.whole(0, 15).toString(16)).join(''), fraction: () => draw.fraction() }
}

/** From a start to its end. */
interface Life {
  readonly log: MemoryLog
  /** Its appends under way, of which nobody knows any more whether they arrive. */
  readonly leaveStrays: () => void
  readonly source: SimSource
  readonly metrics: SimMetrics
  app: App | null
  isOver: boolean
}

export class SimProcess {
  readonly name: string
  readonly clock: SimClock
  version: Version = 'first'
  crashes = 0
  #life: Life | null = null
  #lives = 0
  readonly #options: ProcessOptions

  constructor(options: ProcessOptions) {
    this.#options = options
    this.name = options.name
    this.clock = options.clock
  }

  get log(): MemoryLog | null {
    return this.#life?.log ?? null
  }

  get app(): App | null {
    return this.#life?.app ?? null
  }

  /** Where devices may connect; null while it takes nobody. */
  get source(): SimSource | null {
    return this.#life?.source.listens ? this.#life.source : null
  }

  /** Records its tasks have still to score. */
  async lag(): Promise<number> {
    await this.#life?.app?.measure()
    return this.#life?.metrics.sum('picket_lag_records') ?? 0
  }

  start(): void {
    if (this.#life) return
    const { options, cluster, strays, broker, webhook, draw, logger, problem } = this.#options
    logger.info({ version: this.version }, 'starts')
    const clock = mortal(this.clock, () => !life.isOver)
    const metrics = new SimMetrics()
    const log = cluster.connect({ name: this.name, logger })
    const inNetwork = options.log.strays ? strays.around(log) : { log, killed: () => undefined }
    const source = new SimSource(options.sources === 'shared' ? 'field' : `field ${this.name}`, clock)
    const life: Life = { log, leaveStrays: inNetwork.killed, source, metrics, app: null, isOver: false }
    this.#life = life
    const isAlive = () => !life.isOver
    const started = startApp(
      {
        clock,
        random: randomOf(draw.fork(`life ${this.#lives++}`)),
        log: inNetwork.log,
        sources: [{ source, patterns: ['telemetry/{class}/{device}', 'telemetry/{class}/{device}/{metric}'] }],
        enforcer: createDeviceCommand({ channel: broker.channel(isAlive), clock, metrics, logger, key: null }),
        notifiers: [createWebhook({ name: 'hook', url: HOOK, secret: WEBHOOK_SECRET, fetch: webhook.fetch(isAlive), clock })],
        metrics,
        logger,
      },
      { name: this.name, settings: SETTINGS[this.version], settingsHash: this.version, limits: LIMITS, checkpoint: options.checkpoint, policy: { enforcement: 'on', quarantines: { ...options.governor, group: null } } },
    )
    started.then(
      (app) => {
        life.app = app
        app.failed.catch((error: unknown) => isAlive() && problem(`${this.name} can't go on: ${errorText(error)}`))
      },
      (error: unknown) => isAlive() && problem(`${this.name} can't start: ${errorText(error)}`),
    )
  }

  /** kill −9. */
  crash(): void {
    const life = this.#life
    if (!life) return
    this.crashes++
    this.#options.logger.info({}, 'is killed')
    this.#end(life)
    life.leaveStrays()
    life.log.crash()
  }

  /** As SIGTERM asks; `done` is told whether it came to its end in time, or was killed. */
  stop(done: (inTime: boolean) => void): void {
    this.#options.logger.info({}, 'is asked to stop')
    const life = this.#life
    if (!life) return done(true)
    if (!life.app) {
      this.crash()
      return done(true)
    }
    const cancel = this.#options.world.after(STOP_MS, () => {
      if (life.isOver) return
      this.crash()
      done(false)
    })
    const { app, log } = life
    const ended = (inTime: boolean) => {
      if (life.isOver) return
      cancel()
      this.#end(life)
      done(inTime)
    }
    app.stop().then(() => log.close()).then(
      () => ended(true),
      // What could not be stored was not acknowledged: a stop on a bad disk is a crash.
      () => {
        if (life.isOver) return
        log.crash()
        ended(false)
      },
    )
  }

  #end(life: Life): void {
    life.isOver = true
    this.#life = null
    life.source.die()
  }
}
