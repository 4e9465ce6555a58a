/** The example device as people start it: a process that publishes, obeys, remembers, and ends when asked. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import type { Message } from '../../src/core/message.ts'
import { createBroker } from '../../src/ingest/broker.ts'
import { systemClock } from '../../src/ops/clock.ts'
import { keepingLogger, Meters } from '../ingest/lab.ts'

const SCRIPT = fileURLToPath(new URL('../../examples/device/device.mjs', import.meta.url))

it('publishes, is quarantined, keeps what it must remember, and ends with 0', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'picket-device-'))
  const broker = createBroker({
    name: 'embedded', listen: { host: '127.0.0.1', port: 0 }, credentials: null, telemetry: ['telemetry/{class}/{device}'],
    limits: { packetBytes: 65_536, connections: 10, topicLength: 256, subscriptionsPerClient: 10, retainedTopics: 10, nameLength: 64 },
    clock: systemClock, logger: keepingLogger().logger, metrics: new Meters(),
  })
  const { promise: published, resolve: onPublished } = resolvers<Message>()
  const { promise: done, resolve: onDone } = resolvers<void>()
  await broker.start(async (message) => onPublished(message))
  broker.receive(async (_, payload) => {
    if ((JSON.parse(Buffer.from(payload).toString()) as { status: string }).status === 'done') onDone()
  })
  const state = join(folder, 'state.json')
  const url = `mqtt://127.0.0.1:${broker.address().port}`
  const device = spawn(process.execPath, [SCRIPT, '--device', 'p-1', '--url', url, '--every', '0.05', '--state', state])
  try {
    const message = await published
    expect(message.topic).toBe('telemetry/pump/p-1')
    expect(Object.keys(JSON.parse(Buffer.from(message.payload).toString()) as object)).toEqual(['ts', 'temperature', 'vibration', 'running'])
    const expires = systemClock.now() + 60_000
    const command = JSON.stringify({ v: 1, id: 'c', generation: 3, kind: 'quarantine', device: 'p-1', reason: '', expires })
    // Again and again, as Picket does: the first may come before the device has subscribed.
    const again = setInterval(() => void broker.publish('picket/p-1/command', command, { retain: false }), 20)
    await done
    clearInterval(again)
    expect(JSON.parse(await readFile(state, 'utf8'))).toMatchObject({ generation: 3, answers: [{ id: 'c', status: 'done' }] })
    device.kill('SIGINT')
    expect((await once(device, 'exit'))[0]).toBe(0)
  } finally {
    device.kill('SIGKILL')
    await broker.stop()
    await rm(folder, { recursive: true })
  }
})

/** A promise, and what resolves it. */
function resolvers<T>() {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((set) => (resolve = set))
  return { promise, resolve: (value: T) => resolve(value) }
}
