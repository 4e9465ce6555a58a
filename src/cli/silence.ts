/** `picket silence`, `silences` and `unsilence`: what people don't want to hear of for a while, nor have acted on. */
import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import { CAUSES } from '../core/incident.ts'
import type { Silence, SilenceMatch } from '../core/standing.ts'
import { apiClient } from './api-client.ts'
import type { CliIo } from './io.ts'
import { apiToken, apiUrl, checkedLength, withUrl } from './options.ts'
import type { UrlOptions } from './options.ts'
import { printRows } from './print.ts'
import { shortTime, visible } from './table.ts'

type Label = readonly [name: string, value: string]

interface Options extends UrlOptions {
  readonly device?: string
  readonly class?: string
  readonly cause?: string
  readonly label: readonly Label[]
  readonly for: string
  readonly reason: string
}

interface Accepted {
  readonly request: string
}

const RESOURCE = '/api/v1/silences'

export function addSilence(program: Command, io: CliIo): void {
  withUrl(program.command('silence'))
    .description('tell nobody of some incidents, and quarantine nobody for them, until a time; what is said of them is all true of each')
    .option('--device <device>', 'incidents of this device')
    .option('--class <class>', 'of this class')
    .addOption(new Option('--cause <cause>', 'of this cause').choices(CAUSES))
    .option('--label <name=value>', 'with this label, such as site=north; repeatable', collectLabel, [])
    .requiredOption('--for <duration>', 'how long, 1s to 30d', checkedLength)
    .requiredOption('--reason <text>', 'why, for the ledger')
    .action(async (options: Options, command: Command) => {
      const match = matchOf(options)
      if (Object.keys(match).length === 0) command.error('error: say what to silence: --device, --class, --cause or --label')
      const { request } = await apiClient(io, apiUrl(options), apiToken(options)).post<Accepted>(RESOURCE, { match, for: options.for, reason: options.reason })
      io.stdout.write(`silence ${request} for ${options.for} is asked for; picket silences lists it once it is in force, picket unsilence ${request} ends it\n`)
    })
}

export function addSilences(program: Command, io: CliIo): void {
  withUrl(program.command('silences'))
    .description('list the silences in force')
    .option('--json', 'one JSON object a line')
    .action(async (options: UrlOptions & { readonly json?: boolean }) => {
      const rows = apiClient(io, apiUrl(options), apiToken(options)).list<Silence>(RESOURCE, {}, 'silences')
      await printRows(io, rows, { json: options.json === true, header: ['ID', 'UNTIL', 'MATCHES', 'BY', 'REASON'], row: rowOf, none: 'no silences' })
    })
}

export function addUnsilence(program: Command, io: CliIo): void {
  withUrl(program.command('unsilence'))
    .description('end a silence before its time; people are told of what is still open')
    .argument('<id>', 'as picket silences lists it')
    .option('--reason <text>', 'why, for the ledger')
    .action(async (id: string, options: UrlOptions & { readonly reason?: string }) => {
      const query = options.reason === undefined ? '' : `?${new URLSearchParams({ reason: options.reason })}`
      await apiClient(io, apiUrl(options), apiToken(options)).delete<Accepted>(`${RESOURCE}/${encodeURIComponent(id)}${query}`)
      io.stdout.write(`silence ${visible(id)} is asked to end\n`)
    })
}

function matchOf({ device, class: klass, cause, label }: Options): Record<string, unknown> {
  return {
    ...(device === undefined ? {} : { device }),
    ...(klass === undefined ? {} : { class: klass }),
    ...(cause === undefined ? {} : { cause }),
    ...(label.length > 0 ? { labels: Object.fromEntries(label) } : {}),
  }
}

function collectLabel(text: string, before: readonly Label[]): readonly Label[] {
  const at = text.indexOf('=')
  if (at < 1 || at === text.length - 1) throw new InvalidArgumentError('Expected NAME=VALUE such as site=north.')
  return [...before, [text.slice(0, at), text.slice(at + 1)]]
}

function rowOf({ id, match, until, by, reason }: Silence): string[] {
  return [id, shortTime(until), matchText(match), by, reason]
}

function matchText({ labels = {}, ...match }: SilenceMatch): string {
  return [...Object.entries(match), ...Object.entries(labels)].map(([name, value]) => `${name}=${value}`).join(' ')
}
