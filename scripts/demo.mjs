/** `npm run demo [-- ARGUMENTS]`: prepares, then becomes `picket demo ARGUMENTS` in this very process: signals and exit code are its own. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { prepare } from './prepare.mjs'
import { DIST, script } from './shell.mjs'

await script(prepare)
const main = join(DIST, 'main.js')
process.argv = [process.execPath, main, 'demo', ...process.argv.slice(2)]
await import(pathToFileURL(main).href)
