/** `npm run build`: installs and builds where stale. */
import { prepare } from './prepare.mjs'
import { say, script } from './shell.mjs'

await script(() => {
  prepare()
  say('dist is built')
})
