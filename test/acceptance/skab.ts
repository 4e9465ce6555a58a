/**
 * Acceptance on real input: a water pump's eight sensors with labelled faults (SKAB), replayed over MQTT through the running service, once as fast as it
 * is taken and once by the clock. The valve's sixteen runs and the anomaly-free one are a device each and report side by side, as a fleet does; what opens
 * within a device's labelled fault finds it, whatever opens elsewhere is a false alarm, and both runs must tell the same.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import mqtt from 'mqtt'
import type { Incident } from '../../src/core/incident.ts'
import { freePort, pause, Service, verb } from './service.ts'

const { values: options } = parseArgs({ options: { data: { type: 'string', default: '../shared/data/skab' } } })
const DATA = resolve(options.data)

/** How many times as fast as the rows' own time; 0: as fast as they are taken. */
const SPEEDS = [0, 500]
const WARMUP = 400
const FOUND_LEAST = 13
const OUTSIDE_MOST = 16
const HEALTHY_MOST = 2
/** Messages sent and not yet acknowledged, at most. */
const WINDOW = 256
const HEALTHY = 'anomaly-free'
/** Columns that hold the answer. */
const LABELS = ['anomaly', 'changepoint']

interface Row {
  /** ms since epoch. */
  readonly time: number
  readonly payload: string
  readonly faulty: boolean
}

interface Rig {
  readonly device: string
  readonly rows: readonly Row[]
}

interface Verdict {
  readonly device: string
  readonly healthy: boolean
  /** The first incident opened within the fault, and at which row. */
  readonly found: { readonly row: number; readonly cause: string; readonly detector: string } | null
  readonly outside: number
}

if (existsSync(DATA)) await main()
else process.stdout.write(`skipped: acceptance skab, as there is no ${DATA}; say where the data is with --data DIR\n`)

async function main(): Promise<void> {
  const rigs = await readRigs()
  const failures: string[] = []
  const stories: string[] = []
  for (const speed of SPEEDS) {
    const began = performance.now()
    const revisions = await replay(rigs, speed)
    process.stdout.write(`\n${speed === 0 ? 'as fast as it is taken' : `${speed} times its own time`}, ${((performance.now() - began) / 1000).toFixed(1)} s\n`)
    failures.push(...judge(rigs.map((rig) => verdictOn(rig, revisions))))
    stories.push(JSON.stringify(revisions))
  }
  if (new Set(stories).size > 1) failures.push('the speeds tell different stories')
  process.stdout.write(failures.length === 0 ? '\nacceptance skab passed\n' : `\nacceptance skab FAILED: ${failures.join('; ')}\n`)
  process.exitCode = failures.length === 0 ? 0 : 1
}

async function readRigs(): Promise<Rig[]> {
  const valve = (await readdir(join(DATA, 'valve1'))).filter((file) => file.endsWith('.csv'))
  const numbers = valve.map((file) => Number(file.slice(0, -4))).sort((a, b) => a - b)
  const files: [string, string][] = [[HEALTHY, join(DATA, 'anomaly-free', 'anomaly-free.csv')], ...numbers.map((n): [string, string] => [`valve1-${n}`, join(DATA, 'valve1', `${n}.csv`)])]
  return Promise.all(files.map(async ([device, file]) => ({ device, rows: rowsOf(await readFile(file, 'utf8')) })))
}

function rowsOf(text: string): Row[] {
  const [header, ...lines] = text.trim().split(/\r?\n/).map((line) => line.split(';'))
  return lines.map((cells) => {
    const time = Date.parse(`${cells[0]!.replace(' ', 'T')}Z`)
    const fields = header!.map((name, i) => [name, Number(cells[i])] as const)
    const metrics = fields.slice(1).filter(([name]) => !LABELS.includes(name))
    return { time, payload: JSON.stringify({ ts: time, ...Object.fromEntries(metrics) }), faulty: fields.some(([name, value]) => name === 'anomaly' && value === 1) }
  })
}

/** Every revision a fresh service tells, by device, cause and time, without what another run of the same would not repeat. */
async function replay(rigs: readonly Rig[], speed: number): Promise<Incident[]> {
  const folder = await mkdtemp(join(tmpdir(), 'picket-skab-'))
  const [mqttPort, httpPort] = [await freePort(), await freePort()]
  const http = `http://127.0.0.1:${httpPort}`
  const config = join(folder, 'picket.yaml')
  // The past can't be cut off, and a quarantine would stand at another place at each speed. The budget is what Picket has when nothing is said.
  await writeFile(
    config,
    `listen: { mqtt: 127.0.0.1:${mqttPort}, http: 127.0.0.1:${httpPort} }
log: { embedded: { path: ${join(folder, 'data')} } }
classes:
  testbed: { backfill: true, silence: false, warmup: ${WARMUP}, quarantine: never }
`,
  )
  const service = new Service({ config, http })
  try {
    await service.start()
    await sendAll(rigs, `mqtt://127.0.0.1:${mqttPort}`, speed)
    await settled(http)
    await service.stop()
    return await revisionsIn(config)
  } catch (error) {
    process.stdout.write(`${service.log}\n`)
    throw error
  } finally {
    await service.kill()
    await rm(folder, { recursive: true })
  }
}

