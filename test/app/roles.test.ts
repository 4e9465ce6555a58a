/** Processes with one role each over one log: a message becomes an incident and a command; each says what it has and who has the rest. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { type App, type AppPorts, startApp } from '../../src/app.ts'
import { makeServer } from '../../src/api/server.ts'
import { loadConfig } from '../../src/config/config.ts'
import type { Role } from '../../src/core/role.ts'
import type { Message } from '../../src/core/message.ts'
import type { Source } from '../../src/ingest/source.ts'
import { type Faults, MemoryCluster, type MemoryLog } from '../../src/log/memory.ts'
import { makePrometheus } from '../../src/ops/prometheus.ts'
import { createDeviceCommand } from '../../src/respond/device-command.ts'
import { ManualClock } from '../clock.ts'
import { LIMITS } from '../ingest/lab.ts'
import { MemoryChannel } from '../respond/channel.ts'

const { settings, settingsHash, respond: policy } = loadConfig({
  file: 'test.yaml',
  text: 'classes: { pump: { metrics: { vibration: { above: 7.1, severity: critical } } } }',
})
const ignore = () => undefined
const PARTITIONS = 4

class MemorySource implements Source {
  readonly name = 'field'
  #deliver: (message: Message) => Promise<void> = () => Promise.reject(new Error('not started'))

  async start(deliver: (message: Message) => Promise<void>): Promise<void> {
    this.#deliver = deliver
  }

  async stop(): Promise<void> {}

  status() {
    return { name: this.name, connectedSince: 0, backlog: false }
  }

  publish(device: string, vibration: number, arrival: number): Promise<void> {
    const payload = Buffer.from(JSON.stringify({ vibration }))
    return this.#deliver({ source: this.name, client: 'c', topic: `telemetry/pump/${device}`, payload, qos: 1, dup: false, retain: false, arrival })
  }
}

/** What respond's channel is told of its terms. */
class LedMemoryChannel extends MemoryChannel {
  readonly told: string[] = []
  readonly start = () => void this.told.push('start')
  readonly stop = async () => void this.told.push('stop')
  readonly reasons = () => []
}

interface Process {
  readonly app: App
  readonly log: MemoryLog
  readonly metrics: string
  get(url: string): Promise<{ status: number; body: Record<string, unknown> }>
}

function makeWorld() {
  const clock = new ManualClock()
  const cluster = new MemoryCluster({ clock, partitions: PARTITIONS, key: '{device}', visible: 'flushed' })
  const source = new MemorySource()
  const channel = new LedMemoryChannel()
  let ids = 0
  /** `name` as the log knows it. */
  const start = async (name: string, roles: readonly Role[]): Promise<Process> => {
    const log = cluster.connect({ name })
    const metrics = makePrometheus({ processMetrics: false })
    const ops = { clock, random: { id: () => `id${++ids}`, fraction: () => 0.5 }, logger: { debug: ignore, info: ignore, warn: ignore, error: ignore } }
    const ports: AppPorts = {
      ...ops,
      metrics,
      log,
      sources: roles.includes('ingest') ? [{ source, patterns: ['telemetry/{class}/{device}'] }] : [],
      enforcer: roles.includes('respond') ? createDeviceCommand({ ...ops, metrics, channel, key: null }) : null,
      notifiers: [],
      ...(roles.includes('respond') ? { channel } : {}),
    }
    const starting = startApp(ports, { roles, name, settings, settingsHash, policy, limits: LIMITS, checkpoint: { everyMs: 1_000, bytes: 1 << 20 } })
    await clock.advance(500)
    const app = await starting
    app.failed.catch((error: unknown) => expect(error).toBe('nothing that ends a role'))
    onTestFinished(async () => {
      const stopped = app.stop()
      await clock.advance(5_000)
      await stopped
    })
    const server = makeServer({ ...ops, metrics, app, listen: { host: '127.0.0.1', port: 0 } })
    const get = async (url: string) => {
      const answer = await server.inject({ url })
      return { status: answer.statusCode, body: answer.json() as Record<string, unknown> }
    }
    return { app, log, metrics: (await metrics.exposition()).body, get }
  }
  const publish = async (device: string, vibration: number) => {
    const acked = source.publish(device, vibration, clock.now())
    await clock.advance(50)
    await acked
  }
  return { clock, cluster, channel, start, publish }
}

