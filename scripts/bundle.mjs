/** One TypeScript entry → one file of plain JavaScript, because Node 20 does not run TypeScript: for the acceptance, the bench and the simulation. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { ROOT } from './shell.mjs'

/**
 * @param {string} entry From the root of the checkout.
 * @param {object} options
 * @param {string} options.name Of the file made, in a folder of the cache.
 * @param {string} [options.folder] Of the cache; left out: the one all share.
 * @param {(file: string, text: string) => string} [options.edit] What becomes of a source file's text; its name is from the root.
 * @returns {Promise<string>} What to run.
 */
export async function bundle(entry, { name, folder = 'picket', edit = (_file, text) => text }) {
  const cache = join(ROOT, 'node_modules', '.cache', folder)
  mkdirSync(cache, { recursive: true })
  const outfile = join(cache, `${name}.mjs`)
  await build({
    entryPoints: [join(ROOT, entry)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    logLevel: 'silent',
    plugins: [inPlace(edit)],
  })
  return outfile
}

/** Every module keeps its own URL, as schemas are found beside it. */
function inPlace(edit) {
  return {
    name: 'in place',
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const text = edit(relative(ROOT, path), readFileSync(path, 'utf8'))
        return { contents: text.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)), loader: 'ts' }
      })
    },
  }
}