/** Row by row, every device that has one. */
async function sendAll(rigs: readonly Rig[], url: string, speed: number): Promise<void> {
  const client = await mqtt.connectAsync(url, { clientId: 'skab', reconnectPeriod: 0 })
  const began = performance.now()
  const longest = Math.max(...rigs.map(({ rows }) => rows.length))
  const inFlight = new Set<Promise<unknown>>()
  for (let i = 0; i < longest; i++) {
    const wait = speed === 0 ? 0 : began + (1000 * i) / speed - performance.now()
    if (wait > 1) await pause(wait)
    for (const { device, rows } of rigs) {
      if (i >= rows.length) continue
      const sent: Promise<unknown> = client.publishAsync(`telemetry/testbed/${device}`, rows[i]!.payload, { qos: 1 }).then(() => inFlight.delete(sent))
      inFlight.add(sent)
      if (inFlight.size >= WINDOW) await Promise.race(inFlight)
    }
  }
  await Promise.all(inFlight)
  await client.endAsync()
}

/** Everything acknowledged was scored. */
async function settled(http: string): Promise<void> {
  for (let i = 0; i < 300; i++) {
    const metrics = await (await fetch(`${http}/metrics`)).text()
    if (!/^picket_lag_records\{[^}]*\} [1-9]/m.test(metrics)) return
    await pause(100)
  }
  throw new Error('what was sent was not scored within 30 s')
}

async function revisionsIn(config: string): Promise<Incident[]> {
  const revisions: Incident[] = []
  for await (const line of verb(['log', 'read', 'incidents', '--json', '--config', config])) {
    const { incident } = JSON.parse(line) as { incident?: Incident }
    if (incident) revisions.push({ ...incident, id: '' })
  }
  const key = ({ device, cause, openedAt, revision }: Incident) => [device, cause, String(openedAt).padStart(15, '0'), String(revision).padStart(6, '0')].join()
  return revisions.sort((a, b) => (key(a) < key(b) ? -1 : 1))
}

function verdictOn({ device, rows }: Rig, revisions: readonly Incident[]): Verdict {
  const rowAt = new Map(rows.map(({ time }, row) => [time, row]))
  const openings = revisions
    .filter((incident) => incident.device === device && incident.revision === 1)
    .map(({ openedAt, cause, votes }) => ({ row: rowAt.get(openedAt)!, cause, detector: votes[0]?.detector ?? 'the rule' }))
    .sort((a, b) => a.row - b.row)
  const within = openings.filter(({ row }) => row > WARMUP && rows[row]!.faulty)
  return { device, healthy: device === HEALTHY, found: within[0] ?? null, outside: openings.length - within.length }
}

/** Prints a line a file; says what was missed. */
function judge(verdicts: readonly Verdict[]): string[] {
  for (const { device, healthy, found, outside } of verdicts) {
    const what = healthy ? 'no fault in it' : found ? `found at row ${found.row}, ${found.cause} (${found.detector})` : 'not found'
    process.stdout.write(`${device.padEnd(13)}  ${what.padEnd(40)}  ${outside} outside\n`)
  }
  const found = verdicts.filter((verdict) => verdict.found !== null).length
  const outside = verdicts.reduce((sum, verdict) => sum + verdict.outside, 0)
  const healthy = verdicts.reduce((sum, verdict) => sum + (verdict.healthy ? verdict.outside : 0), 0)
  process.stdout.write(`${found} of ${verdicts.length - 1} found, ${outside} opened outside a fault, ${healthy} of them on ${HEALTHY}\n`)
  return [
    ...(found < FOUND_LEAST ? [`${found} found, at least ${FOUND_LEAST} asked`] : []),
    ...(outside > OUTSIDE_MOST ? [`${outside} outside, at most ${OUTSIDE_MOST} allowed`] : []),
    ...(healthy > HEALTHY_MOST ? [`${healthy} on ${HEALTHY}, at most ${HEALTHY_MOST} allowed`] : []),
  ]
}
