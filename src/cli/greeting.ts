/** What `picket run` says once it has started: a line each for what its roles offer. */
import { resolve } from 'node:path'
import type { Config, SourceConfig } from '../config/config.ts'
import type { Address } from '../config/notation.ts'
import { ROLES } from '../core/role.ts'
import { ruleOf } from '../core/topic-rule.ts'
import { bracketed, urlHost } from './options.ts'

export interface Greeting {
  readonly config: Config
  /** Of the embedded broker; null: there is none here. */
  readonly mqtt: Address | null
  readonly http: Address
  readonly command: string
}

/** With all roles five lines and one for each broker that is not Picket's own: devices, metrics, the API, the data, and a command that shows it work. */
export function greeting(about: Greeting): string {
  const { config, http } = about
  const url = `http://${urlHost(http.host)}:${http.port}`
  const isWhole = ROLES.every((role) => config.roles.includes(role))
  const lines = [
    ...(isWhole ? [] : [`roles    ${config.roles.join(', ')}`]),
    ...(config.roles.includes('ingest') ? config.sources.map((source) => deviceLine(about, source)) : []),
    `metrics  ${url}/metrics`,
    ...apiLines(config, url),
    `data     ${dataText(config)}`,
    `try      ${tryText(about, url)}`,
  ]
  return lines.map((line) => `${line}\n`).join('')
}

/** Under the address as configured, since devices are elsewhere. */
function deviceLine({ config, mqtt }: Greeting, source: SourceConfig): string {
  const topics = source.topics.map((topic) => ruleOf(topic).pattern).join(' or ')
  if (source.mqtt) return `source   ${source.name}, publish to ${topics} at ${source.mqtt.url}`
  return `devices  connect to mqtt://${bracketed(config.listen.mqtt.host)}:${(mqtt ?? config.listen.mqtt).port} and publish to ${topics}`
}

function apiLines({ roles }: Config, url: string): string[] {
  const lists = [...(roles.includes('detect') ? ['devices'] : []), ...(roles.includes('respond') ? ['incidents'] : [])]
  return lists.length === 0 ? [] : [`API      ${lists.map((list) => `${url}/api/v1/${list}`).join(' and ')}`]
}

function dataText({ log: { embedded, kafka } }: Config): string {
  return embedded ? resolve(embedded.path) : `Kafka at ${kafka.brokers.join(', ')}, topics ${kafka.prefix}…`
}

function tryText({ config, command }: Greeting, url: string): string {
  if (config.log.embedded) return `${command} devices --url ${url}, or ${command} demo for a fleet in which things go wrong`
  if (config.roles.includes('detect')) return `${command} devices --url ${url}`
  if (config.roles.includes('respond')) return `${command} incidents --url ${url}`
  return `${command} log read readings --follow --config ${config.file}`
}
