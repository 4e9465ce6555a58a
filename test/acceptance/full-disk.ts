/**
 * Acceptance of a full disk: the real service under load on a small disk that somebody else fills. It says so and what to do, acknowledges
 * nothing, stays, takes an operator's quarantine all the same; with room again it goes on by itself, and nothing it acknowledged is missing.
 */
import { execFileSync } from 'node:child_process'
import { statfsSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Fleet } from './fleet.ts'
import { freePort, pause, Service, verb } from './service.ts'

const DEVICES = 50
const RATE = 1000
const DISK = '128m'
const RESERVE_MIB = 8
const LEFT_BYTES = 2 * 1024 * 1024
const FULL_MS = 60_000
const RECOVER_MS = 20_000

const failures: string[] = []
function require(holds: boolean, what: string): void {
  process.stdout.write(`${holds ? 'ok    ' : 'FAILED'} ${what}\n`)
  if (!holds) failures.push(what)
}

const folder = await mkdtemp(join(tmpdir(), 'picket-full-disk-'))
const disk = join(folder, 'disk')
await mkdir(disk)
const ballast = join(folder, 'full')
const isMounted = process.argv[2] !== '--no-mount' && mounted()
if (!isMounted) process.stdout.write('no small file system can be mounted here: the process is told ENOSPC instead (test/acceptance/small-disk.mjs)\n')

const [mqttPort, httpPort] = [await freePort(), await freePort()]
const http = `http://127.0.0.1:${httpPort}`
const config = join(folder, 'picket.yaml')
await writeFile(
  config,
  `listen: { mqtt: 127.0.0.1:${mqttPort}, http: 127.0.0.1:${httpPort} }
log: { embedded: { path: ${join(disk, 'data')}, partitions: 2, reserve: ${RESERVE_MIB}MiB } }
state: { checkpoint: { interval: 2s } }
`,
)
process.env['FULL_DISK'] = ballast
const service = new Service({ config, http, ...(!isMounted && { nodeArgs: ['--import', join(process.cwd(), 'test/acceptance/small-disk.mjs')] }) })
const fleet = new Fleet({ url: `mqtt://127.0.0.1:${mqttPort}`, devices: DEVICES, rate: RATE, faults: new Map() })
try {
  await run()
} catch (error) {
  failures.push(String(error))
  process.stdout.write(`${error instanceof Error ? error.stack : error}\n${service.log}\n`)
} finally {
  await service.kill()
  await fleet.stop()
  if (isMounted) execFileSync('umount', [disk])
  if (failures.length === 0 || isMounted) await rm(folder, { recursive: true })
  else process.stdout.write(`data kept in ${folder}\n`)
}
process.stdout.write(failures.length === 0 ? 'acceptance full-disk passed\n' : `acceptance full-disk FAILED: ${failures.length}\n`)
process.exitCode = failures.length === 0 ? 0 : 1

function mounted(): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'tmpfs', disk], { stdio: 'ignore' })
    return true
  } catch {
    return false // the other way is said and used
  }
}

/** Leaves so little room that the load fills it within seconds. */
function fillUp(): void {
  if (!isMounted) return writeFileSync(ballast, String(LEFT_BYTES))
  const { bavail, bsize } = statfsSync(disk)
  writeFileSync(join(disk, 'ballast'), Buffer.alloc(bavail * bsize - LEFT_BYTES, 1))
}

async function makeRoom(): Promise<void> {
  await rm(isMounted ? join(disk, 'ballast') : ballast)
}

async function reasons(): Promise<string> {
  const answer = await fetch(`${http}/readyz`)
  return answer.ok ? '' : await answer.text()
}

/** The ms until `holds`. */
async function within(ms: number, what: string, holds: () => Promise<boolean>): Promise<number> {
  const began = performance.now()
  while (!(await holds())) {
    if (performance.now() - began > ms) throw new Error(`${what}: not within ${ms} ms`)
    await pause(50)
  }
  return performance.now() - began
}

async function run(): Promise<void> {
  await service.start()
  fleet.start()
  await pause(4000)
  fillUp()
  await within(FULL_MS, 'a full disk', async () => (await reasons()).includes('the disk is full'))
  await pause(1500) // what was under way is settled
  const before = fleet.acked.size
  await pause(3000)
  const why = await reasons()
  require(why.includes(join(disk, 'data')) && why.includes('free') && why.includes('log.embedded.retention.size'), `/readyz is false, names the folder and what to do: ${why.trim().split('\n')[0]}`)
  require(service.log.includes('the disk is full'), 'the log says it')
  require(before > 0 && fleet.acked.size === before, `nothing is acknowledged meanwhile (${before} before, ${fleet.acked.size - before} since)`)
  require(service.isRunning && (await fetch(`${http}/healthz`)).ok, 'the process stays')
  const answer = await fetch(`${http}/api/v1/devices/pump-7/quarantine`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ for: '30s', reason: 'the disk is full' }),
  })
  require(answer.ok, `an operator's quarantine is taken all the same (${answer.status})`)
  await makeRoom()
  const ready = await within(RECOVER_MS, 'ready again', async () => (await reasons()) === '')
  process.stdout.write(`ready again ${Math.round(ready)} ms after there was room\n`)
  await within(RECOVER_MS, 'acknowledging again', async () => fleet.acked.size > before + RATE)
  require(service.isRunning && service.starts === 1, 'it was the same process all along')
  await within(RECOVER_MS, 'the quarantine', async () => fleet.members[7]!.quarantines === 1)
  await fleet.quiet()
  const { code } = await service.stop()
  require(code === 0, `SIGTERM ends it with 0 (${code})`)
  await verify()
}

async function verify(): Promise<void> {
  const seen = new Set<string>()
  let doubled = 0
  for await (const line of verb(['log', 'read', 'readings', '--json', '--config', config])) {
    const { device, time, flags } = JSON.parse(line) as { device?: string; time?: number; flags?: string[] }
    if (!flags) continue // a control record
    if (seen.has(`${device}:${time}`) && !flags.includes('dup')) doubled++
    seen.add(`${device}:${time}`)
  }
  const missing = [...fleet.acked].filter((key) => !seen.has(key))
  require(missing.length === 0, `all ${fleet.acked.size} acknowledged messages are in the log (${missing.length} missing)`)
  require(doubled === 0, `none is there twice unless flagged as a duplicate (${doubled} are)`)
}
