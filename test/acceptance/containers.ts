/**
 * Acceptance of the composition: docker-compose.yml as it is, from nothing to incidents, a quarantine and its answer, watched by Prometheus; its processes
 * bound as promised; and nothing left of it. `-- --image NAME` takes an image that is there. Needs the container lab or Docker; where neither is, it is skipped by name, and fails with CI=true.
 */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { connectAsync } from 'mqtt'
import { containerEngine, type Engine } from './container-engine.ts'

/** From `up` to an incident, a quarantine and its answer. */
const SHOWN_MS = 180_000
const SIZE_MOST = 250_000_000
const BUILD_MS = 300_000
const UP_MS = 240_000
const STOP_MS = 10_000
const ROLES = ['ingest', 'detect', 'respond'] as const
const HEALTHY = ['secrets', 'mosquitto', 'kafka', 'kafka-rights', ...ROLES]
/** Of the image of Picket. */
const PICKETS = ['secrets', 'kafka-rights', ...ROLES, 'fleet']
const ALERTS_LEAST = 15

const say = (line: string) => void process.stdout.write(`${line}\n`)
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const seconds = (ms: number) => `${(ms / 1000).toFixed(0)} s`

function check(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(what)
}

/** Several, as long as it takes to be told of all. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  const ports = await Promise.all(servers.map((server) => new Promise<number>((resolve) => server.once('listening', () => resolve((server.address() as AddressInfo).port)))))
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Asks until the answer is good; the last of what it was instead is in the error. */
async function until<T>(what: string, limitMs: number, ask: () => Promise<T | null>): Promise<T> {
  const end = performance.now() + limitMs
  for (let last = 'nothing yet'; ; ) {
    const answer = await ask().catch((error: unknown) => {
      last = error instanceof Error ? error.message : String(error)
      return null
    })
    if (answer !== null) return answer
    if (performance.now() > end) throw new Error(`${what}: not within ${seconds(limitMs)} (${last})`)
    await pause(500)
  }
}

interface Places {
  readonly mqtt: number
  readonly http: number
  readonly prometheus: number
}

class Composition {
  readonly #engine: Engine
  readonly #project: string
  readonly #image: string
  readonly #isOurs: boolean
  readonly #places: Places

  /** `image`: one that is there already; null: it is built. */
  constructor(engine: Engine, project: string, image: string | null, places: Places) {
    this.#engine = engine
    this.#project = project
    this.#image = image ?? `localhost/${project}:built`
    this.#isOurs = image === null
    this.#places = places
  }

