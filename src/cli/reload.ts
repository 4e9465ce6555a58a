/** `picket reload`: a running Picket reads its file again; what changes, what needs a restart, and each partition as it goes over. */
import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import type { Reloaded } from '../api/config-door.ts'
import { effectText } from '../config/difference.ts'
import { duration } from '../config/notation.ts'
import type { ConfigView, PartitionConfig } from '../core/standing.ts'
import { delay } from '../ops/clock.ts'
import { apiClient } from './api-client.ts'
import type { ApiClient } from './api-client.ts'
import { differenceCells, DIFFERENCE_HEADER } from './check-diff.ts'
import { Failure } from './io.ts'
import type { CliIo } from './io.ts'
import { apiToken, apiUrl, withUrl } from './options.ts'
import type { UrlOptions } from './options.ts'
import { table, visible } from './table.ts'

interface Options extends UrlOptions {
  readonly timeout: number
  readonly json?: boolean
}

const RESOURCE = '/api/v1/reload'
const LOOK_MS = 200
const TIMEOUT_MS = 60_000

export function addReload(program: Command, io: CliIo): void {
  withUrl(program.command('reload'))
    .description('let a running Picket read its configuration again, and show each partition as it goes over to what changed')
    .addOption(new Option('--timeout <length>', 'how long the partitions may take').argParser(milliseconds).default(TIMEOUT_MS, '60s'))
    .option('--json', 'one JSON object a line: what is in force, then each partition')
    .action((options: Options) => reload(io, options))
}

async function reload(io: CliIo, options: Options): Promise<void> {
  const client = apiClient(io, apiUrl(options), apiToken(options))
  const reloaded = await client.post<Reloaded>(RESOURCE, {})
  tell(io, reloaded, options)
  await follow(io, client, reloaded, options)
}

function milliseconds(text: string): number {
  const length = duration('1s', '1h').safeParse(text)
  if (!length.success) throw new InvalidArgumentError(`Expected ${length.error.issues[0]?.message}.`)
  return length.data
}

function tell(io: CliIo, { version, hash, isNew, changed }: Reloaded, { json }: Options): void {
  if (json) return io.stdout.write(`${JSON.stringify({ version, hash, isNew, changed })}\n`)
  if (changed.length > 0) io.stdout.write(`${table(DIFFERENCE_HEADER, changed.map(differenceCells))}\n`)
  const isTaken = changed.some(({ does }) => does === 'reload')
  const restarts = [...new Set(changed.filter(({ roles, does }) => roles.length > 0 || does === 'refused').map(effectText))]
  const lines = [
    isNew ? `version ${version} goes to every partition, hash ${hash}` : `${changed.length === 0 ? 'nothing changed' : 'no new version'}: version ${version} stays in force, hash ${hash}`,
    ...(isTaken ? ['respond goes by the new values of respond and notify'] : []),
    ...restarts.map((restart) => `still to do: ${restart}`),
  ]
  io.stdout.write(lines.map((line) => `${visible(line)}\n`).join(''))
}

/** Each partition once it has gone over. Throws Failure with those that have not in time, and why that may be. */
async function follow(io: CliIo, client: ApiClient, reloaded: Reloaded, { timeout, json }: Options): Promise<void> {
  const end = io.clock.monotonic() + timeout
  const told = new Set<number>()
  for (let view: ConfigView = reloaded; ; ) {
    const over = view.partitions.filter((one) => isOver(one, reloaded.version) && !told.has(one.partition))
    for (const one of over) {
      told.add(one.partition)
      // Nothing was to be done: nobody waits for it.
      if (json || reloaded.isNew || view !== reloaded) io.stdout.write(json ? `${JSON.stringify(one)}\n` : overLine(one))
    }
    const left = view.partitions.filter(({ partition }) => !told.has(partition))
    if (left.length === 0) return
    if (io.clock.monotonic() >= end) throw new Failure(lateText(left, reloaded.version, timeout))
    await delay(io.clock, LOOK_MS)
    // Who leads may change meanwhile.
    view = (await client.get<ConfigView>(RESOURCE).catch(failureAsNull)) ?? view
  }
}

function failureAsNull(error: unknown): null {
  if (!(error instanceof Failure)) throw error
  return null
}

/** A later version does as well. */
function isOver({ state, version }: PartitionConfig, wanted: number): boolean {
  return state === 'switched' || (version ?? 0) >= wanted
}

function overLine({ partition, version, position }: PartitionConfig): string {
  return `readings/${partition} obeys version ${version}${position === null ? '' : ` from offset ${position}`}\n`
}

const WHY: Readonly<Record<PartitionConfig['state'], string>> = {
  unknown: 'no detect has said which topic it is, so that respond can write nothing to it: is a detect running that may write to incidents?',
  pending: "respond has not written the record yet: see respond's log and /readyz",
  written: 'the record is written and detect has not come to it: is a detect running that owns the partition, and does its picket_lag_records fall?',
  switched: 'it has switched',
}

function lateText(left: readonly PartitionConfig[], wanted: number, timeout: number): string {
  const lines = left.map(({ partition, version, state }) => `readings/${partition} ${version === null ? 'has said nothing yet' : `obeys version ${version}`}: ${WHY[state]}`)
  return [`not all partitions obey version ${wanted} after ${timeout / 1000} s; they go over by themselves, and picket reload shows it again`, ...lines].join('\n')
}
