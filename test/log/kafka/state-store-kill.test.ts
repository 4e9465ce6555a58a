/** A process that commits to a real Kafka, killed with SIGKILL inside its commits again and again. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import * as esbuild from 'esbuild'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { openFeeds } from '../../../src/log/kafka/feeds.ts'
import { openStateStore } from '../../../src/log/kafka/state-store.ts'
import type { StoredRecord } from '../../../src/log/log.ts'
import { KAFKA_VERSIONS } from '../../../scripts/kafka-jars.mjs'
import { dice } from '../journal/rig.ts'
import { withKafka } from '../../parts/suites.ts'
import type { ReadingRig } from './reading-rig.ts'
import { never, values } from './reading-rig.ts'
import { shareRig } from './writing-rig.ts'

const KILLS = 12
const LONGEST_LIFE_MS = 60
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const cache = here('../../../node_modules/.cache/picket')
const program = join(cache, `kafka-child-${process.pid}.mjs`)
const children: ChildProcess[] = []
const ends: (() => Promise<void>)[] = []

/** Node 20 does not run TypeScript. */
beforeAll(async () => {
  mkdirSync(cache, { recursive: true })
  await esbuild.build({ entryPoints: [here('./state-store-child.ts')], outfile: program, bundle: true, platform: 'node', format: 'esm', target: 'node20', packages: 'external' })
})

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const end of ends.splice(0).toReversed()) await end()
})

afterAll(() => rmSync(program, { force: true }))

/** Lets a child commit for `lifeMs` after its first commit and kills it; gives the last commit that it said was made. */
async function live(broker: string, prefix: string, lifeMs: number): Promise<number> {
  const child = spawn(process.execPath, [program, broker, prefix], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  let last = 0
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => (last = Number(line)))
  const closed = once(lines, 'close')
  await Promise.race([once(lines, 'line'), closed.then(() => expect.fail('the child ended by itself'))])
  await pause(lifeMs)
  child.kill('SIGKILL')
  await closed
  return last
}

/** A new owner, and what it finds. */
async function takeOver(rig: ReadingRig) {
  const feeds = openFeeds(rig.options)
  const store = openStateStore({ options: rig.options, feeds, topic: 'state', partition: 0, transactionalId: `${rig.options.prefix}detect-0` })
  ends.push(() => feeds.close(), () => store.close())
  await store.fence()
  const numbers = new Map<string, number>()
  await store.read((key, value) => numbers.set(key, Number.parseInt(Buffer.from(value.subarray(0, 20)).toString(), 10)))
  const incidents: StoredRecord[] = []
  await feeds.readAll('incidents', 0, (one) => incidents.push(one), never)
  return { header: numbers.get('header') ?? 0, pages: [...numbers.values()], incidents: values(incidents).map(Number) }
}

withKafka('kill −9 inside commits', (kafka) => {
  it(`${KILLS} times leaves none torn, and loses none that was made`, async () => {
    const rig = await shareRig(kafka.brokers, ['state', 'incidents'])
    ends.push(() => rig.close())
    const die = dice(9)
    let cut = 0
    for (let kill = 0; kill < KILLS; kill++) {
      const made = await live(kafka.brokers[0]!, rig.options.prefix, die() * LONGEST_LIFE_MS)
      const { header, pages, incidents } = await takeOver(rig)
      expect(header).toBeGreaterThanOrEqual(made)
      expect(header).toBeLessThanOrEqual(made + 1)
      expect(new Set(pages)).toEqual(new Set([header]))
      expect(incidents).toEqual(Array.from({ length: header }, (_, n) => n + 1))
      if (header === made) cut++
    }
    // Most died inside a commit, and it is not there.
    expect(cut).toBeGreaterThan(KILLS / 2)
  }, 60_000)
}, { versions: KAFKA_VERSIONS.slice(-1) })
