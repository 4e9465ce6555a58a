#!/usr/bin/env node
/** Picks a command: brings the verbs together with the real terminal, network, clock and log. */
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import type { CliIo, Host, Output } from './cli/io.ts'
import { runCli } from './cli/program.ts'
import { connectMqtt } from './cli/publisher.ts'
import type { StartPicket } from './cli/run.ts'
import { systemClock } from './ops/clock.ts'
import { systemRandom } from './ops/random.ts'

const host: Host = {
  onSignal(each) {
    process.on('SIGINT', each)
    process.on('SIGTERM', each)
  },
  onReload(each) {
    process.on('SIGHUP', each)
  },
  onUncaught(each) {
    process.on('uncaughtException', each)
    process.on('unhandledRejection', each)
  },
  exit: (code) => process.exit(code),
  version: (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version,
  command: `node ${relative(process.cwd(), process.argv[1] ?? 'dist/main.js')}`,
}

function output(stream: NodeJS.WriteStream): Output {
  // The reader has left, as `| head` does: nothing more is owed to anybody.
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  const size = () => ({ columns: stream.columns ?? 80, rows: stream.rows ?? 24 })
  return { write: (text) => void stream.write(text), isTerminal: stream.isTTY === true, size }
}

const io: CliIo = {
  stdout: output(process.stdout),
  stderr: output(process.stderr),
  fetch,
  clock: systemClock,
  random: systemRandom,
  connect: connectMqtt,
  async openLog(config) {
    const { embedded, kafka } = config.log
    if (embedded) return (await import('./log/journal/reader.ts')).openJournalReader(embedded.path)
    return (await import('./start.ts')).openKafkaReader(kafka, config, { clock: systemClock, random: systemRandom })
  },
  backups: {
    backUp: async (from, to) => (await import('./log/journal/backup.ts')).backUp({ from, to, clock: systemClock }),
    restore: async (from, to) => (await import('./log/journal/restore.ts')).restoreBackup({ from, to, token: systemRandom.id() }),
  },
  host,
}

/** Loaded only by `run` and `demo`, so that the other verbs start fast. */
const start: StartPicket = async (config, ports) => (await import('./start.ts')).startPicket(config, ports)

const args = process.argv.slice(2)
const code = await runCli(args, io, start)
// A service that could not drain still holds sockets and timers; the other verbs end when all they print is out.
if (['run', 'demo', 'fleet'].includes(args[0] ?? '')) process.exit(code)
process.exitCode = code
