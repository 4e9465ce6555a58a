/**
 * Acceptance of the kill switch and the governor: fifty devices of a real fleet go bad; once somebody says off no quarantine leaves later than a
 * second after the answer, a restart keeps it so, `on` goes on, and never are more devices cut off, at once or in a minute, than the config allows.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'mqtt'
import { Fleet, type FleetOptions } from './fleet.ts'
import { freePort, pause, Service, verb } from './service.ts'

const DEVICES = 60
const BAD = 50
const RATE = 600
const WARM_MS = 8_000
/** A device goes bad so often from then on. */
const EACH_MS = 200
const LEASE_MS = 8_000
const PER_MINUTE = 30
const AT_ONCE = 20
/** The switch is thrown once so many devices were told. */
const BEGUN = 10
const GRACE_MS = 1_000
const LOOK_MS = 6_000
const FINISH_MS = 180_000

interface Seen {
  readonly device: string
  readonly at: number
}

interface Line {
  readonly seq: number
  readonly at: number
  readonly kind: string
  readonly device: string
  readonly action: string
  readonly outcome?: string
}

const failures: string[] = []
function require(holds: boolean, what: string): void {
  process.stdout.write(`${holds ? 'ok    ' : 'FAILED'} ${what}\n`)
  if (!holds) failures.push(what)
}

const folder = await mkdtemp(join(tmpdir(), 'picket-kill-switch-'))
const [mqttPort, httpPort] = [await freePort(), await freePort()]
const [mqtt, http] = [`mqtt://127.0.0.1:${mqttPort}`, `http://127.0.0.1:${httpPort}`]
const config = join(folder, 'picket.yaml')
await writeFile(
  config,
  `listen: { mqtt: 127.0.0.1:${mqttPort}, http: 127.0.0.1:${httpPort} }
log: { embedded: { path: ${join(folder, 'data')}, partitions: 4 } }
classes:
  pump:
    warmup: 60
    metrics: { pressure: { unit: bar, above: 100, severity: critical } }
    quarantine: { from: critical, for: ${LEASE_MS / 1000}s }
respond: { quarantines: { perMinute: ${PER_MINUTE}, atOnce: ${AT_ONCE} } }
`,
)
const faults: FleetOptions['faults'] = new Map(Array.from({ length: BAD }, (_, i) => [i, { at: WARM_MS + i * EACH_MS, fault: 'pressure' }]))
const service = new Service({ config, http })
const fleet = new Fleet({ url: mqtt, devices: DEVICES, rate: RATE, faults })
/** Quarantine commands and desired states as they leave the broker: what any device would be cut off by. */
const quarantines: Seen[] = []
let spy: ReturnType<typeof connect> | undefined
try {
  await service.start()
  spy = watch()
  fleet.start()
  await until(() => quarantines.length >= BEGUN, WARM_MS + 60_000, `${BEGUN} quarantines`)
  await throwSwitch()
  await restart()
  await goOn()
  await verifyLedger()
} catch (error) {
  failures.push(String(error))
  process.stdout.write(`${error instanceof Error ? error.stack : error}\n${service.log}\n`)
} finally {
  await service.kill()
  await fleet.stop()
  await spy?.endAsync(true)
  if (failures.length === 0) await rm(folder, { recursive: true })
  else process.stdout.write(`data kept in ${folder}\n`)
}
process.stdout.write(failures.length === 0 ? 'acceptance kill-switch passed\n' : `acceptance kill-switch FAILED: ${failures.length}\n`)
process.exitCode = failures.length === 0 ? 0 : 1

function watch(): ReturnType<typeof connect> {
  const client = connect(mqtt, { reconnectPeriod: 100, connectTimeout: 2_000 })
  client.on('connect', () => client.subscribe(['picket/+/command', 'picket/+/desired'], { qos: 1 }))
  client.on('message', (topic, payload, { retain }) => {
    const { kind, state } = JSON.parse(payload.toString()) as { kind?: string; state?: string }
    if (!retain && (kind === 'quarantine' || state === 'quarantined')) quarantines.push({ device: topic.split('/')[1]!, at: performance.now() })
  })
  client.on('error', () => undefined) // it connects again by itself
  return client
}

