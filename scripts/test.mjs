/** `npm test [-- ARGUMENTS]` and `npm run fuzz`: prepares, then runs the tests; arguments go to vitest. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { prepare } from './prepare.mjs'
import { ROOT, script } from './shell.mjs'

/** Rubbish by the hundred thousand at each parser has a lane of its own. */
const FUZZ = 'fuzz.test.ts'

await script(prepare)
const [first, ...rest] = process.argv.slice(2)
const args = first === 'fuzz' ? [FUZZ, ...rest] : ['--exclude', `**/*.${FUZZ}`, ...(first === undefined ? [] : [first, ...rest])]
const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs')
process.argv = [process.execPath, vitest, 'run', ...args]
await import(pathToFileURL(vitest).href)
