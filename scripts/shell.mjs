/** What the scripts of this folder share: where the checkout is, how they speak, and how they run a command to its end. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))
export const DIST = join(ROOT, 'dist')

export function say(line) {
  process.stderr.write(`picket: ${line}\n`)
}

/** Throws, with all it printed, when it fails. */
export function run(command, args) {
  const options = { cwd: ROOT, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, options)
  if (status === 0) return
  const why = error?.message ?? signal ?? `exit code ${status}`
  throw new Error(`${command} ${args.join(' ')} failed (${why})\n${stdout ?? ''}${stderr ?? ''}`)
}

/** Runs a script's body; a failure is one message and exit code 1, no stack. */
export async function script(body) {
  try {
    await body()
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    process.exit(1)
  }
}
