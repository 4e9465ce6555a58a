/** The command line as a whole: its verbs, and the exit code each ends with. */
import { Command, CommanderError } from 'commander'
import { errorText, isPipelineError } from '../core/errors.ts'
import { addAudit } from './audit.ts'
import { addBackup } from './backup.ts'
import { addCheck } from './check.ts'
import { addDemo } from './demo.ts'
import { addDevices } from './devices.ts'
import { addEnforcement } from './enforcement.ts'
import { addFleet } from './fleet.ts'
import { addIncidents } from './incidents.ts'
import { Failure } from './io.ts'
import type { CliIo } from './io.ts'
import { addLog } from './log-read.ts'
import { addQuarantine, addRelease } from './quarantine.ts'
import { addReload } from './reload.ts'
import { addReplay } from './replay.ts'
import { addRestore } from './restore.ts'
import { addRun } from './run.ts'
import type { StartPicket } from './run.ts'
import { addSchema } from './schema.ts'
import { addSilence, addSilences, addUnsilence } from './silence.ts'
import { visible } from './table.ts'

const EXIT_OK = 0
const EXIT_FAILED = 1
/** Wrong usage or configuration. */
const EXIT_USAGE = 2
/** What commander ends a command with that did what it was asked. */
const ASKED_FOR = new Set(['commander.helpDisplayed', 'commander.version'])

/** Runs one verb to its end. Never rejects. */
export async function runCli(args: readonly string[], io: CliIo, start: StartPicket): Promise<number> {
  try {
    await buildProgram(io, start).parseAsync(args, { from: 'user' })
    return EXIT_OK
  } catch (error) {
    return exitCode(error, io)
  }
}

function buildProgram(io: CliIo, start: StartPicket): Command {
  const program = new Command('picket')
    .description('watches the telemetry of device fleets in real time, finds what is wrong, and fences it off')
    .version(io.host.version, '--version', 'print the version')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    .showHelpAfterError('(--help says more)')
  addRun(program, io, start)
  addDemo(program, io, start)
  addFleet(program, io)
  addCheck(program, io)
  addSchema(program, io)
  addReplay(program, io)
  addLog(program, io)
  addAudit(program, io)
  addBackup(program, io)
  addRestore(program, io)
  addIncidents(program, io)
  addDevices(program, io)
  addQuarantine(program, io)
  addRelease(program, io)
  addSilence(program, io)
  addSilences(program, io)
  addUnsilence(program, io)
  addEnforcement(program, io)
  addReload(program, io)
  return program
}

/** Says what went wrong, where commander has not yet. */
function exitCode(error: unknown, io: CliIo): number {
  if (error instanceof CommanderError) return ASKED_FOR.has(error.code) ? EXIT_OK : EXIT_USAGE
  const isExpected = error instanceof Failure || isPipelineError(error)
  const text = !isExpected && error instanceof Error ? (error.stack ?? error.message) : errorText(error)
  io.stderr.write(`picket: ${text.split('\n').map(visible).join('\n')}\n`)
  return isPipelineError(error, 'BAD_CONFIG', 'PARTITIONS_CHANGED') ? EXIT_USAGE : EXIT_FAILED
}
