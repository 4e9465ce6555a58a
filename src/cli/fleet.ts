/** `picket fleet`: the verb. The simulated fleet alone, at a broker that is there already; the work is in `demo/fleet-session.ts`, loaded only when run. */
import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import type { CliIo } from './io.ts'
import { wholeNumber } from './options.ts'

const SEED_MOST = 2 ** 31 - 1

export interface FleetOptions {
  readonly url: string
  /** File of lines `device:password`. */
  readonly passwords?: string
  readonly seed?: number
}

export function addFleet(program: Command, io: CliIo): void {
  program
    .command('fleet')
    .description('the simulated fleet alone, at an MQTT broker that is there already; each two minutes five things go wrong, until SIGTERM or SIGINT')
    .requiredOption('--url <url>', 'the broker, such as mqtt://127.0.0.1:1883', mqttUrl)
    .option('--passwords <file>', 'lines device:password, by which each device logs in under its name (default: nobody logs in)')
    .option('--seed <n>', 'draw the fleet and its faults from this (default: another each time)', wholeNumber(0, SEED_MOST))
    .action(async (options: FleetOptions) => {
      const { runFleet } = await import('./demo/fleet-session.ts')
      await runFleet(io, options)
    })
}

function mqttUrl(text: string): string {
  if (!URL.canParse(text) || !/^(mqtts?|wss?):$/.test(new URL(text).protocol)) throw new InvalidArgumentError('Expected a URL such as mqtt://127.0.0.1:1883.')
  return text
}
