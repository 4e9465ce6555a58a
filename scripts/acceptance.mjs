/** `npm run acceptance NAME [-- options]`: runs test/acceptance/NAME.ts against the built service; all of them with no name. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { prepare } from './prepare.mjs'
import { ROOT, script } from './shell.mjs'

const NAMES = ['skeleton', 'kill-switch', 'skab', 'demo', 'full-disk', 'backup']

await script(async () => {
  const [name, ...options] = process.argv.slice(2)
  const names = name ? [name] : NAMES
  for (const each of names)
    if (!existsSync(join(ROOT, `test/acceptance/${each}.ts`))) throw new Error(`no acceptance named ${each}; there are ${NAMES.join(', ')}`)
  prepare()
  const { bundle } = await import('./bundle.mjs')
  for (const each of names) {
    const entry = await bundle(`test/acceptance/${each}.ts`, { name: `acceptance-${each}` })
    const { status, signal } = spawnSync(process.execPath, [entry, ...options], { cwd: ROOT, stdio: 'inherit' })
    if (status !== 0) throw new Error(`acceptance ${each} failed (${signal ?? `exit code ${status}`})`)
  }
})
