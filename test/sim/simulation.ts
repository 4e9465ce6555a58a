/** One seed from its first event to its verdict: the world turns with all its faults, heals, comes to rest, stops, and is judged. */
import { createHash } from 'node:crypto'
import type { DeviceView } from '../../src/core/device.ts'
import type { Incident } from '../../src/core/incident.ts'
import { createDetect } from '../../src/detect/detect.ts'
import { Prng } from '../../src/fleet/prng.ts'
import { TOPICS, type Topic } from '../../src/log/log.ts'
import { MemoryCluster, type SlicePolicy } from '../../src/log/memory.ts'
import { FarBroker } from './far-broker.ts'
import { FarDevice } from './far-device.ts'
import { drawFleet, HEAL_AT, IDLE_FROM } from './fleet.ts'
import { simLogger, SimMetrics } from './instruments.ts'
import { LogFaults } from './log-faults.ts'
import { scheduleMischief, type Stage } from './mischief.ts'
import { Operators } from './operators.ts'
import type { SimOptions } from './options.ts'
import { SimProcess, STOP_MS } from './process.ts'
import { live, type Raw } from './reader.ts'
import { firstBroken } from './requirements.ts'
import { Strays } from './strays.ts'
import { WebhookReceiver } from './webhook.ts'
import { SimClock, World } from './world.ts'

export interface Verdict {
  readonly seed: number
  /** The first requirement that does not hold, and how; null when all do. */
  readonly broken: string | null
  readonly simulatedMs: number
  readonly events: number
  readonly messages: number
  readonly crashes: number
  readonly incidents: number
  readonly quarantines: number
  /** Of everything in the log and at the far end: equal for equal runs. */
  readonly digest: string
}

/** So long the world may take to come to rest once it is healed: a device that never answers its release costs 20 minutes. */
const REST_MS = 300_000
const REST_MUTE_MS = 2_400_000
const LOOK_MS = 1_000

/** What requirements are asked of. */
export interface Outcome extends Stage {
  readonly webhook: WebhookReceiver
  readonly logs: ReadonlyMap<string, readonly Raw[]>
  /** What each process's API showed when all had come to rest. */
  readonly shown: readonly Shown[]
  /** What may never happen and did. */
  readonly problems: readonly string[]
}

export interface Shown {
  readonly process: string
  readonly incidents: readonly Incident[]
  readonly devices: readonly DeviceView[]
}

