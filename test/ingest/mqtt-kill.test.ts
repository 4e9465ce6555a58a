/** kill −9 of the process that runs an MQTT source, again and again under load: what it acknowledged it had, and the rest comes again, flagged. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as esbuild from 'esbuild'
import type { MqttClient } from 'mqtt'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { withMosquitto } from '../parts/suites.ts'
import { makeFolder, watchdog } from '../parts/watchdog.ts'
import { after, connect, freshId, until, VERSIONS } from './mqtt-lab.ts'

const COUNT = 20_000
const KILLS = 5
const AT_ONCE = 200
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const cache = here('../../node_modules/.cache/picket')
const program = join(cache, `mqtt-child-${process.pid}.mjs`)

/** Node 20 does not run TypeScript. */
beforeAll(async () => {
  mkdirSync(cache, { recursive: true })
  const options = { bundle: true, platform: 'node', format: 'esm', target: 'node20', packages: 'external' } as const
  await esbuild.build({ entryPoints: [here('./mqtt-child.ts')], outfile: program, ...options })
})
afterAll(() => rmSync(program, { force: true }))

async function start(args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  watchdog.hold('pid', child.pid!)
  after(() => kill(child))
  await once(child.stdout!, 'data')
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
  watchdog.letGo('pid', child.pid!)
}

/** Numbers from 0, so many under way at once. */
async function sendAll(device: MqttClient, topic: string): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < COUNT) await device.publishAsync(topic, String(next++), { qos: 1 })
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
}

withMosquitto('A killed MQTT source', { lines: ['max_inflight_messages 1000'] }, (mosquitto) => {
  it.each(VERSIONS)('loses nothing, and what comes twice says so (MQTT %s)', async (version) => {
    const folder = await makeFolder('mqtt-kill')
    after(() => folder.remove())
    const file = join(folder.path, 'taken')
    writeFileSync(file, '')
    const lines = () => readFileSync(file, 'utf8').split('\n').slice(0, -1).map((line) => line.split(' ') as [string, string])
    const [url, id] = [`mqtt://127.0.0.1:${mosquitto().port}`, freshId()]
    const args = [url, String(version), id, file]
    let child = await start(args)
    const sent = sendAll(await connect(url), `${id}/p-7`)
    for (let i = 1; i <= KILLS; i++) {
      await until(() => lines().length >= (i * COUNT) / (KILLS + 2))
      await kill(child)
      child = await start(args)
    }
    await sent
    await until(() => new Set(lines().map(([number]) => number)).size === COUNT)
    const seen = new Set<string>()
    for (const [number, flag] of lines()) {
      if (seen.has(number)) expect(flag, `message ${number} came again`).toBe('dup')
      seen.add(number)
    }
  }, 60_000)
})
