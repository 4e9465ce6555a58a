/** The service behind `picket run`: from its config to its last drained message. */
import { hostname } from 'node:os'
import { askOverHttp } from '../api/ask-owner.ts'
import { type Api, type ApiOptions, startApi } from '../api/server.ts'
import { startingViews } from '../api/starting.ts'
import type { Config } from '../config/config.ts'
import type { Address } from '../config/notation.ts'
import type { Clock } from '../ops/clock.ts'
import { delay } from '../ops/clock.ts'
import { openPinoLogger } from '../ops/pino-logger.ts'
import type { LogLevel, PinoLogger } from '../ops/pino-logger.ts'
import { makePrometheus } from '../ops/prometheus.ts'
import type { PrometheusMetrics } from '../ops/prometheus.ts'
import { greeting } from './greeting.ts'
import { Failure } from './io.ts'
import type { CliIo, Host, StopSignal } from './io.ts'
import { bracketed } from './options.ts'
import { type ConfigFile, Reloading } from './reloading.ts'
import type { PicketPorts, RunningPicket, StartPicket } from './run.ts'

/** A stop takes so long at most, ms. */
const DRAIN_MS = 10_000
/** Ctrl-C under npm comes twice at once: from the terminal, and passed on by npm. Within this of the first, ms, a SIGINT is its echo. */
const ECHO_MS = 500
/** Exit codes of a process that a signal ended at once: 128 and its number. */
const SIGNAL_EXIT = { SIGINT: 130, SIGTERM: 143 } as const

/** The metrics and the log of this process. */
export function openInstruments(io: Pick<CliIo, 'clock' | 'stderr'>, level: LogLevel): Pick<RunOptions, 'metrics' | 'logger'> {
  const metrics = makePrometheus({ processMetrics: true })
  const lost = metrics.counter('picket_log_lines_lost_total', 'Log lines that stderr could not take')
  const logger = openPinoLogger({ clock: io.clock, level, terminal: io.stderr.isTerminal, onDrop: () => lost.add(1) })
  return { metrics, logger }
}

export interface RunOptions {
  readonly metrics: PrometheusMetrics
  readonly logger: PinoLogger
  readonly start: StartPicket
  /** Left out: there is nothing to read again. */
  readonly file?: ConfigFile
}

/** Resolves once drained. Throws what the start threw; throws a Failure when something vital ended or draining took too long. */
export async function runPicket(io: CliIo, config: Config, { metrics, logger, start, file }: RunOptions): Promise<void> {
  const { clock, random, host } = io
  const stop = stopper(host, clock, logger)
  try {
    for (const remark of config.remarks) logger.warn({ file: config.file }, remark)
    const ports = { clock, random, metrics, logger, fail: stop.fail }
    let running: RunningPicket | null = null
    const reloading = file && new Reloading({ ...file, logger, picket: () => running })
    if (reloading) host.onReload(() => hungUp(io, reloading))
    const service = await (config.log.kafka ? doorFirst : appFirst)({ io, config, ports, start, reloading, wanted: stop.wanted })
    if (!service) return endedEarly(await stop.wanted, logger)
    const { picket, api } = service
    running = picket
    io.stdout.write(greeting({ config, mqtt: picket.mqtt, http: api.address, command: host.command }))
    const why = await stop.wanted
    logger.info({ why: why.text }, 'stopping')
    const isDrained = await drain(clock, [api.close(), picket.stop()])
    if (!isDrained) throw new Failure(`not drained within ${DRAIN_MS / 1000} s; what was not acknowledged will be sent again`)
    logger.info({}, 'stopped')
    if (why.error !== null) throw new Failure(`ended by an error: ${why.text}`, { cause: why.error })
  } finally {
    logger.flush()
  }
}

/** A terminal that was closed sends SIGHUP too: then this line can't be written, which ends the process. */
function hungUp({ stderr }: CliIo, reloading: Reloading): void {
  if (stderr.isTerminal) stderr.write('picket: SIGHUP: the configuration is read again\n')
  void reloading.signal()
}

/** Throws a Failure when it was not a signal that asked for the end. */
function endedEarly(why: StopReason, logger: PinoLogger): void {
  if (why.error !== null) throw new Failure(`ended by an error: ${why.text}`, { cause: why.error })
  logger.info({ why: why.text }, 'stopped before it had started')
}

interface Starting {
  readonly io: CliIo
  readonly config: Config
  readonly ports: PicketPorts
  readonly start: StartPicket
  readonly reloading: Reloading | undefined
  readonly wanted: Promise<StopReason>
}