async function ask(state: 'on' | 'off'): Promise<number> {
  const body = JSON.stringify({ state, reason: 'acceptance' })
  const answer = await fetch(`${http}/api/v1/enforcement`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const at = performance.now()
  if (answer.status !== 202) throw new Error(`POST enforcement ${state}: ${answer.status} ${await answer.text()}`)
  return at
}

async function throwSwitch(): Promise<void> {
  const answered = await ask('off')
  const before = new Set(quarantines.map(({ device }) => device)).size
  await pause(LOOK_MS)
  const late = quarantines.filter(({ at }) => at > answered + GRACE_MS)
  const last = Math.max(...quarantines.map(({ at }) => at)) - answered
  require(late.length === 0, `off: none of ${quarantines.length} quarantine messages left later than ${GRACE_MS} ms after the answer (${late.length}; the last ${Math.round(last)} ms after it)`)
  const held = (await openIncidents()).filter((device) => !quarantines.some((one) => one.device === device)).length
  require(held >= 10, `meanwhile ${held} more devices went bad, after ${before} that were quarantined`)
  require((await status()) === 'off', 'status says off')
}

async function restart(): Promise<void> {
  await service.kill()
  await service.start()
  const since = performance.now()
  await pause(LOOK_MS)
  const late = quarantines.filter(({ at }) => at > since)
  require(late.length === 0, `killed and started again: no quarantine message in ${LOOK_MS} ms (${late.length})`)
  require((await status()) === 'off', 'status still says off')
  const metrics = await (await fetch(`${http}/metrics`)).text()
  require(/^picket_enforcement 0$/m.test(metrics), 'picket_enforcement is 0')
}

async function goOn(): Promise<void> {
  await ask('on')
  const isDone = () => fleet.members.every(({ index, quarantines: count, releases }) => index >= BAD || (count > 0 && releases > 0))
  await until(isDone, FINISH_MS, 'the quarantine and release of every bad device')
  require((await status()) === 'on', 'status says on')
  const healthy = fleet.members.filter(({ index, quarantines: count }) => index >= BAD && count > 0)
  require(healthy.length === 0, `no healthy device was quarantined (${healthy.map(({ name }) => name).join(', ')})`)
  await fleet.quiet()
}

async function verifyLedger(): Promise<void> {
  const { code } = await service.stop()
  require(code === 0, `SIGTERM ends it with 0 (${code})`)
  const lines: Line[] = []
  for await (const text of verb(['log', 'read', 'actions', '--json', '--config', config])) lines.push(lineOf(text))
  const isBegun = ({ kind, action, outcome }: Line) => kind === 'decision' && action === 'quarantine' && outcome === undefined
  const begun = lines.filter(isBegun)
  const inMinute = Math.max(...begun.map(({ at }) => begun.filter((other) => other.at >= at && other.at < at + 60_000).length))
  require(begun.length >= BAD && inMinute <= PER_MINUTE, `${begun.length} quarantines were begun, ${inMinute} in the busiest minute (at most ${PER_MINUTE})`)
  const cut = new Set<string>()
  let most = 0
  for (const line of lines) {
    if (isBegun(line)) cut.add(line.device)
    if (line.kind === 'outcome' && line.action === 'release' && line.outcome !== 'superseded' && line.outcome !== 'accepted') cut.delete(line.device)
    most = Math.max(most, cut.size)
  }
  require(most <= AT_ONCE, `at most ${most} devices were quarantined at once (at most ${AT_ONCE})`)
  const held = lines.filter(({ action, outcome }) => action === 'quarantine' && outcome === 'held').length
  require(held > 0, `${held} decisions were held back, each a line`)
}

function lineOf(text: string): Line {
  const { value } = JSON.parse(text) as { value: unknown }
  return (typeof value === 'string' ? JSON.parse(value) : value) as Line
}

async function openIncidents(): Promise<string[]> {
  const { incidents } = (await (await fetch(`${http}/api/v1/incidents?state=open&limit=1000`)).json()) as { incidents: { device: string }[] }
  return [...new Set(incidents.map(({ device }) => device))]
}

async function status(): Promise<string> {
  for await (const line of verb(['enforcement', 'status', '--json', '--url', http, '--config', config])) return (JSON.parse(line) as { state: string }).state
  return 'nothing'
}

async function until(holds: () => boolean, ms: number, what: string): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end; await pause(20)) if (holds()) return
  throw new Error(`not within ${ms} ms: ${what}`)
}
