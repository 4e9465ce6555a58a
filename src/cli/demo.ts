/** `picket demo`: the verb. The work is in `demo/session.ts`, loaded only when run. */
import type { Command } from 'commander'
import type { CliIo } from './io.ts'
import { withConfig, wholeNumber } from './options.ts'
import type { ConfigOptions } from './options.ts'
import type { StartPicket } from './run.ts'

const DEMO_CONFIG = 'config/demo.yaml'
const SEED_MOST = 2 ** 31 - 1

export interface DemoOptions extends ConfigOptions {
  readonly seed?: number
  readonly seconds?: number
  readonly check?: boolean
  readonly json?: boolean
}

export function addDemo(program: Command, io: CliIo, start: StartPicket): void {
  withConfig(program.command('demo'), DEMO_CONFIG)
    .description('run Picket with a simulated fleet in which things go wrong; all of it is gone afterwards')
    .option('--seed <n>', 'draw the fleet and its faults from this (default: another each time)', wholeNumber(0, SEED_MOST))
    .option('--seconds <n>', 'end after so long (default: at Ctrl-C)', wholeNumber(1, 86_400))
    .option('--check', 'run until every fault should have been found; exit code 1 unless each was and no healthy device was quarantined')
    .option('--json', 'one JSON object a line')
    .action(async (options: DemoOptions) => {
      const { runDemo } = await import('./demo/session.ts')
      await runDemo(io, options, start)
    })
}
