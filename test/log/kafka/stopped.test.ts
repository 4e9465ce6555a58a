/** A real process is stopped past its session while another takes over, and woken: what it still does counts for nothing. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as esbuild from 'esbuild'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openKafka } from '../../../src/log/kafka/kafka.ts'
import { LEADERS, topicName } from '../../../src/log/kafka/names.ts'
import { TOPICS } from '../../../src/log/log.ts'
import type { Log, StoredRecord, Topic } from '../../../src/log/log.ts'
import { systemRandom } from '../../../src/ops/random.ts'
import { withKafka } from '../../parts/suites.ts'
import { adminOf, kafkaOptions, QUICK, until } from './member-rig.ts'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const cache = here('../../../node_modules/.cache/picket')
const program = join(cache, `kafka-child-${process.pid}.mjs`)

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
  await esbuild.build({ entryPoints: [here('./stopped-child.ts')], outfile: program, plugins: [schemasInPlace], ...options })
})

afterAll(() => rmSync(program, { force: true }))

interface Line {
  readonly partition: number
  readonly epoch: number
  readonly n: number
  readonly kind: 'term' | 'commit' | 'append'
  readonly code?: string
}

/** Its lines as they come. */
function start(brokers: readonly string[], prefix: string): { child: ChildProcess; lines: Line[] } {
  const child = spawn(process.execPath, [program, brokers.join(','), prefix, 'stopped'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: Line[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line) as Line))
  return { child, lines }
}

async function all(log: Log, partition: number): Promise<StoredRecord[]> {
  const records: StoredRecord[] = []
  for (let from = 0; ; ) {
    const slice = await log.read('incidents', partition, from, 1_000)
    if (!slice) return records
    records.push(...slice.records)
    from = slice.next
  }
}

withKafka('a process that was stopped past its session', (kafka) => {
  it('does nothing that counts when it wakes, loses its terms, and joins anew', async () => {
    const prefix = `stopped-${systemRandom.id()}.`
    const { child, lines } = start(kafka.brokers, prefix)
    const log = await openKafka(kafkaOptions(kafka.brokers, { prefix, name: 'other', timing: QUICK }))
    const stop = new AbortController()
    const taken = new Map<number, number>()
    try {
      await until(() => [0, 1].every((partition) => lines.some((line) => line.kind === 'append' && line.partition === partition)))
      const consuming = log.consume(async (owned) => {
        const { epoch } = await owned.restore(() => undefined)
        taken.set(owned.number, epoch)
        await log.append('incidents', owned.number, [{ key: '', value: Buffer.from(JSON.stringify({ by: 'other', epoch, n: 0 })) }])
        return { task: { process: async () => undefined, close: async () => undefined }, from: 0 }
      }, stop.signal)
      await until(() => taken.size === 1)
      const partition = taken.has(0) ? 1 : 0
      const old = lines.findLast((line) => line.kind === 'term' && line.partition === partition)!.epoch
      expect(log.holder(`readings/${partition}`)).toBe('stopped')

      child.kill('SIGSTOP')
      await until(() => taken.has(partition))
      expect(taken.get(partition)).toBe(old + 1)
      child.kill('SIGCONT')
      await until(() => lines.some((line) => line.kind === 'term' && line.epoch > old + 1))

      const refused = lines.filter((line) => line.partition === partition && line.epoch === old && line.code !== undefined)
      expect(refused).toMatchObject([{ code: expect.stringMatching(/FENCED|IN_DOUBT/) }])
      const records = (await all(log, partition)).map(({ value }) => JSON.parse(Buffer.from(value!).toString()) as { by: string; epoch: number })
      const takeover = records.findIndex(({ by, epoch }) => by === 'other' && epoch === old + 1)
      expect(takeover).toBeGreaterThan(0)
      // A send that was under way when it was stopped may land: its epoch is the old one, and readers drop it.
      expect(records.slice(takeover).filter(({ epoch }) => epoch === old).length).toBeLessThanOrEqual(1)
      stop.abort()
      await consuming
    } finally {
      child.kill('SIGKILL')
      await log.close()
      const admin = await adminOf(kafka.brokers)
      await admin.deleteTopics({ topics: [...Object.keys(TOPICS), LEADERS].map((topic) => topicName(prefix, topic as Topic)) })
      await admin.disconnect()
    }
  }, 40_000)
})
