/** `npm run bench NAME [-- options]`: runs bench/NAME.ts over the built service, and prints its figures with machine, Node and date. */
import { existsSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { prepare } from './prepare.mjs'
import { ROOT, say, script } from './shell.mjs'

await script(async () => {
  const [name = '', ...options] = process.argv.slice(2)
  if (!existsSync(join(ROOT, `bench/${name}.ts`))) throw new Error(`no bench named ${name || '(none)'}; there are skeleton, journal, prototype`)
  prepare()
  const { bundle } = await import('./bundle.mjs')
  const entry = await bundle(`bench/${name}.ts`, { name: `bench-${name}` })
  say(`${cpus().length} × ${cpus()[0].model}, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`)
  const { status, signal } = spawnSync(process.execPath, ['--expose-gc', entry, ...options], { cwd: ROOT, stdio: 'inherit' })
  if (status !== 0) throw new Error(`bench ${name} failed (${signal ?? `exit code ${status}`})`)
})
