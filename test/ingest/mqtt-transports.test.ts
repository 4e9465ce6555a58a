/** The MQTT source at a real Mosquitto, over each protocol and transport, and what is said where a certificate or password is wrong. */
import { readFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { createServer } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { freePorts } from '../parts/ports.ts'
import type { RunningMosquitto } from '../parts/mosquitto.ts'
import { withMosquitto } from '../parts/suites.ts'
import { after, connect, freshId, pem, publish, startSource, trusting, until, VERSIONS } from './mqtt-lab.ts'

const mqttUrl = ({ port }: RunningMosquitto) => `mqtt://127.0.0.1:${port}`

/** A door for wss, which this Mosquitto has not: TLS ends here, the rest is its ws. */
async function wssUrl({ wsPort, certificates }: RunningMosquitto): Promise<string> {
  const [port] = await freePorts(1)
  const { cert, key } = certificates!.server
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (socket) => {
    const behind = connectTcp(wsPort, '127.0.0.1')
    socket.on('error', () => behind.destroy())
    behind.on('error', () => socket.destroy())
    socket.pipe(behind).pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  after(() => server.close())
  return `wss://127.0.0.1:${port}`
}

const TRANSPORTS: readonly (readonly [string, (broker: RunningMosquitto) => string | Promise<string>])[] = [
  ['TCP', mqttUrl],
  ['TLS', ({ tlsPort }) => `mqtts://localhost:${tlsPort}`],
  ['a WebSocket', ({ wsPort }) => `ws://127.0.0.1:${wsPort}`],
  ['a WebSocket over TLS', wssUrl],
]

withMosquitto('An MQTT source', { tls: {}, websockets: true }, (mosquitto) => {
  describe.each(VERSIONS)('of MQTT %s', (version) => {
    it.each(TRANSPORTS)('takes a message over %s, and acknowledges it', async (_name, urlOf) => {
      const url = await urlOf(mosquitto())
      const clientId = freshId()
      const tls = /^(?:mqtts|wss)/.test(url) ? trusting(mosquitto().certificates!) : null
      const first = await startSource({ url, version, clientId, tls })
      await publish(mqttUrl(mosquitto()), 'telemetry/pump/p-7', '{"rpm":1500}')
      await until(() => first.received.length === 1)
      expect(first.received[0]).toMatchObject({ source: 'field', topic: 'telemetry/pump/p-7', qos: 1, dup: false, retain: false })
      await first.source.stop()
      // Not acknowledged, the session would bring it again.
      const second = await startSource({ url, version, clientId, tls })
      await publish(mqttUrl(mosquitto()), 'telemetry/pump/p-7', 'second')
      await until(() => second.received.length > 0)
      expect(second.texts()).toEqual(['second'])
    })
  })

  it('names the certificate it does not trust', async () => {
    const { source, meters } = await startSource(
      { url: `mqtts://localhost:${mosquitto().tlsPort}`, tls: pem({ ca: mosquitto().certificates!.strangerCa }) },
      { isUp: false },
    )
    await until(() => source.trouble?.() != null)
    expect(source.trouble!()).toMatch(/^source field: not connected to mqtts:\/\/localhost:\d+: the broker's certificate is not signed by tls\.ca/)
    expect(source.status().connectedSince).toBeNull()
    expect(meters.of('picket_source_refused_total', 'field', 'tls')).toBeGreaterThan(0)
  })

  it('says that nobody answers at the address', async () => {
    const [port] = await freePorts(1)
    const { source } = await startSource({ url: `mqtt://127.0.0.1:${port}` }, { isUp: false })
    await until(() => source.trouble?.() != null)
    expect(source.trouble!()).toBe(`source field: not connected to mqtt://127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`)
  })

  it('connects once the broker is there', async () => {
    const broker = mosquitto()
    await broker.kill()
    const { source, received } = await startSource({ url: mqttUrl(broker) }, { isUp: false })
    await until(() => source.trouble?.() != null)
    await broker.restart()
    await until(() => source.status().connectedSince !== null)
    expect(source.trouble!()).toBeNull()
    await publish(mqttUrl(broker), 'telemetry/pump/p-7', 'here')
    await until(() => received.length === 1)
  })
})

withMosquitto('A broker that asks for a client certificate', { tls: { lines: ['require_certificate true', 'use_identity_as_username true'] } }, (mosquitto) => {
  const url = () => `mqtts://localhost:${mosquitto().tlsPort}`

  it('lets a source with one in', async () => {
    const { ca, client } = mosquitto().certificates!
    const { received } = await startSource({ url: url(), tls: pem({ ca, ...client }) })
    await publish(mqttUrl(mosquitto()), 'telemetry/pump/p-7', 'here')
    await until(() => received.length === 1)
  })

  it('is told of where the source has none', async () => {
    const { source } = await startSource({ url: url(), tls: trusting(mosquitto().certificates!) }, { isUp: false })
    await until(() => source.trouble?.() != null)
    expect(source.trouble!()).toMatch(/TLS failed .*does the broker ask for a client certificate, tls\.cert and tls\.key\?$/)
  })
})

const USERS = { picket: 'right', device: 'device' }
const ACL = 'user picket\ntopic read telemetry/#\ntopic readwrite picket/+/marker\nuser device\ntopic readwrite #\n'

withMosquitto('A broker with passwords', { users: USERS, acl: ACL }, (mosquitto) => {
  it.each(VERSIONS)('is asked again after it refused the password, without a crash (MQTT %s)', async (version) => {
    const wanted = { url: mqttUrl(mosquitto()), version, username: 'picket', password: 'wrong' }
    const { source, meters, lines } = await startSource(wanted, { isUp: false })
    await until(() => meters.of('picket_source_refused_total', 'field', 'login') >= 3)
    expect(source.trouble!()).toContain(`not connected to ${mqttUrl(mosquitto())}: the broker refuses user picket: `)
    expect(source.trouble!()).toContain('mend username and password, or its rights at the broker')
    expect(lines.filter(({ message }) => message.includes('not connected'))).toHaveLength(1)
  })

  it('takes messages from a source that may read alone', async () => {
    const { received } = await startSource({ url: mqttUrl(mosquitto()), username: 'picket', password: 'right' })
    const device = await connect(mqttUrl(mosquitto()), { username: 'device', password: 'device' })
    await device.publishAsync('telemetry/pump/p-7', 'here', { qos: 1 })
    await until(() => received.length === 1)
  })
})