interface Service {
  readonly picket: RunningPicket
  readonly api: Api
}

/** With the embedded log: it opens at once or not at all, and what the API answers is there before it listens. */
async function appFirst({ io, config, ports, start, reloading, wanted }: Starting): Promise<Service | null> {
  const picket = await startedInTime(ports.clock, wanted, start(config, ports))
  if (!picket) return null
  const api = await startApi({ ...doorOf(io, config, ports), ...(reloading ? { config: reloading } : {}), app: picket.app }).catch(async (error: unknown) => {
    await drain(ports.clock, [picket.stop()])
    throw error
  })
  return { picket, api }
}

/** With Kafka, which may be away for long: health is there from the beginning, and says what is waited for. Null when the end was asked for before. */
async function doorFirst({ io, config, ports, start, reloading, wanted }: Starting): Promise<Service | null> {
  const views = startingViews(config.roles)
  const api = await startApi({ ...doorOf(io, config, ports), ...(reloading ? { config: reloading } : {}), app: views })
  const stopping = new AbortController()
  void wanted.then(() => stopping.abort())
  const advertised = advertisedAddress(config, api.address)
  const starting = start(config, { ...ports, advertised, waitFor: views.waitFor, stopping: stopping.signal })
  const picket = await startedInTime(ports.clock, wanted, starting).catch(async (error: unknown) => {
    await drain(ports.clock, [api.close()])
    throw error
  })
  if (picket) views.become(picket.app)
  else await drain(ports.clock, [api.close()])
  return picket && { picket, api }
}

function doorOf({ fetch }: CliIo, config: Config, { metrics, logger, clock, random }: PicketPorts): Omit<ApiOptions, 'app'> {
  const { listen, auth } = config
  return { listen: listen.http, advertise: listen.advertise, token: auth.apiToken, askOwner: askOverHttp(fetch, auth.apiToken), metrics, logger, clock, random }
}

const EVERY_ADDRESS: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

function advertisedAddress({ listen: { advertise } }: Config, http: Address): string {
  const { host, port } = advertise ?? http
  return `${bracketed(EVERY_ADDRESS.has(host) ? hostname() : host)}:${port}`
}

/** A stop that is asked for while starting waits `DRAIN_MS` for the start, which may try for ever. Throws a Failure. */
async function startedInTime(clock: Clock, wanted: Promise<unknown>, starting: Promise<RunningPicket | null>): Promise<RunningPicket | null> {
  const started = new AbortController()
  const late = wanted.then(() => delay(clock, DRAIN_MS, started.signal)).then(() => 'late' as const)
  const picket = await Promise.race([starting, late]).finally(() => started.abort())
  if (picket === 'late') throw new Failure(`stopped while starting; it had not started within a further ${DRAIN_MS / 1000} s`)
  return picket
}

interface StopReason {
  readonly text: string
  /** null: asked for by a signal. */
  readonly error: unknown
}

/** The first signal or failure asks for a stop, the second signal ends the process. What nobody caught is logged and ends it too. */
function stopper(host: Host, clock: Clock, logger: PinoLogger) {
  let ask: (why: StopReason) => void = () => {}
  const wanted = new Promise<StopReason>((resolved) => (ask = resolved))
  let firstAt: number | null = null
  const end = (code: number) => {
    logger.flush()
    host.exit(code)
  }
  host.onSignal((signal: StopSignal) => {
    const at = clock.monotonic()
    if (firstAt === null) {
      firstAt = at
      ask({ text: signal, error: null })
    } else if (signal === 'SIGTERM' || at - firstAt >= ECHO_MS) end(SIGNAL_EXIT[signal])
  })
  host.onUncaught((error) => {
    logger.error({ error }, 'uncaught error: Picket ends')
    end(1)
  })
  const fail = (error: unknown) => {
    logger.error({ error }, 'Picket cannot go on')
    ask({ text: error instanceof Error ? error.message : String(error), error: error ?? new Error('unknown') })
  }
  return { wanted, fail }
}

/** Whether all have ended within `DRAIN_MS`. */
async function drain(clock: Clock, ends: readonly Promise<unknown>[]): Promise<boolean> {
  const timer = new AbortController()
  const late = delay(clock, DRAIN_MS, timer.signal).then(() => false)
  const isDrained = await Promise.race([Promise.all(ends).then(() => true), late])
  timer.abort()
  return isDrained
}
