/** Makes a checkout ready to run: installs and builds what is missing or stale, and is done at once when nothing is. */
import { existsSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { builtFrom, compile, fingerprint } from './compile.mjs'
import { ROOT, run, say } from './shell.mjs'

const LOCK = join(ROOT, 'package-lock.json')
/** npm writes it last, so an install that was cut off has none. */
const INSTALLED = join(ROOT, 'node_modules', '.package-lock.json')

/** Throws with the output of what failed. */
export function prepare() {
  if (installIsStale()) {
    say('installing dependencies (npm ci)')
    install()
  }
  if (builtFrom() !== fingerprint()) {
    say('building dist')
    compile()
  }
}

function installIsStale() {
  return !existsSync(INSTALLED) || statSync(INSTALLED).mtimeMs < statSync(LOCK).mtimeMs
}

/** By the very npm that runs us, if one does. The compiler is a development dependency, so none may be left out. */
function install() {
  const npm = process.env.npm_execpath
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--no-progress', '--loglevel=error']
  if (npm) run(process.execPath, [npm, ...args])
  else run('npm', args)
  const now = new Date()
  utimesSync(INSTALLED, now, now)
}
