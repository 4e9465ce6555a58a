/** Makes one file of the simulation and the real code under it, with or without a planted bug, that plain Node can run. */
import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { bundle } from '../bundle.mjs'

/**
 * @typedef {object} Plant A bug put in on purpose: texts that stand exactly once in their files, and what takes their place.
 * @property {string} name
 * @property {{file: string, find: string, replace: string}[]} edits
 */

/**
 * @param {Plant | null} plant
 * @returns {Promise<{file: string, remove: () => void}>}
 */
export async function bundleSimulation(plant = null) {
  const stale = new Set(plant?.edits ?? [])
  const edit = (name, text) => (plant?.edits ?? []).filter((one) => one.file === name).reduce((edited, one) => planted(plant, one, edited, stale), text)
  const file = await bundle('test/sim/main.ts', { name: plant ? plant.name.replaceAll(/\W+/g, '-') : 'sim', folder: `picket-sim-${process.pid}`, edit })
  for (const one of stale) throw new Error(`planted bug "${plant.name}": ${one.file} is not part of the simulation`)
  return { file, remove: () => rmSync(dirname(file), { recursive: true, force: true }) }
}

function planted(plant, edit, text, stale) {
  if (text.split(edit.find).length !== 2)
    throw new Error(`planted bug "${plant.name}" is stale: its text does not stand exactly once in ${edit.file}`)
  stale.delete(edit)
  return text.replace(edit.find, () => edit.replace)
}
