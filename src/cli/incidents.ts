/** `picket incidents [ID]`: what is odd, or was, at a running Picket. */
import { Option } from 'commander'
import type { Command } from 'commander'
import type { Incident } from '../core/incident.ts'
import { apiClient } from './api-client.ts'
import type { CliIo } from './io.ts'
import { apiToken, apiUrl, withUrl } from './options.ts'
import type { UrlOptions } from './options.ts'
import { printRows } from './print.ts'
import { shortTime, table } from './table.ts'

interface Options extends UrlOptions {
  readonly state?: string
  readonly device?: string
  readonly group?: boolean
  readonly json?: boolean
}

export function addIncidents(program: Command, io: CliIo): void {
  withUrl(program.command('incidents'))
    .description('list incidents, newest first, or one with its votes')
    .argument('[id]', 'one incident')
    .addOption(new Option('--state <state>', 'only these').choices(['open', 'closed']))
    .option('--device <device>', 'only those of this device')
    .option('--group', 'those of one device together, the device with the newest first')
    .option('--json', 'one JSON object a line')
    .action(async (id: string | undefined, options: Options) => {
      const client = apiClient(io, apiUrl(options), apiToken(options))
      if (id !== undefined) return showOne(io, await client.get(`/api/v1/incidents/${encodeURIComponent(id)}`), options)
      const query = { ...(options.state === undefined ? {} : { state: options.state }), ...(options.device === undefined ? {} : { device: options.device }) }
      const incidents = client.list<Shown>('/api/v1/incidents', query, 'incidents')
      const rows = options.group ? await grouped(incidents) : incidents
      await printRows(io, rows, { json: options.json === true, header: HEADER, row: rowOf, none: 'no incidents' })
    })
}

const HEADER = ['ID', 'OPENED', 'STATE', 'SEVERITY', 'CAUSE', 'CLASS', 'DEVICE', 'SUMMARY']

type Shown = Incident & { readonly silencedBy?: readonly string[] }

/** Of what the board keeps, some 20,000, so it may be held whole. */
async function grouped(incidents: AsyncIterable<Shown>): Promise<Shown[]> {
  const byDevice = new Map<string, Shown[]>()
  for await (const incident of incidents) {
    const others = byDevice.get(incident.device)
    if (others) others.push(incident)
    else byDevice.set(incident.device, [incident])
  }
  return [...byDevice.values()].flat()
}

function rowOf(incident: Shown): string[] {
  const { id, openedAt, severity, cause, device, summary } = incident
  const state = incident.silencedBy ? `${incident.state}, silenced` : incident.state
  return [id, shortTime(openedAt), state, severity, cause, incident.class, device, summary]
}

/** Digits that a person reads; --json has all. */
const DIGITS = 4

function shortNumber(value: number | null): string {
  return value === null ? '–' : String(Number(value.toPrecision(DIGITS)))
}

function showOne(io: CliIo, incident: Incident, { json }: Options): void {
  if (json) return io.stdout.write(`${JSON.stringify(incident)}\n`)
  io.stdout.write(table(HEADER, [rowOf(incident)]))
  const votes = incident.votes.map(({ detector, metric, surprise, observed, expected: [low, high] }) => [
    detector,
    metric || '(all)',
    surprise.toFixed(1),
    shortNumber(observed),
    `${shortNumber(low)} to ${shortNumber(high)}`,
  ])
  io.stdout.write(`\n${table(['DETECTOR', 'METRIC', 'SURPRISE', 'OBSERVED', 'EXPECTED'], votes)}`)
}
