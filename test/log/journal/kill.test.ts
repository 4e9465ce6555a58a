/** A real process on a real disk, killed with SIGKILL again and again; and the lock it leaves. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as esbuild from 'esbuild'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openJournal } from '../../../src/log/journal/journal.ts'
import { openJournalReader } from '../../../src/log/journal/reader.ts'
import { systemClock } from '../../../src/ops/clock.ts'
import { systemRandom } from '../../../src/ops/random.ts'
import { areOf, SMALL_FILES } from './pages.ts'
import { dice, own, values } from './rig.ts'

const KILLS = 12
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const cache = here('../../../node_modules/.cache/picket')
const program = join(cache, `journal-child-${process.pid}.mjs`)
const folders: string[] = []
const children: ChildProcess[] = []

/** Node 20 does not run TypeScript; schemas are read from where they are. */
beforeAll(async () => {
  mkdirSync(cache, { recursive: true })
  const schemasInPlace: esbuild.Plugin = {
    name: 'schemas-in-place',
    setup(build) {
      build.onLoad({ filter: /src[\\/]log[\\/]schema\.ts$/ }, async ({ path }) => {
        const source = await readFile(path, 'utf8')
        return { contents: source.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)), loader: 'ts' }
      })
    },
  }
  const options = { bundle: true, platform: 'node', format: 'esm', target: 'node20', packages: 'external' } as const
  await esbuild.build({ entryPoints: [here('./child.ts')], outfile: program, plugins: [schemasInPlace], ...options })
})

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

afterAll(() => rmSync(program, { force: true }))

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'picket-journal-'))
  folders.push(folder)
  return folder
}

/** Starts a writer; resolves to it and its lines once it has committed something. */
async function startWriter(folder: string, first: number) {
  const child = spawn(process.execPath, [program, folder, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => {
    const line = await lines.next()
    if (line.done) throw new Error('the writer ended')
    return Number(line.value)
  }
  const rest = async (last: number) => {
    for (let line = await lines.next(); !line.done; line = await lines.next()) last = Number(line.value)
    return last
  }
  return { child, next, rest, last: await next() }
}

const options = (path: string) => ({ path, partitions: 1, key: 'device', clock: systemClock, random: systemRandom, ...SMALL_FILES })

describe('kill −9', () => {
  it('loses nothing that was committed, and never leaves half a commit', async () => {
    const folder = makeFolder()
    const die = dice(20)
    let next = 1
    for (let kill = 0; kill < KILLS; kill++) {
      const writer = await startWriter(folder, next)
      let last = writer.last
      for (let more = Math.floor(die() * 12); more > 0; more--) last = await writer.next()
      writer.child.kill('SIGKILL')
      last = await writer.rest(last)
      const journal = await openJournal(options(folder))
      const owner = await own(journal, 0)
      const at = owner.restored.next.get('readings/0') ?? 0
      expect(at).toBeGreaterThanOrEqual(last)
      expect(areOf(owner.rows, at)).toBe(true)
      const incidents = new Set(await values(journal, 'incidents', 0))
      const frames = new Set(await values(journal, 'readings', 0))
      for (let n = 1; n <= at; n++) expect([incidents.has(`incident ${n}`), frames.has(`frame ${n}`)]).toEqual([true, true])
      expect(journal.stats().damaged.filter(({ what }) => what !== 'torn' && what !== 'group')).toEqual([])
      await owner.stop()
      await journal.close()
      next = at + 1
    }
  }, 60_000)
})

describe('two processes on one folder', () => {
  it('the second is refused by name, until the first is dead; a reader alone opens beside it', async () => {
    const folder = makeFolder()
    const { child, last } = await startWriter(folder, 1)
    const refusal = openJournal(options(folder))
    await expect(refusal).rejects.toMatchObject({ code: 'LOCKED', retriable: false })
    await expect(refusal).rejects.toThrow(new RegExp(`${folder}.*process ${child.pid}`))
    const reader = await openJournalReader(folder)
    expect((await reader.bounds('incidents', 0)).high).toBeGreaterThanOrEqual(last)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const journal = await openJournal(options(folder))
    await journal.close()
  }, 20_000)
})
