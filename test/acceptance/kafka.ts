/**
 * Acceptance beside the user's parts: three Kafka brokers, a Mosquitto, two ingest, three detect and two respond processes under load, while each
 * kind is killed −9 and comes back, a broker is killed, an owner sleeps past its session, a role is restarted. Then what Picket acknowledged is in the
 * log once or flagged, incidents and commands came once by id, the rows are those of a run that nobody disturbed, and each takeover was in time.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Role } from '../../src/core/role.ts'
import { type RunningKafka, startKafka } from '../parts/kafka.ts'
import { kafkaEngine } from '../parts/kafka-engine.ts'
import { mosquittoMissing, type RunningMosquitto, startMosquitto } from '../parts/mosquitto.ts'
import { PARTS } from '../parts/parts.ts'
import { CommandSpy } from './command-spy.ts'
import { Disturbances } from './disturbances.ts'
import { requireIncidents, requireQuarantines } from './expected.ts'
import { Fleet, type FleetOptions } from './fleet.ts'
import { openLog, requireReadings, standstills } from './kafka-log.ts'
import { Receiver } from './receiver.ts'
import { Replicas } from './replicas.ts'
import { differingRowsIn } from './rows.ts'
import { pause } from './service.ts'

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '5000' },
    devices: { type: 'string', default: '200' },
    /** So long it is disturbed at least; 0: each disturbance once, some 90 s in all. */
    minutes: { type: 'string', default: '0' },
    kafka: { type: 'string', default: '4.4.0' },
  },
})
const [RATE, DEVICES, MINUTES] = [Number(values.rate), Number(values.devices), Number(values.minutes)]
const PARTITIONS = 6
const PREFIX = 'acceptance.'
const WARM_MS = 10_000
/** Longer than a takeover, so that a lease is renewed by nobody and still released once. */
const LEASE_MS = 20_000
const FAULT_EACH_MS = 6_000
const SETTLE_MS = 90_000

const failures: string[] = []
function require(holds: boolean, what: string): void {
  process.stdout.write(`${holds ? 'ok    ' : 'FAILED'} ${what}\n`)
  if (!holds) failures.push(what)
}

const missing = await whatIsMissing()
if (missing) {
  process.stdout.write(`skipped: acceptance kafka (${missing})\n`)
  process.exitCode = (process.env['CI'] ?? '') === '' ? 0 : 1
} else await accept()

async function whatIsMissing(): Promise<string | null> {
  const engine = await kafkaEngine(values.kafka, (line) => void process.stderr.write(`picket: ${line}\n`))
  if ('missing' in engine) return `it needs ${PARTS.kafka.needs.replace(', or KAFKA_BROKERS', '')}: ${engine.missing}`
  return mosquittoMissing() && `it needs ${PARTS.mosquitto.needs}`
}

interface Stage {
  readonly kafka: RunningKafka
  readonly mosquitto: RunningMosquitto
  readonly receiver: Receiver
  readonly replicas: Replicas
  readonly fleet: Fleet
  readonly spy: CommandSpy
  readonly faults: FleetOptions['faults']
}

async function accept(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'picket-acceptance-kafka-'))
  const receiver = new Receiver()
  const [kafka, mosquitto, hook] = await Promise.all([
    startKafka({ version: values.kafka, nodes: 3 }),
    startMosquitto({ lines: ['max_inflight_messages 1000'] }),
    receiver.start(),
  ])
  const config = join(folder, 'picket.yaml')
  await writeFile(config, configText({ brokers: kafka.brokers, mqtt: mosquitto.port, hook, secret: receiver.secret }))
  const replicas = new Replicas({ config, partitions: PARTITIONS, counts: { ingest: 2, detect: 3, respond: 2 } })
  const faults = faultsUntil(Math.max(54_000, MINUTES * 60_000))
  const fleet = new Fleet({ url: `mqtt://127.0.0.1:${mosquitto.port}`, devices: DEVICES, rate: RATE, faults })
  const spy = new CommandSpy(`mqtt://127.0.0.1:${mosquitto.port}`)
  try {
    await judge({ kafka, mosquitto, receiver, replicas, fleet, spy, faults })
  } catch (error) {
    failures.push(String(error))
    process.stdout.write(`${error instanceof Error ? error.stack : error}\n`)
  } finally {
    if (failures.length > 0) await writeFile(join(folder, 'processes.log'), replicas.logs())
    await Promise.all([replicas.kill(), fleet.stop(), spy.stop()])
    receiver.stop()
    await Promise.all([kafka.stop(), mosquitto.stop()])
    if (failures.length === 0) await rm(folder, { recursive: true })
    else process.stdout.write(`what the processes said is kept in ${folder}\n`)
  }
  process.stdout.write(failures.length === 0 ? 'acceptance kafka passed\n' : `acceptance kafka FAILED: ${failures.length}\n`)
  process.exitCode = failures.length === 0 ? 0 : 1
}

interface Addresses {
  readonly brokers: readonly string[]
  readonly mqtt: number
  readonly hook: string
  readonly secret: string
}

