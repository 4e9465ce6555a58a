/** `npm run test:node -- VERSION [ARGUMENTS]`: the unit tests under another Node, fetched by npx; arguments go to vitest. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { prepare } from './prepare.mjs'
import { ROOT, script } from './shell.mjs'

/** Left to the Node that everything runs on: simulations, rubbish by the hundred thousand, and what is about the text of the project. */
const LEFT_OUT = ['**/*.fuzz.test.ts', 'test/sim/**', 'test/tidy/**', 'test/tidy.test.ts']

await script(async () => {
  const [version, ...options] = process.argv.slice(2)
  if (!/^\d+(\.\d+){0,2}$/.test(version ?? '')) throw new Error('which Node? such as: npm run test:node -- 24')
  prepare()
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs')
  const args = ['--yes', `node@${version}`, vitest, 'run', ...LEFT_OUT.flatMap((glob) => ['--exclude', glob]), ...options]
  const { status, signal } = spawnSync('npx', args, { cwd: ROOT, stdio: 'inherit' })
  if (status !== 0) throw new Error(`the tests failed under Node ${version} (${signal ?? `exit code ${status}`})`)
})