describe('a process a role', () => {
  test('a message becomes an incident and a command, through the log alone', async () => {
    const world = makeWorld()
    const ingest = await world.start('i:1/a', ['ingest'])
    const detect = await world.start('d:1/b', ['detect'])
    const respond = await world.start('r:1/c', ['respond'])
    await world.clock.advance(5_000)
    for (const { app } of [ingest, detect, respond]) expect(app.readiness()).toEqual({ ready: true, reasons: [] })
    await world.publish('p1', 3)
    await world.publish('p1', 12)
    await world.clock.advance(5_000)

    const { status, body } = await respond.get('/api/v1/incidents')
    expect([status, body]).toMatchObject([200, { incidents: [{ device: 'p1', cause: 'limit', severity: 'critical', state: 'open' }] }])
    expect(world.channel.published.map(({ topic }) => topic)).toEqual(['picket/p1/desired', 'picket/p1/command'])
    expect(await detect.get('/api/v1/devices')).toMatchObject({ status: 200, body: { devices: [{ id: 'p1', state: 'quarantined' }] } })
  })

  test('each names the role that has what it lacks, and who has that role', async () => {
    const world = makeWorld()
    const ingest = await world.start('i:1/a', ['ingest'])
    const detect = await world.start('d:1/b', ['detect'])
    const respond = await world.start('r:1/c', ['respond'])
    await world.clock.advance(5_000)
    expect(await ingest.get('/api/v1/incidents')).toMatchObject({ status: 421, body: { error: { message: expect.stringContaining('needs the role respond'), owner: 'http://r:1' } } })
    expect(await detect.get('/api/v1/enforcement')).toMatchObject({ status: 421, body: { error: { owner: 'http://r:1' } } })
    expect(await respond.get('/api/v1/devices/p1')).toMatchObject({ status: 421, body: { error: { message: expect.stringContaining('needs the role detect'), owner: 'http://d:1' } } })
  })

  test('picket_role says which it has', async () => {
    const { metrics } = await makeWorld().start('d:1/b', ['detect'])
    expect(metrics).toContain('picket_role{role="detect"} 1')
    expect(metrics).toContain('picket_role{role="respond"} 0')
  })
})

describe('two with the role detect', () => {
  test('each shows the devices of its partitions and names who has the others', async () => {
    const world = makeWorld()
    await world.start('i:1/a', ['ingest'])
    const first = await world.start('d:1/b', ['detect'])
    const second = await world.start('d:2/c', ['detect'])
    for (const partition of [1, 3]) world.cluster.assign(partition, second.log)
    await world.clock.advance(10_000)
    for (let i = 0; i < 16; i++) await world.publish(`p${i}`, 3)
    await world.clock.advance(2_000)

    for (const [own, other, owner, elsewhere] of [[first, second, 'http://d:2', [1, 3]], [second, first, 'http://d:1', [0, 2]]] as const) {
      expect(own.app.readiness()).toEqual({ ready: true, reasons: [] })
      const { body } = await own.get('/api/v1/devices')
      expect(body['elsewhere']).toEqual([{ owner, partitions: elsewhere }])
      const [theirs] = (await other.get('/api/v1/devices')).body['devices'] as { id: string }[]
      expect(await own.get(`/api/v1/devices/${theirs!.id}`)).toMatchObject({ status: 421, body: { error: { owner } } })
      expect((await other.get(`/api/v1/devices/${theirs!.id}`)).status).toBe(200)
    }
    const all = [first, second].flatMap(({ app }) => app.devices.list({ limit: 100, after: null }))
    expect(new Set(all.map(({ id }) => id)).size).toBe(16)
  })

  test('one that owns nothing stands by, and is ready', async () => {
    const world = makeWorld()
    await world.start('i:1/a', ['ingest'])
    await world.start('d:1/b', ['detect'])
    const standby = await world.start('d:2/c', ['detect'])
    await world.clock.advance(5_000)
    expect(standby.app.readiness()).toEqual({ ready: true, reasons: [] })
    expect((await standby.get('/api/v1/devices')).body).toEqual({ devices: [], elsewhere: [{ owner: 'http://d:1', partitions: [0, 1, 2, 3] }] })
  })

  test('without a configuration is not ready, and says where', async () => {
    const world = makeWorld()
    const detect = await world.start('d:1/b', ['detect'])
    await world.clock.advance(5_000)
    expect(detect.app.readiness().reasons).toContain('no configuration in readings/3')
  })
})

