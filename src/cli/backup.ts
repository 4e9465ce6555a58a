/** `picket backup DIR`: the data folder copied as it stands, beside a running Picket or without one. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { BackupSummary } from './backups.ts'
import { Failure } from './io.ts'
import type { CliIo, Output } from './io.ts'
import { dataFolder, withConfig } from './options.ts'
import type { ConfigOptions } from './options.ts'
import { visible } from './table.ts'

/** Damaged places named; further ones are counted. */
const DAMAGE_NAMED = 20
const MIB = 1024 * 1024

export function addBackup(program: Command, io: CliIo): void {
  withConfig(program.command('backup'))
    .description('copy the data folder as it stands, beside a running Picket; the copy is checked')
    .argument('<dir>', 'folder for the backup: new, or empty')
    .action(async (dir: string, options: ConfigOptions) => {
      const from = dataFolder(options, 'picket backup')
      const done = await io.backups.backUp(from, dir)
      io.stdout.write(visible(`backed up ${described(done)} of ${resolve(from)} as flushed at ${timeOf(done)} to ${resolve(dir)}, checksums verified`) + '\n')
      warnOfDamage(io.stderr, done)
      if (done.damaged.length > 0) throw new Failure(`the backup was made, but ${done.damaged.length} places were damaged already in the data folder, and are in it as they were`)
    })
}

export function described({ files, bytes }: BackupSummary): string {
  return `${files} files (${(bytes / MIB).toFixed(1)} MiB)`
}

export function timeOf({ made }: BackupSummary): string {
  return new Date(made).toISOString()
}

export function warnOfDamage(stderr: Output, { damaged }: BackupSummary): void {
  for (const { file, at, detail } of damaged.slice(0, DAMAGE_NAMED)) stderr.write(`${visible(`damaged: ${file} at byte ${at}: ${detail}`)}\n`)
  if (damaged.length > DAMAGE_NAMED) stderr.write(`damaged: ${damaged.length - DAMAGE_NAMED} more places\n`)
}