  /** Bytes. */
  async build(): Promise<number> {
    if (this.#isOurs) await this.#engine.build(['-t', this.#image, '.'], { timeoutMs: BUILD_MS })
    return Number(await this.#engine.cli(['image', 'inspect', '--format', '{{.Size}}', this.#image]))
  }

  async #compose(...args: readonly string[]): Promise<string> {
    const { mqtt, http, prometheus } = this.#places
    const ports = { MQTT_PORT: String(mqtt), HTTP_PORT: String(http), PROMETHEUS_PORT: String(prometheus) }
    return this.#engine.compose(['-p', this.#project, ...args], { environment: { ...this.#engine.environment, ...ports, PICKET_IMAGE: this.#image }, timeoutMs: UP_MS })
  }

  async up(): Promise<void> {
    await this.#compose('up', '-d', '--no-build')
    await this.#engine.healthy(HEALTHY.map((service) => this.container(service)))
  }

  container(service: string): string {
    return this.#engine.container(this.#project, service)
  }

  /** Standard output of a program in a service's container. */
  exec(service: string, ...command: readonly string[]): Promise<string> {
    return this.#engine.cli(['exec', this.container(service), ...command])
  }

  /** Of JavaScript run there by Node. */
  async evaluate(service: string, code: string): Promise<string> {
    return (await this.exec(service, 'node', '-p', code)).trim()
  }

  /** Exit code of a container that is asked to stop, and how long it took, ms. */
  async stop(service: string): Promise<{ readonly code: number; readonly ms: number }> {
    const began = performance.now()
    await this.#engine.cli(['stop', '-t', '20', this.container(service)])
    const ms = performance.now() - began
    return { code: Number(await this.#engine.cli(['inspect', '--format', '{{.State.ExitCode}}', this.container(service)])), ms }
  }

  /** The ends of the logs, for a failure. */
  async logs(): Promise<string> {
    const logs = [...HEALTHY, 'fleet'].map(async (service) => {
      const text = await this.#engine.logs(this.container(service), 15).catch((error: Error) => error.message)
      return `--- ${service}\n${text}`
    })
    return (await Promise.all(logs)).join('\n')
  }

  async down(): Promise<void> {
    await this.#compose('down', '-v', '--remove-orphans')
  }

  /** Names of what is left of it: containers, volumes, networks. */
  async leftovers(): Promise<string[]> {
    const lists = await Promise.all([
      this.#engine.cli(['ps', '-a', '--format', '{{.Names}}']),
      this.#engine.cli(['volume', 'ls', '--format', '{{.Name}}']),
      this.#engine.cli(['network', 'ls', '--format', '{{.Name}}']),
    ])
    return lists.flatMap((list) => list.split('\n')).filter((name) => name.startsWith(this.#project))
  }

  async removeImage(): Promise<void> {
    if (this.#isOurs) await this.#engine.cli(['rmi', '-f', this.#image])
  }

  async get<T>(path: string, headers: Readonly<Record<string, string>> = {}): Promise<T> {
    return getJson<T>(`http://127.0.0.1:${this.#places.http}${path}`, headers)
  }

  prometheus<T>(path: string): Promise<T> {
    return getJson<{ readonly data: T }>(`http://127.0.0.1:${this.#places.prometheus}/api/v1/${path}`).then(({ data }) => data)
  }

  /** The values of a query, by the text of their labels. */
  async query(expression: string): Promise<number[]> {
    const { result } = await this.prometheus<{ readonly result: readonly { readonly value: readonly [number, string] }[] }>(`query?query=${encodeURIComponent(expression)}`)
    return result.map(({ value }) => Number(value[1]))
  }

  get mqttUrl(): string {
    return `mqtt://127.0.0.1:${this.#places.mqtt}`
  }
}

async function getJson<T>(url: string, headers: Readonly<Record<string, string>> = {}): Promise<T> {
  const answer = await fetch(url, { headers })
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${(await answer.text()).slice(0, 200)}`)
  return (await answer.json()) as T
}

/** Not root, nothing to gain, a file system nobody writes to, and in each volume of secrets nobody else's. */
async function checkConfined(one: Composition): Promise<void> {
  for (const service of PICKETS) {
    const status = await one.evaluate(service, "require('fs').readFileSync('/proc/1/status', 'utf8')")
    const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? ''
    // What makes the secrets owns them, and may give them away; that is all it may.
    const mayChown = service === 'secrets'
    check(field('Uid') === (mayChown ? '0' : '1000'), `${service} runs as ${field('Uid')}`)
    check(Number.parseInt(field('CapBnd'), 16) === (mayChown ? 1 : 0), `${service} has capabilities ${field('CapBnd')}`)
    check(field('NoNewPrivs') === '1', `${service} may gain rights`)
    const wrote = await one.evaluate(service, "(() => { try { require('fs').writeFileSync('/picket/x', ''); return 'wrote' } catch (error) { return error.code } })()")
    check(wrote === 'EROFS', `${service} could write to its own program: ${wrote}`)
  }
  const secretsOf = async (service: string) => one.evaluate(service, "require('fs').readdirSync('/run/secrets').join()")
  check((await secretsOf('detect')) === 'api,kafka', `detect has the secrets ${await secretsOf('detect')}`)
}

/** Each device only its own; ingest tells nobody anything. */
async function checkMqttRights(one: Composition): Promise<void> {
  const passwords = await one.evaluate('fleet', "require('fs').readFileSync('/run/secrets/devices', 'utf8')")
  const password = /^pump-01:(.*)$/m.exec(passwords)![1]!
  const publish = async (username: string, secret: string, topic: string): Promise<string> => {
    const client = await connectAsync(one.mqttUrl, { username, password: secret, clientId: `acceptance-${username}`, protocolVersion: 5, reconnectPeriod: 0 })
    try {
      return await client.publishAsync(topic, '{}', { qos: 1 }).then(() => 'allowed', (error: Error) => error.message)
    } finally {
      await client.endAsync(true)
    }
  }
  const ofIngest = await one.evaluate('ingest', "require('fs').readFileSync('/run/secrets/mqtt', 'utf8')")
  check((await publish('pump-01', password, 'telemetry/pump/pump-01')) === 'allowed', 'a device may not publish what it measures')
  for (const [user, secret, topic] of [['pump-01', password, 'telemetry/pump/pump-02'], ['pump-01', password, 'picket/pump-02/ack'], ['picket-ingest', ofIngest, 'picket/pump-01/command']] as const) {
    const answer = await publish(user, secret, topic)
    check(/not authorized/i.test(answer), `${user} published to ${topic}: ${answer}`)
  }
  const stranger = await connectAsync(one.mqttUrl, { username: 'pump-01', password: 'wrong', connectTimeout: 5_000, reconnectPeriod: 0 }, false).then(() => 'let in', () => 'refused')
  check(stranger === 'refused', 'a wrong password was let in')
}

/** All three roles scraped, the rules loaded and evaluated, and no alert. */
async function checkWatched(one: Composition): Promise<number> {
  await until('Prometheus has every role up', 60_000, async () => {
    const { activeTargets } = await one.prometheus<{ readonly activeTargets: readonly { readonly labels: Record<string, string>; readonly health: string }[] }>('targets?state=active')
    return ROLES.every((role) => activeTargets.some(({ labels, health }) => labels['role'] === role && health === 'up')) || null
  })
  const rules = await until('the rules are evaluated', 60_000, async () => {
    const { groups } = await one.prometheus<{ readonly groups: readonly { readonly rules: readonly { readonly health: string; readonly lastError?: string }[] }[] }>('rules')
    const all = groups.flatMap((group) => group.rules)
    const bad = all.find(({ health }) => health !== 'ok')
    if (bad) throw new Error(`${bad.health} ${bad.lastError ?? ''}`)
    return all.length > 0 ? all : null
  })
  check(rules.length >= ALERTS_LEAST, `Prometheus has ${rules.length} rules`)
  const critical = await one.query('ALERTS{alertstate="firing", severity="critical"}')
  check(critical.length === 0, `${critical.length} critical alerts while all is well: ${JSON.stringify(await one.prometheus('alerts'))}`)
  return rules.length
}

/** What the demonstration promises; ms since `began` when each was there. */
async function checkShown(one: Composition, began: number): Promise<void> {
  const left = () => Math.max(1_000, SHOWN_MS - (performance.now() - began))
  const token = await one.evaluate('respond', "require('fs').readFileSync('/run/secrets/api', 'utf8')")
  const authorization = `Bearer ${token}`
  const incident = await until('an incident', left(), async () => {
    const { incidents } = await one.get<{ readonly incidents: readonly { readonly device: string; readonly summary: string }[] }>('/api/v1/incidents', { authorization })
    return incidents.at(-1) ?? null
  })
  say(`  an incident after ${seconds(performance.now() - began)}: ${incident.device}: ${incident.summary}`)
  await until('a quarantine that its device acknowledged', left(), async () => ((await one.query('sum(picket_commands_total{kind="quarantine", outcome="done"})'))[0] ?? 0) > 0 || null)
  say(`  a quarantine and its answer after ${seconds(performance.now() - began)}`)
  const nobody = await one.get('/api/v1/incidents').then(() => 'answered', (error: Error) => error.message)
  check(nobody.includes('401'), `the API without its token: ${nobody}`)
  const devices = await one.exec('detect', 'node', 'dist/main.js', 'devices', '--json')
  check(devices.includes('"pump-01"'), 'picket devices, in the container of detect, does not name pump-01')
}

/** Process 1 drains on SIGTERM. */
async function checkStops(one: Composition): Promise<void> {
  for (const role of ROLES) {
    const { code, ms } = await one.stop(role)
    check(code === 0 && ms < STOP_MS, `${role} ended with ${code} after ${seconds(ms)} of SIGTERM`)
  }
}

async function accept(engine: Engine, image: string | null): Promise<void> {
  const project = `picket-acceptance-${randomBytes(3).toString('hex')}`
  const [mqtt, http, prometheus] = (await freePorts(3)) as [number, number, number]
  const one = new Composition(engine, project, image, { mqtt, http, prometheus })
  let began = performance.now()
  let isUp = false
  const step = (what: string) => {
    say(`  ${what} in ${seconds(performance.now() - began)}`)
    began = performance.now()
  }
  try {
    const size = await one.build()
    step(`an image of ${Math.round(size / 1e6)} MB`)
    check(size < SIZE_MOST, `the image has ${size} bytes, allowed are ${SIZE_MOST}`)
    const upAt = performance.now()
    isUp = true
    await one.up()
    step('up and healthy')
    await checkShown(one, upAt)
    const rules = await checkWatched(one)
    say(`  Prometheus sees ingest, detect and respond; ${rules} alerts, none firing`)
    await checkConfined(one)
    await checkMqttRights(one)
    await checkStops(one)
    say('  confined, each with its own rights, and drained by SIGTERM')
  } catch (error) {
    if (isUp) say(await one.logs())
    throw error
  } finally {
    began = performance.now()
    await one.down()
    const left = await one.leftovers()
    await one.removeImage()
    step('down')
    if (left.length > 0) {
      say(`left behind: ${left.join(', ')}`)
      process.exitCode = 1
    }
  }
}

const engine = await containerEngine(say)
if ('missing' in engine) {
  const isCi = !['', '0', 'false'].includes(process.env['CI'] ?? '')
  say(`${isCi ? 'failed' : 'skipped'}: acceptance containers needs ${engine.missing}`)
  process.exitCode = isCi ? 1 : 0
} else {
  say(`containers by ${engine.name}`)
  const [option, image] = process.argv.slice(2)
  await accept(engine, option === '--image' && image ? image : null).then(
    () => say(process.exitCode ? 'containers: FAILED' : 'containers: ok'),
    (error: unknown) => {
      say(`containers: FAILED: ${error instanceof Error ? error.message : String(error)}`)
      process.exitCode = 1
    },
  )
}
