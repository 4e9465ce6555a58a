/** Makes one file of the simulation and the real code under it, with or without a planted bug, that plain Node can run. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { ROOT } from '../shell.mjs'

/**
 * @typedef {object} Plant A bug put in on purpose: texts that stand exactly once in their files, and what takes their place.
 * @property {string} name
 * @property {{file: string, find: string, replace: string}[]} edits
 */

/**
 * @param {Plant | null} plant
 * @returns {Promise<{file: string, remove: () => void}>}
 */
export async function bundle(plant = null) {
  const folder = join(ROOT, 'node_modules', '.cache', `picket-sim-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${plant ? plant.name.replaceAll(/\W+/g, '-') : 'sim'}.mjs`)
  const stale = new Set(plant?.edits ?? [])
  await build({
    entryPoints: [join(ROOT, 'test', 'sim', 'main.ts')],
    outfile: file,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    logLevel: 'silent',
    plugins: [inPlace(plant, stale)],
  })
  for (const edit of stale) throw new Error(`planted bug "${plant.name}": ${edit.file} is not part of the simulation`)
  return { file, remove: () => rmSync(file, { force: true }) }
}

/** Every module keeps its own URL, as schemas are found beside it; planted edits are made. */
function inPlace(plant, stale) {
  return {
    name: 'in place',
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const name = relative(ROOT, path)
        let text = readFileSync(path, 'utf8')
        for (const edit of plant?.edits ?? []) {
          if (edit.file !== name) continue
          if (text.split(edit.find).length !== 2)
            throw new Error(`planted bug "${plant.name}" is stale: its text does not stand exactly once in ${name}`)
          text = text.replace(edit.find, () => edit.replace)
          stale.delete(edit)
        }
        return { contents: text.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)), loader: 'ts' }
      })
    },
  }
}
