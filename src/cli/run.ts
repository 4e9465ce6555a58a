/** `picket run`: the verb, and what it asks of the app it starts. The work is in `service.ts`, loaded only when run. */
import { Option } from 'commander'
import type { Command } from 'commander'
import type { Views } from '../api/views.ts'
import type { Config } from '../config/config.ts'
import type { Address } from '../config/notation.ts'
import type { Clock } from '../ops/clock.ts'
import type { Logger } from '../ops/logger.ts'
import type { LogLevel } from '../ops/pino-logger.ts'
import type { PrometheusMetrics } from '../ops/prometheus.ts'
import type { Random } from '../ops/random.ts'
import type { CliIo } from './io.ts'
import { readConfigWithSecrets, withConfig } from './options.ts'
import type { ConfigOptions } from './options.ts'

const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

export interface PicketPorts {
  readonly clock: Clock
  readonly random: Random
  readonly metrics: PrometheusMetrics
  readonly logger: Logger
  /** Called once something has ended that the service can't do without. */
  readonly fail: (error: unknown) => void
}

/** A started app. */
export interface RunningPicket {
  readonly app: Views
  /** Where devices connect, the port as it really is. */
  readonly mqtt: Address
  /** Takes nothing new, finishes what is under way. */
  stop(): Promise<void>
}

export type StartPicket = (config: Config, ports: PicketPorts) => Promise<RunningPicket>

interface Options extends ConfigOptions {
  readonly logLevel: LogLevel
}

export function addRun(program: Command, io: CliIo, start: StartPicket): void {
  withConfig(program.command('run'))
    .description('run Picket until SIGTERM or SIGINT; a second one ends it at once')
    .addOption(new Option('--log-level <level>', 'least important lines of the log, which goes to stderr').choices(LOG_LEVELS).default('info'))
    .action(async (options: Options) => {
      const config = readConfigWithSecrets(options)
      const { openInstruments, runPicket } = await import('./service.ts')
      await runPicket(io, config, { ...openInstruments(io, options.logLevel), start })
    })
}
