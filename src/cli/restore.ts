/** `picket restore DIR`: a backup made the data folder of the configuration, which is empty or not there yet. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { described, timeOf, warnOfDamage } from './backup.ts'
import type { CliIo } from './io.ts'
import { dataFolder, withConfig } from './options.ts'
import type { ConfigOptions } from './options.ts'
import { visible } from './table.ts'

export function addRestore(program: Command, io: CliIo): void {
  withConfig(program.command('restore'))
    .description('make a backup the data folder, which must be empty or missing; the backup is checked first')
    .argument('<dir>', 'folder that picket backup made')
    .action(async (dir: string, options: ConfigOptions) => {
      const to = dataFolder(options, 'picket restore')
      const done = await io.backups.restore(dir, to)
      io.stdout.write(visible(`restored ${described(done)} as of ${timeOf(done)} from ${resolve(dir)} to ${resolve(to)}, checksums verified`) + '\n')
      warnOfDamage(io.stderr, done)
    })
}
