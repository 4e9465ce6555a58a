/**
 * Acceptance of backup and restore: the real service under load, copied while it runs, killed; the copy restored elsewhere has what was
 * acknowledged before it was begun, equals the original up to its end, and goes on from there with nothing doubled.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Fleet } from './fleet.ts'
import { differingRows } from './rows.ts'
import { freePort, pause, Service, verb } from './service.ts'

const DEVICES = 60
const RATE = 1500
const FAULTS = new Map([
  [3, { at: 7_000, fault: 'pressure' as const }],
  [17, { at: 8_000, fault: 'temperature' as const }],
])

interface IncidentLine {
  readonly partition: number
  readonly offset: number
  readonly incident?: { readonly id: string; readonly revision: number }
}

const failures: string[] = []
function require(holds: boolean, what: string): void {
  process.stdout.write(`${holds ? 'ok    ' : 'FAILED'} ${what}\n`)
  if (!holds) failures.push(what)
}

const folder = await mkdtemp(join(tmpdir(), 'picket-backup-'))
const [mqttPort, httpPort] = [await freePort(), await freePort()]
const http = `http://127.0.0.1:${httpPort}`
const original = await configOf('original')
const restored = await configOf('restored')
const services = [original, restored].map((config) => new Service({ config, http }))
const fleet = new Fleet({ url: `mqtt://127.0.0.1:${mqttPort}`, devices: DEVICES, rate: RATE, faults: FAULTS })
try {
  await run(services[0]!, services[1]!)
} catch (error) {
  failures.push(String(error))
  process.stdout.write(`${error instanceof Error ? error.stack : error}\n${services.map(({ log }) => log).join('\n')}\n`)
} finally {
  for (const service of services) await service.kill()
  await fleet.stop()
  if (failures.length === 0) await rm(folder, { recursive: true })
  else process.stdout.write(`data kept in ${folder}\n`)
}
process.stdout.write(failures.length === 0 ? 'acceptance backup passed\n' : `acceptance backup FAILED: ${failures.length}\n`)
process.exitCode = failures.length === 0 ? 0 : 1

async function configOf(name: string): Promise<string> {
  const path = join(folder, `${name}.yaml`)
  const text = `listen: { mqtt: 127.0.0.1:${mqttPort}, http: 127.0.0.1:${httpPort} }
log: { embedded: { path: ${join(folder, name)}, partitions: 2 } }
state: { checkpoint: { interval: 2s } }
classes:
  pump:
    warmup: 50
    metrics: { pressure: { unit: bar, above: 100, severity: critical } }
    quarantine: { from: critical, for: 5s }
`
  await writeFile(path, text)
  return path
}

async function run(service: Service, again: Service): Promise<void> {
  await service.start()
  fleet.start()
  await pause(11_000)
  const before = new Set(fleet.acked)
  const began = performance.now()
  const backup = await linesOf(['backup', join(folder, 'backup'), '--config', original])
  require(backup.length === 1 && backup[0]!.includes('checksums verified'), `backup under load, ${Math.round(performance.now() - began)} ms: ${backup[0]}`)
  require(fleet.acked.size > before.size, `the service went on meanwhile (${fleet.acked.size - before.size} acknowledged)`)
  await pause(2000)
  await service.kill()
  const lines = await linesOf(['restore', join(folder, 'backup'), '--config', restored])
  require(lines.length === 1 && lines[0]!.includes('checksums verified'), `restore: ${lines[0]}`)
  await verifyCopy(before)
  const ms = await again.start()
  const { size } = fleet.acked
  await pause(5000)
  require(fleet.acked.size > size, `the fleet goes on with it (${fleet.acked.size - size} acknowledged)`)
  await fleet.quiet()
  await pause(1000)
  const { code } = await again.stop()
  require(code === 0, `Picket starts on it (ready after ${Math.round(ms)} ms) and ends with 0 (${code})`)
  await verifyIncidents()
  const differ = await differingRows(join(folder, 'restored'))
  require(differ.length === 0, `rows equal those of an undisturbed run over the same log${differ.length > 0 ? `: ${differ.slice(0, 3).join('; ')}` : ''}`)
}

async function linesOf(args: readonly string[]): Promise<string[]> {
  const lines: string[] = []
  for await (const line of verb(args)) lines.push(line)
  return lines
}

async function read(topic: string, config: string): Promise<string[]> {
  return linesOf(['log', 'read', topic, '--json', '--config', config])
}

/** What was restored is the beginning of what was there, with all that was acknowledged before the backup was begun. */
async function verifyCopy(before: ReadonlySet<string>): Promise<void> {
  for (const topic of ['readings', 'incidents', 'actions']) {
    const [all, copied] = [new Set(await read(topic, original)), await read(topic, restored)]
    const strange = copied.filter((line) => !all.has(line))
    require(copied.length > 0 && strange.length === 0, `${topic}: all ${copied.length} lines of the copy are the original's (${strange.length} are not), which has ${all.size}`)
  }
  const seen = new Set<string>()
  for (const line of await read('readings', restored)) {
    const { device, time } = JSON.parse(line) as { device?: string; time?: number }
    seen.add(`${device}:${time}`)
  }
  const missing = [...before].filter((key) => !seen.has(key))
  require(missing.length === 0, `all ${before.size} messages acknowledged before the backup are in it (${missing.length} missing)`)
}

/** Incidents that detect made again after the restore bear their old ids and revisions, so that readers drop them: each revision says one thing. */
async function verifyIncidents(): Promise<void> {
  const said = new Map<string, string>()
  let different = 0
  for (const line of await read('incidents', restored)) {
    const { incident } = JSON.parse(line) as IncidentLine
    if (!incident) continue
    const key = `${incident.id}/${incident.revision}`
    const text = JSON.stringify(incident)
    if (said.has(key) && said.get(key) !== text) different++
    said.set(key, text)
  }
  const revisions = new Map<string, number[]>()
  for (const key of said.keys()) revisions.set(key.split('/')[0]!, [...(revisions.get(key.split('/')[0]!) ?? []), Number(key.split('/')[1])])
  const gaps = [...revisions.values()].filter((numbers) => Math.max(...numbers) !== numbers.length)
  require(revisions.size >= 2 && different === 0 && gaps.length === 0, `${revisions.size} incidents, each revision once and the same (${different} differ, ${gaps.length} have gaps)`)
}
