/**
 * Acceptance of the whole way: the real process under load, killed −9 twenty times at random; then nothing acknowledged is missing, nothing is doubled,
 * every quarantine has ended, and the rows are those of a run over the same log that nobody disturbed.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requireIncidents, requireQuarantines } from './expected.ts'
import { Fleet, type FleetOptions } from './fleet.ts'
import { Receiver } from './receiver.ts'
import { differingRows } from './rows.ts'
import { freePort, pause, Service, verb } from './service.ts'

const KILLS = Number(process.argv[2] ?? 20)
const DEVICES = 100
const RATE = 2000
/** Longer than two restarts on a busy machine, so that a device which comes back finds its desired state. */
const LEASE_MS = 25_000

const FAULTS: FleetOptions['faults'] = new Map([
  [3, { at: 15_000, fault: 'pressure' }],
  [17, { at: 20_000, fault: 'temperature' }],
  [31, { at: 24_000, fault: 'temperature' }],
  [48, { at: 30_000, fault: 'pressure' }],
  [59, { at: 34_000, fault: 'temperature' }],
  [77, { at: 38_000, fault: 'pressure' }],
  [92, { at: 42_000, fault: 'temperature' }],
])

const failures: string[] = []
function require(holds: boolean, what: string): void {
  process.stdout.write(`${holds ? 'ok    ' : 'FAILED'} ${what}\n`)
  if (!holds) failures.push(what)
}

const folder = await mkdtemp(join(tmpdir(), 'picket-skeleton-'))
const receiver = new Receiver()
const hook = await receiver.start()
const [mqttPort, httpPort] = [await freePort(), await freePort()]
const http = `http://127.0.0.1:${httpPort}`
const config = join(folder, 'picket.yaml')
await writeFile(
  config,
  `listen: { mqtt: 127.0.0.1:${mqttPort}, http: 127.0.0.1:${httpPort} }
log: { embedded: { path: ${join(folder, 'data')}, partitions: 4 } }
state: { checkpoint: { interval: 2s } }
classes:
  pump:
    warmup: 100
    metrics: { pressure: { unit: bar, above: 100, severity: critical } }
    quarantine: { from: critical, for: ${LEASE_MS / 1000}s }
notify: [ { webhook: { url: "${hook}", secret: ${receiver.secret} } } ]
`,
)
const service = new Service({ config, http })
const fleet = new Fleet({ url: `mqtt://127.0.0.1:${mqttPort}`, devices: DEVICES, rate: RATE, faults: FAULTS })
try {
  await disturb()
  await verify()
} catch (error) {
  failures.push(String(error))
  process.stdout.write(`${error instanceof Error ? error.stack : error}\n${service.log}\n`)
} finally {
  await service.kill()
  await fleet.stop()
  receiver.stop()
  if (failures.length === 0) await rm(folder, { recursive: true })
  else process.stdout.write(`data kept in ${folder}\n`)
}
process.stdout.write(failures.length === 0 ? 'acceptance skeleton passed\n' : `acceptance skeleton FAILED: ${failures.length}\n`)
process.exitCode = failures.length === 0 ? 0 : 1

async function disturb(): Promise<void> {
  const starts = [await service.start()]
  fleet.start()
  await pause(8000) // warm-up without a fault or a kill, so that every device is known
  for (let kill = 0; kill < KILLS; kill++) {
    await pause(500 + Math.random() * 3500)
    await service.kill()
    starts.push(await service.start())
  }
  process.stdout.write(`killed ${KILLS} times; ready again after ${starts.map((ms) => Math.round(ms)).join(', ')} ms\n`)
  // Every fault has come, its lease has ended, and fifteen calm readings have closed its incident.
  const faultsEnd = Math.max(...[...FAULTS.values()].map(({ at }) => at)) - 8000 - KILLS * 3000
  await pause(Math.max(0, faultsEnd) + LEASE_MS + 10_000)
  await fleet.quiet()
  await settled()
}

async function settled(): Promise<void> {
  for (let i = 0; i < 300; i++) {
    const metrics = await (await fetch(`${http}/metrics`)).text()
    if (/^picket_outbox 0$/m.test(metrics) && !/^picket_lag_records\{[^}]*\} [1-9]/m.test(metrics)) return
    await pause(100)
  }
  throw new Error('outbox or lag did not drain within 30 s')
}

async function verify(): Promise<void> {
  const { code, ms } = await service.stop()
  require(code === 0, `SIGTERM ends it with 0 (${code}) in ${Math.round(ms)} ms`)
  await verifyReadings()
  requireIncidents(receiver, FAULTS, require)
  requireQuarantines(fleet, FAULTS, require)
  const differ = await differingRows(join(folder, 'data'))
  require(differ.length === 0, `rows equal those of an undisturbed run over the same log${differ.length > 0 ? `: ${differ.slice(0, 3).join('; ')}` : ''}`)
}

async function verifyReadings(): Promise<void> {
  const seen = new Map<string, number>()
  let doubled = 0
  let flagged = 0
  for await (const line of verb(['log', 'read', 'readings', '--json', '--config', config])) {
    const record = JSON.parse(line) as { device?: string; time?: number; flags?: string[] }
    if (record.flags === undefined) continue // a control record
    const key = `${record.device}:${record.time}`
    const isFlagged = record.flags!.includes('dup')
    if (seen.has(key) && isFlagged) flagged++
    if (seen.has(key) && !isFlagged) doubled++
    seen.set(key, (seen.get(key) ?? 0) + 1)
  }
  const missing = [...fleet.acked].filter((key) => !seen.has(key))
  require(missing.length === 0, `all ${fleet.acked.size} acknowledged messages are in the log (${missing.length} missing)`)
  require(doubled === 0, `none is there twice unless flagged as a duplicate (${doubled} are; ${flagged} flagged)`)
}