function configText({ brokers, mqtt, hook, secret }: Addresses): string {
  return `log:
  embedded: null
  kafka: { brokers: [${brokers.join(', ')}], partitions: ${PARTITIONS}, prefix: ${PREFIX}, replication: 3, minInSync: 2 }
sources:
  - name: field
    mqtt: { url: "mqtt://127.0.0.1:${mqtt}", version: 5 }
    topics: ["telemetry/{class}/{device}"]
state: { checkpoint: { interval: 2s } }
classes:
  pump:
    warmup: 100
    metrics: { pressure: { unit: bar, above: 100, severity: critical } }
    quarantine: { from: critical, for: ${LEASE_MS / 1000}s }
notify: [ { webhook: { url: "${hook}", secret: ${secret} } } ]
`
}

/** One device after another, by turns by either fault. */
function faultsUntil(endMs: number): FleetOptions['faults'] {
  const count = Math.min(Math.floor((endMs - WARM_MS) / FAULT_EACH_MS), Math.floor(DEVICES / 3))
  return new Map(Array.from({ length: count }, (_, i) => [3 * i + 1, { at: WARM_MS + i * FAULT_EACH_MS, fault: i % 2 === 0 ? 'pressure' : 'temperature' }] as const))
}

async function judge(stage: Stage): Promise<void> {
  const { kafka, mosquitto, replicas, fleet, faults, spy, receiver } = stage
  await spy.start()
  const began = performance.now()
  await replicas.start()
  process.stdout.write(`seven processes ready after ${((performance.now() - began) / 1000).toFixed(1)} s\n`)
  fleet.start()
  const from = Date.now()
  await pause(WARM_MS) // every device is known before something happens
  const disturbances = new Disturbances({ kafka, replicas })
  do await disturbances.round()
  while (Date.now() - from < MINUTES * 60_000)
  const lastFault = Math.max(...[...faults.values()].map(({ at }) => at))
  await pause(Math.max(0, from + lastFault + LEASE_MS - Date.now()))
  await calm(stage)
  await fleet.quiet()
  await through(stage)
  await endInOrder(replicas)

  const log = await openLog({ brokers: kafka.brokers, prefix: PREFIX, partitions: PARTITIONS })
  try {
    for (const { what, tookMs, mostMs } of disturbances.takeovers) {
      require(tookMs <= mostMs, `takeover after ${what} in ${(tookMs / 1000).toFixed(1)} s (at most ${mostMs / 1000})`)
    }
    const frames = await requireReadings(log, fleet.acked, require)
    for (const { what, ms } of standstills(frames, disturbances.takeovers)) process.stdout.write(`      ${what}: a partition took nothing for ${(ms / 1000).toFixed(1)} s at most\n`)
    requireIncidents(receiver, faults, require)
    requireQuarantines(fleet, faults, require)
    spy.require(faults, require)
    const differ = await differingRowsIn(log)
    require(differ.length === 0, `rows equal those of an undisturbed run over the same log${differ.length > 0 ? `: ${differ.slice(0, 3).join('; ')}` : ''}`)
    require(!(await mosquitto.log()).includes('dropped'), 'Mosquitto dropped nothing')
  } finally {
    await log.close()
  }
}

/** Every lease has ended, and calm readings have closed every incident. */
async function calm({ replicas, fleet, faults }: Stage): Promise<void> {
  await until(() => [...faults.keys()].every((index) => fleet.members[index]!.releases > 0), 'not every device with a fault was released')
  await replicas.untilZero('respond', ['picket_leases', 'picket_incidents_open'])
}

/** The last message is known to detect, so all before it have come through Mosquitto. */
async function through({ replicas, spy }: Stage): Promise<void> {
  await spy.publishLast()
  const isKnown = async () => {
    const asked = replicas.of('detect').map(({ http }) => fetch(`${http}/api/v1/devices/${spy.last}`))
    return (await Promise.all(asked)).some(({ status }) => status === 200)
  }
  await until(isKnown, 'the last message did not come through')
}

/** Whoever writes readings first, so that detect's state stands at their end. Without ticks no time passes in which devices could be silent. */
async function endInOrder(replicas: Replicas): Promise<void> {
  await endAll(replicas, 'ingest')
  await replicas.untilZero('detect', ['picket_lag_records'])
  await replicas.untilZero('respond', ['picket_respond_lag_records', 'picket_outbox'])
  await endAll(replicas, 'respond')
  await replicas.untilZero('detect', ['picket_lag_records'])
  await endAll(replicas, 'detect')
}

async function endAll(replicas: Replicas, role: Role): Promise<void> {
  const ends = await Promise.all(replicas.of(role).map(({ service }) => service.stop()))
  require(ends.every(({ code }) => code === 0), `SIGTERM ends ${role} with 0 (${ends.map(({ code, ms }) => `${code} in ${Math.round(ms)} ms`).join(', ')})`)
}

async function until(holds: () => boolean | Promise<boolean>, otherwise: string): Promise<void> {
  for (const end = performance.now() + SETTLE_MS; !(await holds()); await pause(100)) {
    if (performance.now() > end) throw new Error(`${otherwise} within ${SETTLE_MS / 1000} s`)
  }
}