export async function simulate(options: SimOptions, write: ((line: string) => void) | null): Promise<Verdict> {
  const problems: string[] = []
  const onUnhandled = (reason: unknown) => problems.push(`an error nobody handled: ${stackOf(reason)}`)
  process.on('unhandledRejection', onUnhandled)
  try {
    const { stage, webhook } = build(options, problems, write)
    const broken = await judged(stage, webhook, problems)
    return verdictOf(options, stage, webhook, broken)
  } finally {
    process.off('unhandledRejection', onUnhandled)
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** The first requirement that does not hold, or null. */
async function judged(stage: Stage, webhook: WebhookReceiver, problems: string[]): Promise<string | null> {
  const { world } = stage
  try {
    await world.run(HEAL_AT, () => problems.length > 0)
    heal(stage)
    const unrest = problems[0] ?? (await rest(stage, problems))
    if (unrest !== null) return unrest
    const shown = stage.processes.map((process) => shownBy(process))
    await stopAll(stage, problems)
    await finish(stage, problems)
    if (problems[0]) return problems[0]
    return await firstBroken({ ...stage, webhook, logs: dump(stage), shown, problems: [...problems, ...webhook.problems] })
  } catch (error) {
    return `the simulation met an error: ${stackOf(error)}`
  }
}

/** Everything of a seed, before its first event. */
export function build(options: SimOptions, problems: string[], write: ((line: string) => void) | null): Built {
  const draw = new Prng(options.seed)
  const world = new World()
  const { partitions, visible, takeoverMs } = options
  const hosts = Array.from({ length: options.processes }, (_, i) => {
    const perMillion = draw.fork(`clock ${i}`).between(-1, 1) * options.clocks.driftPerMillion
    return new SimClock(world, { perMillion })
  })
  const embedded = options.processes === 1
  const logClock = embedded ? hosts[0]! : new SimClock(world)
  const faults = new LogFaults(world, draw.fork('log'), options.log)
  const slices = slicesOf(options.slices, draw.fork('slices'))
  const cluster = new MemoryCluster({ clock: logClock, partitions, visible, takeoverMs, faults, slices })
  const strays = new Strays(world, cluster)
  const { network, far, poison } = faultsUntilHealed(world, options)
  const { latencyMs } = options.network
  const broker = new FarBroker({ world, draw: draw.fork('broker'), latencyMs, refuses: () => far().brokerRefuses })
  const webhook = new WebhookReceiver(world, draw.fork('webhook'), () => far().webhookFails)
  const problem = (text: string) => problems.push(text)
  const processes = hosts.map((clock, i) => {
    const name = `p${i}`
    const logger = simLogger(world, name, write)
    return new SimProcess({ name, options, world, clock, cluster, strays, broker, webhook, draw: draw.fork(name), logger, problem })
  })
  const sources = () => processes.flatMap((process) => process.source ?? [])
  const devices = drawFleet(options, draw.fork('fleet')).map(
    (wiring) => new FarDevice({ world, wiring, draw: draw.fork(wiring.spec.id), broker, network, far, embedded, poison, sources, problem }),
  )
  for (const process of processes) world.after(draw.between(0, 500), () => process.start())
  const clocks = [...new Set([...hosts, logClock])]
  const operators = new Operators({ world, options, processes, devices })
  const stage: Stage = { world, options, cluster, processes, devices, clocks, broker, faults, strays, operators, embedded }
  scheduleMischief(stage, draw.fork('mischief'))
  return { stage, webhook }
}

interface Built {
  readonly stage: Stage
  readonly webhook: WebhookReceiver
}

/** What goes wrong beyond the log, as it is at the moment of asking. */
function faultsUntilHealed(world: World, { network, far, poison }: SimOptions) {
  const calm = {
    network: { ...network, duplicates: 0, late: 0, reordered: false, lostAcks: 0 },
    far: { ...far, lostAcks: 0, repeatedAcks: 0, brokerRefuses: 0, webhookFails: 0 },
  }
  const isHealed = () => world.time >= HEAL_AT
  return {
    network: () => (isHealed() ? calm.network : network),
    far: () => (isHealed() ? calm.far : far),
    poison: () => (isHealed() ? 0 : poison),
  }
}

function slicesOf(kind: SimOptions['slices'], draw: Prng): SlicePolicy {
  if (kind === 'one') return () => 1
  return kind === 'all' ? (available) => available : (available) => Math.min(available, draw.whole(1, 5))
}

/** No more faults; everybody is up and knows what it owns. */
function heal({ faults, strays, processes, cluster, world }: Stage): void {
  faults.heal()
  strays.heal()
  for (const process of processes) {
    process.start()
    if (process.log) cluster.notice(process.log)
  }
  // A restart under way when the faults ended may still kill: look again.
  world.after(STOP_MS, () => processes.forEach((process) => process.start()))
}

/** Runs until nothing is left to do; else says what still is when time is up. */
async function rest(stage: Stage, problems: readonly string[]): Promise<string | null> {
  const { world, options } = stage
  const end = IDLE_FROM + (options.far.mute ? REST_MUTE_MS : REST_MS)
  await world.run(IDLE_FROM, () => problems.length > 0)
  for (;;) {
    if (problems[0]) return problems[0]
    const left = await unfinished(stage)
    if (left === null) return null
    if (world.time >= end) return `the healed world does not come to rest: ${left}`
    await world.run(world.time + LOOK_MS, () => problems.length > 0)
  }
}

async function unfinished(stage: Stage): Promise<string | null> {
  for (const device of stage.devices) {
    if (device.contract.isQuarantined) return `${device.id} is quarantined`
    if (!device.isQuiet) return `${device.id} has messages that nobody acknowledges`
  }
  for (const key of live(stage.cluster.dump('leases', 0)).keys()) if (/^(outbox|lease|incident|silence|owed)\//.test(key)) return `respond keeps ${key}`
  for (const process of stage.processes) {
    const readiness = process.app?.readiness()
    // Who owns no partition says so; that is for its log to mend.
    const reasons = readiness?.reasons.filter((reason) => !/is not owned yet/.test(reason)) ?? ['it has not started']
    if (reasons.length > 0) return `${process.name} is not ready: ${reasons.join(', ')}`
    const lag = await process.lag()
    if (lag > 0) return `${process.name} lags ${lag} records`
  }
  return null
}

function shownBy({ name, app }: SimProcess): Shown {
  const incidents = app?.incidents.list({ limit: 1_000 }) ?? []
  return { process: name, incidents, devices: app?.devices.list({ limit: 1_000, after: null }) ?? [] }
}

async function stopAll({ world, processes }: Stage, problems: string[]): Promise<void> {
  let stopped = 0
  for (const process of processes) {
    process.stop((inTime) => {
      stopped++
      if (!inTime) problems.push(`${process.name} did not stop within ${STOP_MS} ms`)
    })
  }
  await world.run(world.time + 2 * STOP_MS, () => stopped === processes.length)
}

/** What the last records of all need: a task that reads them and commits, without anybody writing more. */
async function finish({ world, cluster, clocks, options }: Stage, problems: string[]): Promise<void> {
  const stop = new AbortController()
  const metrics = new SimMetrics()
  const log = cluster.connect({ name: 'last' })
  const detect = createDetect({ log, clock: clocks[0]!, metrics, logger: simLogger(world, 'last', null) }, options.checkpoint)
  let ended = false
  const run = detect.run(stop.signal).then(
    () => (ended = true),
    (error: unknown) => problems.push(`the last task failed: ${String(error)}`),
  )
  const end = world.time + 30_000
  do {
    await world.run(world.time + 500)
    await detect.measure()
  } while ((detect.reasons().length > 0 || metrics.sum('picket_lag_records') > 0) && world.time < end)
  stop.abort()
  await world.run(world.time + STOP_MS, () => ended)
  if (!ended) problems.push('the last task does not end')
  else await run
}

function dump({ cluster, options }: Stage): Map<string, readonly Raw[]> {
  const logs = new Map<string, readonly Raw[]>()
  for (const [topic, partitions] of Object.entries(TOPICS))
    for (let p = 0; p < (partitions === 'all' ? options.partitions : 1); p++) logs.set(`${topic}/${p}`, cluster.dump(topic as Topic, p))
  return logs
}

function verdictOf(options: SimOptions, stage: Stage, webhook: WebhookReceiver, broken: string | null): Verdict {
  const digest = createHash('sha256')
  for (const [place, records] of dump(stage)) {
    digest.update(place)
    for (const { key, value, offset, time } of records) digest.update(`${key} ${offset} ${time}`).update(value ?? 'deleted')
  }
  for (const { id, count } of webhook.deliveries.values()) digest.update(`${id} ${count}`)
  const executions = stage.devices.flatMap((device) => device.contract.executions)
  digest.update(JSON.stringify(executions)).update(String(stage.world.events))
  return {
    seed: options.seed,
    broken,
    simulatedMs: Math.round(stage.world.time),
    events: stage.world.events,
    messages: stage.devices.reduce((sum, device) => sum + device.sent.length, 0),
    crashes: stage.processes.reduce((sum, process) => sum + process.crashes, 0),
    incidents: new Set([...webhook.deliveries.values()].map(({ incident }) => (JSON.parse(incident) as { id: string }).id)).size,
    quarantines: executions.filter(({ kind }) => kind === 'quarantine').length,
    digest: digest.digest('hex').slice(0, 16),
  }
}