describe('two with the role respond', () => {
  test('the standby is ready, shows incidents, names the leader, and what it is asked goes to that one', async () => {
    const world = makeWorld()
    await world.start('i:1/a', ['ingest'])
    await world.start('d:1/b', ['detect'])
    const leader = await world.start('r:1/c', ['respond'])
    const standby = await world.start('r:2/d', ['respond'])
    await world.clock.advance(5_000)
    await world.publish('p1', 12)
    await world.clock.advance(2_000)
    expect(standby.app.readiness()).toEqual({ ready: true, reasons: [] })
    expect((await standby.get('/api/v1/incidents')).body).toMatchObject({ incidents: [{ device: 'p1' }] })
    expect(await standby.get('/api/v1/enforcement')).toMatchObject({ status: 421, body: { error: { owner: 'http://r:1' } } })
    const asked = standby.app.request({ id: 'q1', kind: 'release', device: 'p1', forMs: null, reason: 'fixed', incident: '', by: 'api', at: world.clock.now() })
    await world.clock.advance(2_000)
    expect(await asked).toBe('q1')
    expect(world.channel.published.map(({ payload }) => payload['kind']).filter(Boolean)).toEqual(['quarantine', 'release'])
    expect((await leader.get('/api/v1/enforcement')).status).toBe(200)
  })

  test('a term begins with its channel, and ends with it', async () => {
    const world = makeWorld()
    const first = await world.start('r:1/c', ['respond'])
    const second = await world.start('r:2/d', ['respond'])
    await world.clock.advance(1_000)
    expect(world.channel.told).toEqual(['start'])
    world.cluster.assignLeader('respond', second.log)
    await world.clock.advance(10_000)
    expect(world.channel.told).toEqual(['start', 'stop', 'start'])
    expect([first.app.holder('respond'), second.app.holder('respond')]).toEqual(['r:2', null])
  })
})

describe('an ingest whose log takes nothing yet', () => {
  test('says why, tries again, and gives up once it need not start any more', async () => {
    const clock = new ManualClock()
    const failing: Faults = { fail: ({ kind }) => (kind === 'append' ? 'IO' : undefined) }
    const log = new MemoryCluster({ clock, partitions: 1, key: '{device}', faults: failing }).connect({ name: 'i:1/a' })
    const stopping = new AbortController()
    const reasons: string[] = []
    const ops = { clock, random: { id: () => 'id', fraction: () => 0.5 }, logger: { debug: ignore, info: ignore, warn: ignore, error: ignore }, metrics: makePrometheus({ processMetrics: false }) }
    const starting = startApp(
      { ...ops, log, sources: [], enforcer: null, notifiers: [] },
      { roles: ['ingest'], name: 'i:1/a', settings, settingsHash, policy, limits: LIMITS, checkpoint: { everyMs: 1_000, bytes: 1 }, waitFor: (why) => void reasons.push(why), stopping: stopping.signal },
    )
    const ended = starting.catch((error: unknown) => error)
    await clock.advance(1_000)
    expect(reasons.length).toBeGreaterThan(1)
    expect(reasons[0]).toMatch(/^ingest could not start, trying again: ./)
    stopping.abort()
    await clock.advance(0)
    expect(await ended).toMatchObject({ code: 'IO' })
  })
})
