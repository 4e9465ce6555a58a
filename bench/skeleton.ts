/**
 * Bench of what the skeleton has of DESIGN.md section 8: the hot loop, what a series weighs, restore, and, on the real service under load over MQTT,
 * CPU a message and the time from a device's bad reading to its quarantine command, beside the disk's own fdatasync in the same run.
 */
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { freePort, pause, Service } from '../test/acceptance/service.ts'
import { Load } from './load.ts'
import { benchRows } from './rows.ts'

const METRICS = 8
const PROBES = 200
const PROBE_EVERY_MS = 50

const figures: Record<string, number> = {}
const say = (text: string) => process.stdout.write(`${text}\n`)

/** The statistical ones of a series: what DESIGN.md section 8 asks 3 M readings/s and 640 B of. */
const STATISTICAL = ['level', 'season', 'drift', 'stuck']
const statistical = benchRows(1250, STATISTICAL)
say(`hot loop, 10 k series of ${STATISTICAL.join(', ')}: ${millions(statistical.readingsPerSecond)} M readings/s, ${statistical.bytesPerSeries} B a series`)
const small = benchRows(1250)
say(`hot loop, 10 k series of all detectors: ${millions(small.readingsPerSecond)} M readings/s, ${small.microsPerMessage.toFixed(2)} µs a message of 8`)
const large = benchRows(125_000)
say(`hot loop, 1 M series: ${millions(large.readingsPerSecond)} M readings/s; ${large.bytesPerSeries} B a series; restore of 1 M series ${large.restoreSeconds.toFixed(2)} s`)
Object.assign(figures, {
  statisticalReadingsPerSecond10k: Math.round(statistical.readingsPerSecond),
  readingsPerSecond10k: Math.round(small.readingsPerSecond),
  readingsPerSecond1M: Math.round(large.readingsPerSecond),
  bytesPerSeries: large.bytesPerSeries,
  restoreSeconds1M: round(large.restoreSeconds),
})
await service()
say(JSON.stringify(figures))

async function service(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'picket-bench-'))
  const [mqttPort, httpPort] = [await freePort(), await freePort()]
  const config = join(folder, 'picket.yaml')
  await writeFile(
    config,
    `listen: { mqtt: 127.0.0.1:${mqttPort}, http: 127.0.0.1:${httpPort} }
log: { embedded: { path: ${join(folder, 'data')}, partitions: 4 } }
classes:
  probe:
    metrics: { pressure: { above: 100, severity: critical } }
    quarantine: { from: critical, for: 60s }
`,
  )
  const running = new Service({ config, http: `http://127.0.0.1:${httpPort}` })
  await running.start()
  try {
    await costAMessage(mqttPort, `http://127.0.0.1:${httpPort}`)
    await commandLatency(mqttPort, folder)
  } finally {
    await running.stop()
    await rm(folder, { recursive: true })
  }
}

async function costAMessage(port: number, http: string): Promise<void> {
  const load = new Load({ port, connections: 100, messagesPerSecond: 20_000, metrics: METRICS })
  await load.start()
  await pause(5000) // the code is compiled and the rows are there
  const before = await cpuAndMessages(http)
  await pause(10_000)
  const after = await cpuAndMessages(http)
  load.stop()
  const messages = after.messages - before.messages
  figures['messagesPerSecond'] = Math.round(messages / 10)
  figures['cpuMicrosPerMessage'] = round(((after.cpu - before.cpu) * 1e6) / messages)
  say(`from MQTT, QoS 1, durable, 20 k/s asked: ${figures['messagesPerSecond']} messages/s at ${figures['cpuMicrosPerMessage']} µs CPU each (${load.skipped} not sent: window full)`)
}

async function cpuAndMessages(http: string): Promise<{ cpu: number; messages: number }> {
  const text = await (await fetch(`${http}/metrics`)).text()
  const value = (name: string) => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? NaN)
  return { cpu: value('process_cpu_seconds_total'), messages: value('picket_messages_received_total') }
}

/** At 5 k messages/s of others, each probe sends one reading above its limit and waits for its command. */
async function commandLatency(port: number, folder: string): Promise<void> {
  const load = new Load({ port, connections: 100, messagesPerSecond: 5000, metrics: METRICS })
  await load.start()
  const waiting = new Map<string, (moment: number) => void>()
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { clientId: 'probes' })
  await client.subscribeAsync('picket/+/command', { qos: 1 })
  client.on('message', (topic) => waiting.get(topic)?.(performance.now()))
  await pause(3000)
  const syncing = new AbortController()
  const syncs = measureSyncs(folder, syncing.signal)
  const took: number[] = []
  for (let i = 0; i < PROBES; i++) {
    const device = `probe-${i}`
    const began = performance.now()
    const command = new Promise<number>((resolve) => waiting.set(`picket/${device}/command`, resolve))
    client.publish(`telemetry/probe/${device}`, '{"pressure":500}', { qos: 1 })
    void command.then((moment) => took.push(moment - began))
    await pause(PROBE_EVERY_MS)
  }
  await pause(2000)
  syncing.abort()
  load.stop()
  await client.endAsync()
  const disk = await syncs
  Object.assign(figures, { commandP50Ms: quantile(took, 0.5), commandP99Ms: quantile(took, 0.99), fdatasyncP50Ms: quantile(disk, 0.5), fdatasyncP99Ms: quantile(disk, 0.99), probesAnswered: took.length })
  say(`device to quarantine command at 5 k messages/s: p50 ${figures['commandP50Ms']} ms, p99 ${figures['commandP99Ms']} ms (${took.length} of ${PROBES} answered)`)
  say(`fdatasync of 4 KiB on the same disk meanwhile: p50 ${figures['fdatasyncP50Ms']} ms, p99 ${figures['fdatasyncP99Ms']} ms`)
  const allowed = [2.5 * figures['fdatasyncP50Ms']! + 2, 2.5 * figures['fdatasyncP99Ms']! + 8]
  say(`allowed (2.5 × p50 + 2, 2.5 × p99 + 8): ${allowed.map((ms) => ms.toFixed(1)).join(' and ')} ms`)
}

async function measureSyncs(folder: string, signal: AbortSignal): Promise<number[]> {
  const file = await open(join(folder, 'syncs'), 'w')
  const block = Buffer.alloc(4096, 1)
  const took: number[] = []
  while (!signal.aborted) {
    await file.write(block)
    const began = performance.now()
    await file.datasync()
    took.push(performance.now() - began)
    await pause(20)
  }
  await file.close()
  return took
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN)
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

function millions(value: number): string {
  return (value / 1e6).toFixed(2)
}
