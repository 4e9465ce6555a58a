/** `picket run`: the verb, and what it asks of the app it starts. The work is in `service.ts`, loaded only when run. */
import { Option } from 'commander'
import type { Command } from 'commander'
import type { Views } from '../api/views.ts'
import { type Config, loadWritten } from '../config/config.ts'
import type { Address } from '../config/notation.ts'
import { ROLES } from '../core/role.ts'
import type { ConfigView } from '../core/standing.ts'
import type { Clock } from '../ops/clock.ts'
import type { Logger } from '../ops/logger.ts'
import type { LogLevel } from '../ops/pino-logger.ts'
import type { PrometheusMetrics } from '../ops/prometheus.ts'
import type { Random } from '../ops/random.ts'
import type { CliIo } from './io.ts'
import { withConfig } from './options.ts'
import type { ConfigOptions } from './options.ts'

const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

export interface PicketPorts {
  readonly clock: Clock
  readonly random: Random
  readonly metrics: PrometheusMetrics
  readonly logger: Logger
  /** Called once something has ended that the service can't do without. */
  readonly fail: (error: unknown) => void
  /** Where others reach the API of this process, `host:port`; null: nobody else needs to. */
  readonly advertised?: string | null
  /** Called with what keeps it from starting and will be tried again. */
  readonly waitFor?: (reason: string) => void
  /** Aborts when the end is asked for before it has started. */
  readonly stopping?: AbortSignal
}

/** A started app. */
export interface RunningPicket {
  readonly app: Views
  /** Where devices connect, the port as it really is; null without an embedded broker here. */
  readonly mqtt: Address | null
  /** Puts in force what respond takes from another configuration while it works; null: another process leads respond. Rejects, and keeps the old. */
  reload(config: Config, by: string): Promise<ConfigView | null>
  /** Takes nothing new, finishes what is under way. */
  stop(): Promise<void>
}

/** Resolves with null when `stopping` aborted before it had started. */
export type StartPicket = (config: Config, ports: PicketPorts) => Promise<RunningPicket | null>

interface Options extends ConfigOptions {
  readonly logLevel: LogLevel
  readonly roles?: string
}

export function addRun(program: Command, io: CliIo, start: StartPicket): void {
  withConfig(program.command('run'))
    .description('run Picket until SIGTERM or SIGINT; a second one ends it at once')
    .option('--roles <roles>', `what this process does, of ${ROLES.join(',')} (default: as the configuration says)`)
    .addOption(new Option('--log-level <level>', 'least important lines of the log, which goes to stderr').choices(LOG_LEVELS).default('info'))
    .action(async (options: Options) => {
      const roles = options.roles === undefined ? [] : [`roles=[${options.roles}]`]
      const read = () => loadWritten({ file: options.config, set: [...options.set, ...roles] })
      const written = read()
      const { openInstruments, runPicket } = await import('./service.ts')
      await runPicket(io, written.config, { ...openInstruments(io, options.logLevel), start, file: { written, read } })
    })
}
