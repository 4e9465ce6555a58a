/** One TypeScript entry → one file of plain JavaScript, because Node 20 does not run TypeScript: for the acceptance, the bench and the simulation. */
import { mkdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as esbuild from 'esbuild'
import { ROOT } from './shell.mjs'

/** Schemas are read beside the module that names them, wherever the bundle lies. */
const schemasInPlace = {
  name: 'schemas-in-place',
  setup(build) {
    build.onLoad({ filter: /src[\\/]log[\\/]schema\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      return { contents: text.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)), loader: 'ts' }
    })
  },
}

/** `entry` from the root of the checkout; returns the path of what to run. */
export async function bundle(entry, { name, plugins = [] }) {
  const folder = join(ROOT, 'node_modules', '.cache', 'picket')
  mkdirSync(folder, { recursive: true })
  const outfile = join(folder, `${name}.mjs`)
  await esbuild.build({
    entryPoints: [join(ROOT, entry)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    sourcemap: 'inline',
    logLevel: 'warning',
    plugins: [schemasInPlace, ...plugins],
  })
  return outfile
}
