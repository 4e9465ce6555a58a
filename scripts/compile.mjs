/** Compiles `src` and puts what it reads at run time beside it, as a new `dist` that replaces the old one whole. */
import { createHash } from 'node:crypto'
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DIST, ROOT, run } from './shell.mjs'

/** In `dist`: the fingerprint of what it was built from. */
const STAMP = '.built'

/** Names and contents of what `dist` is made of, so that neither a touched nor a deleted file misleads. */
export function fingerprint() {
  const hash = createHash('sha256')
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
  for (const file of [...['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'].map((name) => join(ROOT, name)), ...sources]) {
    hash
      .update(`${file.slice(ROOT.length)}\0`)
      .update(readFileSync(file))
      .update('\0')
  }
  return hash.digest('hex')
}

/** The fingerprint `dist` was built from; '' where there is none. */
export function builtFrom() {
  const stamp = join(DIST, STAMP)
  return existsSync(stamp) ? readFileSync(stamp, 'utf8') : ''
}

/** Throws with the compiler's words; `dist` is then as it was. */
export function compile() {
  const stamp = fingerprint()
  const cache = join(ROOT, 'node_modules', '.cache')
  const fresh = join(cache, `picket-build-${process.pid}`)
  mkdirSync(cache, { recursive: true })
  try {
    run(process.execPath, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json', '--outDir', fresh])
    cpSync(join(ROOT, 'src'), fresh, { recursive: true, filter: (from) => !from.endsWith('.ts') })
    const main = join(fresh, 'main.js')
    if (existsSync(main)) chmodSync(main, 0o755)
    writeFileSync(join(fresh, STAMP), stamp)
    replaceDist(fresh)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/** Two starts at once may both have built: the later one wins. */
function replaceDist(fresh) {
  const old = `${fresh}-old`
  for (let attempt = 1; ; attempt++) {
    rmSync(old, { recursive: true, force: true })
    if (existsSync(DIST)) renameSync(DIST, old)
    try {
      renameSync(fresh, DIST)
      return rmSync(old, { recursive: true, force: true })
    } catch (error) {
      if (error.code !== 'ENOTEMPTY' || attempt === 5) throw error
    }
  }
}
