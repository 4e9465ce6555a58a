/** `picket check`: is the config good, and what does it amount to; with `--explain`, what is in force for one metric, and which line says so. */
import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import { loadWritten } from '../config/config.ts'
import { explain, type Explained } from '../config/explain.ts'
import { ConfigError, positionOf, type Problem } from '../config/problems.ts'
import type { DeviceView } from '../core/device.ts'
import { PipelineError } from '../core/errors.ts'
import { templatePieces } from '../core/topic-rule.ts'
import { apiClient } from './api-client.ts'
import { checkDiff } from './check-diff.ts'
import { summaryLines, summaryOf } from './check-summary.ts'
import type { CliIo } from './io.ts'
import { apiToken, httpUrl, withConfig } from './options.ts'
import type { UrlOptions } from './options.ts'
import { table, visible } from './table.ts'

interface Options extends UrlOptions {
  readonly explain?: readonly string[]
  readonly diff?: string | true
  readonly class?: string
  readonly site?: string
  readonly json?: boolean
}

export function addCheck(program: Command, io: CliIo): void {
  withConfig(program.command('check'))
    .description('say whether the configuration is good, and what it amounts to')
    .option('--explain <device metric...>', 'what is in force for one metric of a device, and which line says so', deviceMetric)
    .option('--diff [file]', 'what would change against the running Picket, or against FILE, and what each change needs')
    .option('--class <class>', 'of that device')
    .option('--site <site>', 'of that device')
    .addOption(new Option('--url <url>', 'with --explain, ask the Picket running there for class and site (default: those the name of the device tells); with --diff, that Picket (default: as the configuration says)').argParser(httpUrl))
    .option('--token <token>', 'what it wants to bear (default: PICKET_TOKEN of the environment)')
    .option('--json', 'one JSON object a line')
    .action(({ diff, ...options }: Options) => {
      if (diff !== undefined) return checkDiff(io, { ...options, diff })
      return options.explain ? explainOne(io, options) : check(io, options)
    })
}

/** Takes one word after the other. */
function deviceMetric(word: string, before: readonly string[] = []): readonly string[] {
  if (before.length === 2) throw new InvalidArgumentError('Expected one device and one metric.')
  return [...before, word]
}

/** Every secret must be in its place, as `run` wants it. Throws BAD_CONFIG. */
function check(io: CliIo, { config: file, set, json }: Options): void {
  try {
    const summary = summaryOf(loadWritten({ file, set }).config)
    io.stdout.write(json ? `${JSON.stringify(summary)}\n` : summaryLines(summary).map((line) => `${visible(line)}\n`).join(''))
  } catch (error) {
    if (json && error instanceof ConfigError) io.stdout.write(`${JSON.stringify({ ok: false, file, problems: error.problems.map(problemJson) })}\n`)
    throw error
  }
}

function problemJson({ place, key, text }: Problem) {
  const { file, line, column } = positionOf(place) ?? { file: null, line: null, column: null }
  return { place, file, line, column, key, text }
}

async function explainOne(io: CliIo, options: Options): Promise<void> {
  const [device, metric] = options.explain!
  if (device === undefined || metric === undefined) throw new PipelineError('BAD_CONFIG', '--explain needs a device and a metric, such as --explain pump-7 vibration.')
  const written = loadWritten({ file: options.config, set: options.set, unsetSecrets: 'leave' })
  const asker = await askerOf(io, options, device, written.config.sources[0]?.device ?? '{device}')
  const rows = explain(written, { class: asker.class.name, site: asker.site.name, device }, metric)
  if (options.json) {
    const about = { device, metric, class: asker.class.name, classFrom: asker.class.from, site: asker.site.name ?? null, siteFrom: asker.site.from }
    return io.stdout.write(rows.map(({ none: _, ...row }) => `${JSON.stringify({ ...about, ...row })}\n`).join(''))
  }
  const isNamed = Object.hasOwn(written.config.settings.classes, asker.class.name)
  const head = [
    `device ${device}, metric ${metric}`,
    `class  ${asker.class.name} (${HOW[asker.class.from]})${isNamed ? '' : ': not named in the configuration, so that default holds'}`,
    `site   ${asker.site.name ?? 'none'} (${HOW[asker.site.from]})`,
  ]
  io.stdout.write(`${head.map(visible).join('\n')}\n\n${table(['KEY', 'VALUE', 'FROM', 'WHERE'], rows.map(cells))}`)
}

function cells({ key, value, none, layer, place }: Explained): string[] {
  const shown = value === null ? none : typeof value === 'string' ? value || '""' : JSON.stringify(value)
  return [key, shown, layer, place ?? 'built in']
}

interface Known<Name> {
  readonly name: Name
  readonly from: keyof typeof HOW
}

/** How class and site are known. */
const HOW = {
  option: 'as given',
  running: 'as the running Picket has it',
  name: "from the device's name",
  assumed: 'assumed: give it, or --url of a running Picket that knows the device',
} as const

async function askerOf(io: CliIo, options: Options, device: string, template: string): Promise<{ class: Known<string>; site: Known<string | undefined> }> {
  const view = options.url === undefined ? null : await apiClient(io, options.url, apiToken(options)).get<DeviceView>(`/api/v1/devices/${encodeURIComponent(device)}`)
  const parts = partsOfName(template, device)
  const of = (name: 'class' | 'site', running: string | undefined): Known<string | undefined> => {
    if (options[name] !== undefined) return { name: options[name], from: 'option' }
    if (view) return { name: running, from: 'running' }
    if (parts[name] !== undefined) return { name: parts[name], from: 'name' }
    return { name: undefined, from: 'assumed' }
  }
  const klass = of('class', view?.labels['class'] ?? view?.class)
  return { class: { ...klass, name: klass.name ?? 'default' }, site: of('site', view?.labels['site']) }
}

/** The parts of a topic that a device's name tells, when it was made by the template; empty when it was not. */
function partsOfName(template: string, device: string): Readonly<Record<string, string | undefined>> {
  const pieces = templatePieces(template)
  const pattern = pieces.map(({ kind, text }) => (kind === 'text' ? text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&') : kind === 'part' ? '([^/]+)' : '.+')).join('')
  const found = new RegExp(`^${pattern}$`, 'su').exec(device)
  if (!found) return {}
  const parts = pieces.filter(({ kind }) => kind === 'part')
  return Object.fromEntries(parts.map(({ text }, index) => [text, found[index + 1]]))
}
