/** `picket devices [DEVICE]`: what a running Picket watches, and how each is. */
import type { Command } from 'commander'
import type { DeviceView } from '../core/device.ts'
import { apiClient } from './api-client.ts'
import { deviceRows } from './device-rows.ts'
import type { CliIo } from './io.ts'
import { apiToken, apiUrl, withUrl } from './options.ts'
import type { UrlOptions } from './options.ts'
import { printRows } from './print.ts'
import { shortTime } from './table.ts'

interface Options extends UrlOptions {
  readonly json?: boolean
}

export function addDevices(program: Command, io: CliIo): void {
  withUrl(program.command('devices'))
    .description('list devices, or one; asks every process that has some')
    .argument('[device]', 'one device')
    .option('--json', 'one JSON object a line')
    .action(async (device: string | undefined, options: Options) => {
      const token = apiToken(options)
      const url = apiUrl(options)
      const one = () => apiClient(io, url, token).get<DeviceView>(`/api/v1/devices/${encodeURIComponent(device!)}`)
      const rows = device === undefined ? deviceRows({ clientAt: (at) => apiClient(io, at, token), stderr: io.stderr }, url) : [await one()]
      await printRows(io, rows, { json: options.json === true, header: HEADER, row: rowOf, none: 'no devices yet: the first message of one makes it known' })
    })
}

const HEADER = ['DEVICE', 'CLASS', 'STATE', 'LAST SEEN', 'METRICS']
/** Metrics shown in a row; --json has all. */
const SHOWN = 4

function rowOf(device: DeviceView): string[] {
  const metrics = Object.entries(device.metrics)
  const shown = metrics.slice(0, SHOWN).map(([name, value]) => `${name}=${typeof value === 'number' ? Number(value.toPrecision(5)) : value}`)
  const more = metrics.length > SHOWN ? ` +${metrics.length - SHOWN}` : ''
  const state = device.state === 'learning' ? `learning ${Math.round(device.learning * 100)} %` : device.state
  return [device.id, device.class, state, shortTime(device.lastSeen), `${shown.join(' ')}${more}`]
}
