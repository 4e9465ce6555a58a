/** `picket run` around an app in memory: its greeting, how it drains, and with which code it ends. */
import { writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type Config, loadConfig, loadWritten } from '../../src/config/config.ts'
import type { PicketPorts, RunningPicket, StartPicket } from '../../src/cli/run.ts'
import { Failure } from '../../src/cli/io.ts'
import { runPicket } from '../../src/cli/service.ts'
import { makePrometheus } from '../../src/ops/prometheus.ts'
import { aStanding, Fleet } from '../api/fleet.ts'
import { ManualClock, settle } from '../clock.ts'
import { aConfig, makeLab, MemoryHost, silent } from './lab.ts'

const CONFIG = loadConfig({ file: 'picket.yaml', text: 'listen: { mqtt: 127.0.0.1:0, http: 127.0.0.1:0 }\nlog: { embedded: { path: /var/lib/picket } }\n' })

/** Runs until `greeted`; what the app does is up to `picket`. */
function running(picket: Partial<RunningPicket> = {}, ready: Promise<void> = Promise.resolve(), config = CONFIG) {
  const host = new MemoryHost()
  const clock = new ManualClock()
  const { io, printed } = makeLab({ host, clock })
  const logged: string[] = []
  let stops = 0
  let flushes = 0
  const given: PicketPorts[] = []
  const logger = { ...silent, info: (_: unknown, text: string) => void logged.push(text), error: (_: unknown, text: string) => void logged.push(text), flush: () => void flushes++ }
  const start: StartPicket = async (_config, ports) => {
    given.push(ports)
    await ready
    return { app: new Fleet(), mqtt: { host: '127.0.0.1', port: 1883 }, reload: async () => null, stop: async () => void stops++, ...picket }
  }
  const ended = runPicket(io, config, { metrics: makePrometheus({ processMetrics: false }), logger, start }).then(
    () => 'drained',
    (error: unknown) => error,
  )
  const greeted = async () => {
    for (let i = 0; i < 1000 && printed.stdout === ''; i++) await settle()
    return printed.stdout
  }
  return { host, clock, logged, given, ended, greeted, stops: () => stops, flushes: () => flushes }
}

describe('the greeting', () => {
  test('is five lines: devices, metrics, API, data, and a command', async () => {
    const { host, greeted, ended } = running()
    const lines = (await greeted()).trimEnd().split('\n')
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(lines[1] ?? '')?.[0] ?? 'nowhere'
    expect(lines).toEqual([
      'devices  connect to mqtt://127.0.0.1:1883 and publish to telemetry/{class}/{device} or telemetry/{class}/{device}/{metric}',
      `metrics  ${url}/metrics`,
      `API      ${url}/api/v1/devices and ${url}/api/v1/incidents`,
      'data     /var/lib/picket',
      `try      node dist/main.js devices --url ${url}, or node dist/main.js demo for a fleet in which things go wrong`,
    ])
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    host.signal('SIGTERM')
    expect(await ended).toBe('drained')
  })

  test('says where devices connect as the config does, with the port there is', async () => {
    const text = 'listen: { mqtt: 0.0.0.0:0, http: 127.0.0.1:0 }\nauth: { credentials: ./credentials }\n'
    const { host, greeted, ended } = running({ mqtt: { host: '0.0.0.0', port: 1884 } }, Promise.resolve(), loadConfig({ file: 'picket.yaml', text }))
    expect(await greeted()).toContain('devices  connect to mqtt://0.0.0.0:1884 and')
    host.signal('SIGTERM')
    await ended
  })
})

