/** Two processes and one source at a real Mosquitto: who holds the session, and that a takeover loses nothing. */
import { expect, it } from 'vitest'
import { createIngest } from '../../src/ingest/ingest.ts'
import { createMqttSource } from '../../src/ingest/mqtt.ts'
import { MemoryCluster } from '../../src/log/memory.ts'
import { systemClock } from '../../src/ops/clock.ts'
import { systemRandom } from '../../src/ops/random.ts'
import { withMosquitto } from '../parts/suites.ts'
import { keepingLogger, LIMITS, messagesIn, Meters, SETTINGS } from './lab.ts'
import { after, connect, freshId, leading, numbered, publishAll, SOON, startSource, until } from './mqtt-lab.ts'

/** Processes with one source each, under one client id, over one log. */
async function startProcesses(url: string) {
  const cluster = new MemoryCluster({ clock: systemClock, partitions: 2, takeoverMs: 1_000 })
  const [clientId, root] = [freshId(), freshId()]
  const start = async (name: string) => {
    const log = cluster.connect({ name })
    const meters = new Meters()
    const ports = { clock: systemClock, random: systemRandom, logger: keepingLogger().logger, metrics: meters }
    const topics = [`${root}/{class}/{device}`]
    const source = createMqttSource({ ...ports, name: 'field', url, version: 5, username: null, password: null, tls: null, clientId, topics, nameLength: 64, reconnect: SOON })
    const ingest = createIngest({ ...ports, log, sources: [{ source, patterns: topics }], limits: LIMITS, settings: SETTINGS, settingsHash: 'hash', name })
    await ingest.start()
    after(() => (log.live ? ingest.stop() : source.stop()))
    return { log, source, ingest, meters, isUp: () => source.status().connectedSince !== null }
  }
  const first = await start('ingest-1')
  const second = await start('ingest-2')
  await until(first.isUp)
  const values = () => [0, 1].flatMap((partition) => messagesIn(cluster, partition)).map(({ metrics, flags }) => ({ value: metrics['value']!, isDup: (flags & 1) !== 0 }))
  return { cluster, clientId, first, second, topic: `${root}/pump/p-7`, values }
}

withMosquitto('A takeover of an MQTT source', { lines: ['max_inflight_messages 1000'] }, (mosquitto) => {
  const url = () => `mqtt://127.0.0.1:${mosquitto().port}`

  it('loses nothing under load, and what came twice says so', async () => {
    const { cluster, first, second, topic, values } = await startProcesses(url())
    const device = await connect(url())
    const [one, two, three] = [numbered(500), numbered(500, 500), numbered(500, 1_000)]
    await publishAll(device, topic, one)
    const sending = publishAll(device, topic, two)
    cluster.assignLeader('source-field', second.log)
    await sending
    await until(second.isUp)
    expect(first.isUp()).toBe(false)
    await publishAll(device, topic, three)
    await until(() => new Set(values().map(({ value }) => value)).size === 1_500)
    const seen = new Set<number>()
    for (const { value, isDup } of values()) {
      if (seen.has(value)) expect(isDup).toBe(true)
      seen.add(value)
    }
  })

  it('follows the crash of its leader within seconds', async () => {
    const { first, second, topic, values } = await startProcesses(url())
    first.log.crash()
    await first.source.stop() // its sockets go with it
    const device = await connect(url())
    await publishAll(device, topic, numbered(100))
    const crashed = performance.now()
    await until(second.isUp)
    expect(performance.now() - crashed).toBeLessThan(10_000)
    await until(() => new Set(values().map(({ value }) => value)).size === 100)
  })

  it('ends the connection of a leader that did not notice, which opens none again before it is confirmed', async () => {
    const about = { url: url(), clientId: freshId(), topics: [`${freshId()}/{device}`] }
    let asked = 0
    const unaware = { ...leading(), confirmed: () => new Promise<void>(() => void asked++) }
    const old = await startSource(about, { lead: unaware })
    const next = await startSource(about, { lead: leading() })
    await until(() => asked === 1)
    expect(old.source.status().connectedSince).toBeNull()
    expect(old.source.trouble!()).toContain(`does another client use client id ${about.clientId}?`)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(next.source.status().connectedSince).not.toBeNull()
    expect(next.source.trouble!()).toBeNull()
  })
})
