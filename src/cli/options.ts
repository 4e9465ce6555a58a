/** Options that several verbs share, each named and read in one place. */
import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import { loadConfig } from '../config/config.ts'
import type { Config } from '../config/config.ts'
import { isUnresolved, processEnvironment } from '../config/environment.ts'
import { duration } from '../config/notation.ts'
import { PipelineError } from '../core/errors.ts'

const TOKEN_VARIABLE = 'PICKET_TOKEN'
const DEFAULT_CONFIG = 'config/picket.yaml'

export interface ConfigOptions {
  readonly config: string
  readonly set: readonly string[]
}

export interface UrlOptions extends ConfigOptions {
  readonly url?: string
  readonly token?: string
}

/** `file`: read where none is named. */
export function withConfig(command: Command, file = DEFAULT_CONFIG): Command {
  return command
    .option('--config <file>', 'configuration; the file replaces the default one whole', file)
    .option('--set <key=value>', 'changes one key of it, such as listen.http=127.0.0.1:18080; repeatable', collect, [])
}

/** For verbs that speak to a running Picket. */
export function withUrl(command: Command): Command {
  return withConfig(command)
    .addOption(new Option('--url <url>', "where Picket's API is (default: as the configuration says)").argParser(httpUrl))
    .option('--token <token>', `what it wants to bear (default: ${TOKEN_VARIABLE} of the environment, else as the configuration says)`)
}

export function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value]
}

/** For verbs that use no secret: one whose variable is not set is no problem of theirs. Throws BAD_CONFIG. */
export function readConfig({ config, set }: ConfigOptions): Config {
  return loadConfig({ file: config, set, unsetSecrets: 'leave' })
}

/** With every secret in its place. Throws BAD_CONFIG. */
export function readConfigWithSecrets({ config, set }: ConfigOptions): Config {
  return loadConfig({ file: config, set })
}

/** Without a slash at its end. Throws BAD_CONFIG. */
export function apiUrl(options: UrlOptions): string {
  if (options.url !== undefined) return options.url
  const { host, port } = readConfig(options).listen.http
  if (port === 0) throw new PipelineError('BAD_CONFIG', 'listen.http has port 0, so only the running Picket knows it; give --url')
  return `http://${urlHost(host)}:${port}`
}

/** null: none is known. With `--url` the configuration is not asked, which may be of another Picket. Throws BAD_CONFIG. */
export function apiToken(options: UrlOptions): string | null {
  const said = options.token ?? processEnvironment()[TOKEN_VARIABLE]
  if (said) return said
  const token = options.url === undefined ? readConfig(options).auth.apiToken : null
  return token === null || isUnresolved(token) ? null : token
}

/** With the secrets of the log alone, for verbs that read it. Throws BAD_CONFIG. */
export function readConfigForLog({ config, set }: ConfigOptions): Config {
  return loadConfig({ file: config, set, unsetSecrets: 'refuse-in-log' })
}

/** The data folder, for verbs about its files. Throws BAD_CONFIG where the log is in Kafka. */
export function dataFolder(options: ConfigOptions, verb: string): string {
  const { embedded } = readConfig(options).log
  if (embedded) return embedded.path
  throw new PipelineError('BAD_CONFIG', `${options.config}: log.kafka: ${verb} is for the folder of log.embedded; the topics of a Kafka cluster are kept safe by its replication and by its own tools, such as MirrorMaker`)
}

/** A host to connect to, for one that may stand for all addresses of the machine. */
export function urlHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return bracketed(host)
}

/** A host as it stands in a URL. */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/** Parser of an option that takes a URL. */
export function httpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !/^https?:$/.test(url.protocol)) throw new InvalidArgumentError('Expected a URL such as http://127.0.0.1:8080.')
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

/** Parser of an option that takes the length of a quarantine or silence; it stays as it is written. */
export function checkedLength(text: string): string {
  const length = duration('1s', '30d').safeParse(text)
  if (!length.success) throw new InvalidArgumentError(`Expected ${length.error.issues[0]?.message}.`)
  return text
}

/** Parser of an option that takes a whole number. */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN
    if (!(value >= least && value <= most)) throw new InvalidArgumentError(`Expected a whole number from ${least}${most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`}.`)
    return value
  }
}