describe('the end', () => {
  test('a signal drains the app and the API, and flushes the log', async () => {
    const { host, greeted, ended, stops, flushes, logged } = running()
    const greeting = await greeted()
    host.signal('SIGTERM')
    expect(await ended).toBe('drained')
    expect([stops(), flushes(), host.exits]).toEqual([1, 1, []])
    expect(logged).toEqual(['stopping', 'stopped'])
    await expect(fetch(`${/http:\/\/127\.0\.0\.1:\d+/.exec(greeting)?.[0]}/healthz`)).rejects.toThrow()
  })

  test('a signal that comes while it starts is obeyed once it has started', async () => {
    let go = () => {}
    const { host, ended, stops } = running({}, new Promise((resolve) => (go = resolve)))
    await settle()
    host.signal('SIGINT')
    go()
    expect(await ended).toBe('drained')
    expect(stops()).toBe(1)
  })

  test('a signal that comes while it starts in vain ends it after 10 s', async () => {
    const { host, clock, ended } = running({}, new Promise(() => {}))
    host.signal('SIGTERM')
    await clock.advance(10_000)
    expect(await ended).toEqual(new Failure('stopped while starting; it had not started within a further 10 s'))
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('a second %s ends the process at once with %d', async (signal, code) => {
    const { host, clock, greeted } = running({ stop: () => new Promise(() => {}) })
    await greeted()
    host.signal('SIGTERM')
    expect(host.exits).toEqual([])
    await clock.advance(500)
    host.signal(signal)
    expect(host.exits).toEqual([code])
  })

  test('a SIGINT that npm passes on beside the terminal is no second one', async () => {
    const { host, greeted, ended } = running()
    await greeted()
    host.signal('SIGINT')
    host.signal('SIGINT')
    expect(await ended).toBe('drained')
    expect(host.exits).toEqual([])
  })

  test('a second SIGTERM needs no pause', async () => {
    const { host, greeted } = running({ stop: () => new Promise(() => {}) })
    await greeted()
    host.signal('SIGTERM')
    host.signal('SIGTERM')
    expect(host.exits).toEqual([143])
  })

  test('draining is given up after 10 s', async () => {
    const { host, clock, greeted, ended } = running({ stop: () => new Promise(() => {}) })
    await greeted()
    host.signal('SIGTERM')
    for (let i = 0; i < 1000 && clock.pending === 0; i++) await settle()
    await clock.advance(9_999)
    let over = false
    void ended.then(() => (over = true))
    await settle()
    expect(over).toBe(false)
    await clock.advance(1)
    expect(await ended).toEqual(new Failure('not drained within 10 s; what was not acknowledged will be sent again'))
  })

  test('something vital that ends drains the rest and is a failure', async () => {
    const { given, greeted, ended, stops, logged } = running()
    await greeted()
    given[0]?.fail(new Error('the log was made with other partitions'))
    expect(await ended).toEqual(new Failure('ended by an error: the log was made with other partitions'))
    expect(stops()).toBe(1)
    expect(logged[0]).toBe('Picket cannot go on')
  })

  test('an error nobody caught is logged, flushed, and ends the process with 1', async () => {
    const { host, greeted, logged, flushes } = running()
    await greeted()
    host.uncaught(new Error('boom'))
    expect([host.exits, flushes(), logged]).toEqual([[1], 1, ['uncaught error: Picket ends']])
    host.signal('SIGTERM')
  })

  test('an API that cannot listen stops the app that was started', async () => {
    let stops = 0
    const config = aConfig('listen: { mqtt: 127.0.0.1:0, http: 127.0.0.1:1 }\n')
    const start: StartPicket = async () => ({ app: new Fleet(), mqtt: { host: '127.0.0.1', port: 1 }, reload: async () => null, stop: async () => void stops++ })
    const taken = makeLab({ start })
    const blocker = running()
    const port = /:(\d+)\/metrics/.exec(await blocker.greeted())?.[1]
    const { code, stderr } = await taken.run('run', '--config', config, '--set', `listen.http=127.0.0.1:${port}`, '--log-level', 'silent')
    expect([code, stops]).toEqual([2, 1])
    expect(stderr).toContain('another process listens there')
    blocker.host.signal('SIGTERM')
    await blocker.ended
  })
})

describe('with the log in Kafka', () => {
  const kafka = (text = '') =>
    loadConfig({ file: 'picket.yaml', text: `listen: { http: 127.0.0.1:0${text} }\nlog: { kafka: { brokers: [ "k:9092", "l:9092" ], prefix: p. } }\nsources: [ { name: field, mqtt: { url: "mqtt://b:1883" }, topics: [ "t/{device}" ] } ]\nroles: [ ingest, detect ]\n` })
  const url = (advertised: string | null | undefined) => `http://${advertised}`

  test('health is there before it has started, and says what is waited for', async () => {
    let go = () => {}
    const { host, given, greeted, ended } = running({ mqtt: null }, new Promise((resolve) => (go = resolve)), kafka())
    for (let i = 0; i < 1000 && given.length === 0; i++) await settle()
    given[0]?.waitFor?.('log.kafka: k:9092 is away')
    const at = url(given[0]?.advertised)
    expect((await fetch(`${at}/healthz`)).status).toBe(200)
    const ready = await fetch(`${at}/readyz`)
    expect([ready.status, await ready.text()]).toEqual([503, '{"ready":false,"reason":"log.kafka: k:9092 is away"}\n'])
    expect((await fetch(`${at}/api/v1/devices`)).status).toBe(503)
    go()
    await greeted()
    expect((await fetch(`${at}/readyz`)).status).toBe(200)
    host.signal('SIGTERM')
    expect(await ended).toBe('drained')
  })

  test('the greeting says the roles, their sources and doors, and where the log is', async () => {
    const { host, given, greeted, ended } = running({ mqtt: null }, Promise.resolve(), kafka())
    const lines = (await greeted()).trimEnd().split('\n')
    const at = url(given[0]?.advertised)
    expect(lines).toEqual([
      'roles    ingest, detect',
      'source   field, publish to t/{device} at mqtt://b:1883',
      `metrics  ${at}/metrics`,
      `API      ${at}/api/v1/devices`,
      'data     Kafka at k:9092, l:9092, topics p.…',
      `try      node dist/main.js devices --url ${at}`,
    ])
    host.signal('SIGTERM')
    await ended
  })

  test('others are told the advertised address', async () => {
    const { host, given, greeted, ended } = running({ mqtt: null }, Promise.resolve(), kafka(', advertise: "picket-1.example:80"'))
    await greeted()
    expect(given[0]?.advertised).toBe('picket-1.example:80')
    host.signal('SIGTERM')
    await ended
  })

  test('a signal while Kafka is away ends it at once, and well', async () => {
    const { host, io, printed } = { host: new MemoryHost(), ...makeLab() }
    const start: StartPicket = (_, { stopping }) => new Promise((resolve) => stopping?.addEventListener('abort', () => resolve(null)))
    const logger = { ...silent, flush: () => {} }
    const ended = runPicket({ ...io, host }, kafka(), { metrics: makePrometheus({ processMetrics: false }), logger, start })
    for (let i = 0; i < 100; i++) await settle()
    host.signal('SIGTERM')
    await ended
    expect(printed.stdout).toBe('')
  })

  test('what keeps it from starting closes the door again, and is thrown', async () => {
    const { given, ended } = running({}, Promise.reject(new Error('no rights')), kafka())
    expect(await ended).toEqual(new Error('no rights'))
    await expect(fetch(`${url(given[0]?.advertised)}/healthz`)).rejects.toThrow()
  })
})

describe('a reload', () => {
  const TEXT = 'listen: { mqtt: 127.0.0.1:0, http: 127.0.0.1:0 }\n'

  /** A service whose file says `next` by the time it is read again. */
  async function reloaded(next: string, by: (service: { readonly host: MemoryHost; readonly url: string }) => unknown) {
    const file = aConfig(TEXT)
    const host = new MemoryHost()
    const logged: string[] = []
    const { io, printed } = makeLab({ host })
    const given: Config[] = []
    const view = { version: 2, hash: 'hash-2', partitions: [] }
    const app = new Fleet({ standing: aStanding({ config: { ...view, version: 1 } }) })
    const start: StartPicket = async () => ({ app, mqtt: null, reload: async (config) => (given.push(config), view), stop: async () => undefined })
    const at = (_: unknown, text: string) => void logged.push(text)
    const logger = { ...silent, info: at, warn: at, error: at, flush: () => undefined }
    const read = () => loadWritten({ file })
    const written = read()
    const ended = runPicket(io, written.config, { metrics: makePrometheus({ processMetrics: false }), logger, start, file: { written, read } })
    for (let i = 0; i < 1000 && printed.stdout === ''; i++) await settle()
    writeFileSync(file, next)
    const answer = await by({ host, url: /http:[^/]*\/\/[^/]*/.exec(printed.stdout)![0] })
    await settle()
    host.signal('SIGTERM')
    await ended
    return { given, logged, answer }
  }

  test('comes by SIGHUP', async () => {
    const { given, logged } = await reloaded(`${TEXT}state: { expire: 2d }\n`, ({ host }) => host.reload())
    expect(given).toMatchObject([{ settings: { expireMs: 172_800_000 } }])
    expect(logged).toContain('configuration reloaded: version 2 goes to every partition, 1 keys changed')
  })

  test('comes over HTTP, with a bad file as 422', async () => {
    const ask = async ({ url }: { readonly url: string }) => (await fetch(`${url}/api/v1/reload`, { method: 'POST' })).status
    expect(await reloaded(`${TEXT}state: { expire: 2d }\n`, ask)).toMatchObject({ answer: 200, given: [{}] })
    expect(await reloaded('listen: 5\n', ask)).toMatchObject({ answer: 422, given: [] })
  })
})
