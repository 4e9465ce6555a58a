/** Port: what the verbs touch of the world outside: terminal, network, log, time. `main.ts` brings the real one. */
import type { Config } from '../config/config.ts'
import type { Clock } from '../ops/clock.ts'
import type { Random } from '../ops/random.ts'
import type { Backups } from './backups.ts'
import type { LogReader } from './log-reader.ts'
import type { Connect } from './publisher.ts'

export interface CliIo {
  readonly stdout: Output
  readonly stderr: Output
  readonly fetch: typeof fetch
  readonly clock: Clock
  readonly random: Random
  /** An MQTT client for `replay`. */
  readonly connect: Connect
  /** The log of a config, read-only beside a running Picket, for `log read`. */
  readonly openLog: (config: Config) => Promise<LogReader>
  /** For `backup` and `restore`. */
  readonly backups: Backups
  readonly host: Host
}

/** The process as `run` needs it. */
export interface Host {
  /** Each SIGINT and SIGTERM from now on. */
  onSignal(each: (signal: StopSignal) => void): void
  /** Each SIGHUP from now on. */
  onReload(each: () => void): void
  /** Errors that nobody caught. */
  onUncaught(each: (error: unknown) => void): void
  /** Ends the process at once. */
  exit(code: number): void
  /** Of Picket, such as 0.1.0. */
  readonly version: string
  /** How this program is started again, such as `node dist/main.js`. */
  readonly command: string
}

export type StopSignal = 'SIGINT' | 'SIGTERM'

export interface Output {
  write(text: string): void
  /** A person is looking. */
  readonly isTerminal: boolean
  /** Of the terminal, in characters; left out where there is none. */
  readonly size?: () => { readonly columns: number; readonly rows: number }
}

/** A verb that could not do as asked: `message` says what to do next. Exit code 1. */
export class Failure extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'Failure'
  }
}
