/** `picket quarantine` and `picket release`: what an operator asks of a running Picket about one device. */
import type { Command } from 'commander'
import { apiClient } from './api-client.ts'
import type { CliIo } from './io.ts'
import { apiToken, apiUrl, checkedLength, withUrl } from './options.ts'
import type { UrlOptions } from './options.ts'
import { visible } from './table.ts'

interface ReleaseOptions extends UrlOptions {
  readonly reason: string
}
interface QuarantineOptions extends ReleaseOptions {
  readonly for: string
  readonly force?: boolean
}

export function addQuarantine(program: Command, io: CliIo): void {
  withUrl(program.command('quarantine'))
    .description('cut a device off for a while')
    .argument('<device>')
    .requiredOption('--for <duration>', 'how long, such as 10m', checkedLength)
    .requiredOption('--reason <text>', 'why, for the ledger and the device')
    .option('--force', 'also where as many devices are quarantined as respond.quarantines allows at once')
    .action(async (device: string, options: QuarantineOptions) => {
      const body = { for: options.for, reason: options.reason, ...(options.force ? { force: true } : {}) }
      const accepted = await apiClient(io, apiUrl(options), apiToken(options)).post<Accepted>(resource(device, 'quarantine'), body)
      io.stdout.write(`quarantine of ${visible(device)} for ${options.for} is asked for: request ${accepted.request}\n`)
      warnUnchecked(io, device, accepted)
    })
}

export function addRelease(program: Command, io: CliIo): void {
  withUrl(program.command('release'))
    .description('end the quarantine of a device')
    .argument('<device>')
    .requiredOption('--reason <text>', 'why, for the ledger and the device')
    .action(async (device: string, options: ReleaseOptions) => {
      const accepted = await apiClient(io, apiUrl(options), apiToken(options)).post<Accepted>(resource(device, 'release'), { reason: options.reason })
      io.stdout.write(`release of ${visible(device)} is asked for: request ${accepted.request}\n`)
      warnUnchecked(io, device, accepted)
    })
}

interface Accepted {
  readonly request: string
  readonly unchecked?: boolean
}

function warnUnchecked({ stderr }: CliIo, device: string, { unchecked }: Accepted): void {
  if (unchecked) stderr.write(`no process that would know ${visible(device)} could be asked: look whether the name is right\n`)
}

function resource(device: string, action: 'quarantine' | 'release'): string {
  return `/api/v1/devices/${encodeURIComponent(device)}/${action}`
}
