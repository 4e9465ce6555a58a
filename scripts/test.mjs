/** `npm test [-- ARGUMENTS]`: prepares, then runs every test there is; arguments go to vitest. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { prepare } from './prepare.mjs'
import { ROOT, script } from './shell.mjs'

await script(prepare)
const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs')
process.argv = [process.execPath, vitest, 'run', ...process.argv.slice(2)]
await import(pathToFileURL(vitest).href)
