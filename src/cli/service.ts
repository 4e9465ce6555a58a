/** The service behind `picket run`: from its config to its last drained message. */
import { resolve } from 'node:path'
import { startApi } from '../api/server.ts'
import type { Config } from '../config/config.ts'
import type { Address } from '../config/notation.ts'
import { ruleOf } from '../core/topic-rule.ts'
import type { Clock } from '../ops/clock.ts'
import { delay } from '../ops/clock.ts'
import { openPinoLogger } from '../ops/pino-logger.ts'
import type { LogLevel, PinoLogger } from '../ops/pino-logger.ts'
import { makePrometheus } from '../ops/prometheus.ts'
import type { PrometheusMetrics } from '../ops/prometheus.ts'
import { Failure } from './io.ts'
import type { CliIo, Host, StopSignal } from './io.ts'
import { bracketed, urlHost } from './options.ts'
import type { RunningPicket, StartPicket } from './run.ts'

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
}

/** Resolves once drained. Throws what the start threw; throws a Failure when something vital ended or draining took too long. */
export async function runPicket(io: CliIo, config: Config, { metrics, logger, start }: RunOptions): Promise<void> {
  const { clock, random, host } = io
  const stop = stopper(host, clock, logger)
  try {
    for (const remark of config.remarks) logger.warn({ file: config.file }, remark)
    const picket = await startedInTime(clock, stop.wanted, start(config, { clock, random, metrics, logger, fail: stop.fail }))
    const api = await startApi({ listen: config.listen.http, app: picket.app, metrics, logger, clock, random }).catch(async (error: unknown) => {
      await drain(clock, [picket.stop()])
      throw error
    })
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

/** A stop that is asked for while starting waits `DRAIN_MS` for the start, which may try for ever. Throws a Failure. */
async function startedInTime(clock: Clock, wanted: Promise<unknown>, starting: Promise<RunningPicket>): Promise<RunningPicket> {
  const started = new AbortController()
  const late = wanted.then(() => delay(clock, DRAIN_MS, started.signal)).then(() => null)
  const picket = await Promise.race([starting, late])
  started.abort()
  if (!picket) throw new Failure(`stopped while starting; it had not started within a further ${DRAIN_MS / 1000} s`)
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

export interface Greeting {
  readonly config: Config
  readonly mqtt: Address
  readonly http: Address
  readonly command: string
}

/** Five lines, the first with the address as configured, since devices are elsewhere: where devices connect, metrics, the API, the data, and a command that shows it work. */
function greeting({ config, mqtt, http, command }: Greeting): string {
  const url = `http://${urlHost(http.host)}:${http.port}`
  const topics = config.sources.flatMap((source) => source.topics.map((topic) => ruleOf(topic).pattern))
  return [
    `devices  connect to mqtt://${bracketed(config.listen.mqtt.host)}:${mqtt.port} and publish to ${topics.join(' or ')}`,
    `metrics  ${url}/metrics`,
    `API      ${url}/api/v1/devices and ${url}/api/v1/incidents`,
    `data     ${resolve(config.log.embedded.path)}`,
    `try      ${command} devices --url ${url}, or ${command} demo for a fleet in which things go wrong`,
  ]
    .map((line) => `${line}\n`)
    .join('')
}
