/** `npm run acceptance NAME [-- options]`: runs test/acceptance/NAME.ts against the built service; all of them, two at a time, with no name. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { prepare } from './prepare.mjs'
import { ROOT, say, script } from './shell.mjs'

/** In this order: the longest ones first, so that none is left to run alone at the end. */
const NAMES = ['skeleton', 'demo', 'kill-switch', 'backup', 'full-disk', 'skab']
/** Most of their time is waiting. */
const AT_ONCE = 2

/** Throws when it failed. Run alone it speaks as it goes; beside another, all at its end. */
async function runOne(name, options, isAlone) {
  const { bundle } = await import('./bundle.mjs')
  const entry = await bundle(`test/acceptance/${name}.ts`, { name: `acceptance-${name}` })
  const began = performance.now()
  const child = spawn(process.execPath, [entry, ...options], { cwd: ROOT, stdio: isAlone ? 'inherit' : ['ignore', 'pipe', 'pipe'] })
  const said = []
  child.stdout?.on('data', (chunk) => said.push(chunk))
  child.stderr?.on('data', (chunk) => said.push(chunk))
  const [code, signal] = await new Promise((resolve) => child.once('close', (...ended) => resolve(ended)))
  process.stdout.write(Buffer.concat(said))
  if (code !== 0) throw new Error(`acceptance ${name} failed (${signal ?? `exit code ${code}`})`)
  if (!isAlone) say(`acceptance ${name} passed in ${((performance.now() - began) / 1000).toFixed(0)} s`)
}

async function runAll() {
  const waiting = [...NAMES]
  const failures = []
  const worker = async () => {
    for (let name = waiting.shift(); name; name = waiting.shift()) await runOne(name, [], false).catch((error) => failures.push(error.message))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  if (failures.length > 0) throw new Error(failures.join('; '))
}

await script(async () => {
  const [name, ...options] = process.argv.slice(2)
  if (name && !existsSync(join(ROOT, `test/acceptance/${name}.ts`))) throw new Error(`no acceptance named ${name}; there are ${NAMES.join(', ')}`)
  prepare()
  if (name) await runOne(name, options, true)
  else await runAll()
})
