/** The example device in Python: its own tests, and itself against the real broker. Skipped by name where there is no Python 3, or its MQTT client can't be had. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createBroker } from '../../src/ingest/broker.ts'
import { systemClock } from '../../src/ops/clock.ts'
import { keepingLogger, Meters } from '../ingest/lab.ts'

const FOLDER = join(import.meta.dirname, '../../examples/device-python')
/** Where the MQTT client is put: beside what npm installed, so that it is fetched once and never committed. */
const PACKAGES = join(import.meta.dirname, '../../node_modules/.cache/device-python')
const CLIENT = 'paho-mqtt==2.1.0'

const python = spawnSync('python3', ['--version']).status === 0
const client = python && (existsSync(join(PACKAGES, 'paho')) || spawnSync('python3', ['-m', 'pip', 'install', '--quiet', '--target', PACKAGES, CLIENT]).status === 0)

async function stage() {
  const telemetry: string[] = []
  const acks: { id: string; status: string }[] = []
  const broker = createBroker({
    name: 'embedded', listen: { host: '127.0.0.1', port: 0 }, credentials: null, telemetry: ['telemetry/{class}/{device}'],
    limits: { packetBytes: 65_536, connections: 10, topicLength: 256, subscriptionsPerClient: 10, retainedTopics: 10, nameLength: 64 },
    clock: systemClock, logger: keepingLogger().logger, metrics: new Meters(),
  })
  await broker.start(async ({ payload }) => void telemetry.push(Buffer.from(payload).toString()))
  broker.receive(async (_topic, payload) => void acks.push(JSON.parse(Buffer.from(payload).toString())))
  const args = [join(FOLDER, 'device.py'), '--device', 'p-9', '--every', '0.01', '--url', `mqtt://127.0.0.1:${broker.address().port}`]
  const child = spawn('python3', args, { env: { ...process.env, PYTHONPATH: PACKAGES, PYTHONDONTWRITEBYTECODE: '1' }, stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  onTestFinished(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
    await broker.stop()
  })
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await until(() => lines.some((line) => line.includes('listening')))
  const order = (id: string, kind: 'quarantine' | 'release', generation: number) =>
    broker.publish('picket/p-9/command', JSON.stringify({
      v: 1, id, generation, kind, device: 'p-9', reason: 'why \ud800', incident: '', issued: Date.now(), expires: Date.now() + 60_000, ttl: 60, reply: 'picket/p-9/ack',
    }), { retain: false })
  return { telemetry, acks, lines, order, until }
}

describe('the example device in Python', () => {
  it.skipIf(!python)('passes its own tests of the contract', () => {
    const { status, stderr } = spawnSync('python3', ['-m', 'unittest'], { cwd: FOLDER, encoding: 'utf8', env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } })
    expect(status, stderr).toBe(0)
  })

  it.skipIf(!client)('publishes, stops when quarantined, and goes on when released', async () => {
    const { telemetry, acks, lines, order, until } = await stage()
    await until(() => telemetry.length > 2)
    expect(JSON.parse(telemetry[0]!)).toMatchObject({ running: true, vibration: expect.any(Number), ts: expect.any(Number) })

    await order('c-1', 'quarantine', 10)
    await until(() => acks.some(({ status }) => status === 'done'))
    expect(acks.map(({ id, status }) => `${id} ${status}`)).toEqual(['c-1 accepted', 'c-1 done'])
    expect(lines).toContain('p-9 quarantined: why \\ud800')

    const before = telemetry.length
    await order('c-2', 'release', 11)
    await until(() => telemetry.length > before + 2)
    expect(lines).toContain('p-9 released: why \\ud800')
  }, 20_000)
})
