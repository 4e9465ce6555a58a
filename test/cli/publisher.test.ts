/** The MQTT client of `replay` against a real broker on a free port. */
import { EventEmitter } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { Aedes } from 'aedes'
import { expect, onTestFinished, test } from 'vitest'
import { connectMqtt, onlineOf } from '../../src/cli/publisher.ts'
import { settle } from '../clock.ts'

async function broker(options: ConstructorParameters<typeof Aedes>[0] = {}) {
  const aedes = await Aedes.createBroker(options)
  const server = createServer(aedes.handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    await new Promise<void>((resolve) => aedes.close(resolve))
    server.close()
  })
  return { port: (server.address() as AddressInfo).port }
}

const client = (port: number) => ({ url: `mqtt://127.0.0.1:${port}`, tls: null, clientId: 'c1', username: null, password: null })

test('publishes at QoS 1 and resolves with the acknowledgement', async () => {
  const seen: unknown[] = []
  const { port } = await broker({
    authorizePublish: (_client, packet, done) => {
      seen.push([packet.topic, packet.payload.toString(), packet.qos])
      done(null)
    },
  })
  const publisher = await connectMqtt(client(port))
  await publisher.publish('telemetry/pump/p1', '{"x":1}')
  expect(seen).toEqual([['telemetry/pump/p1', '{"x":1}', 1]])
  await publisher.end()
})

test('a message that is not acknowledged yet stays open', async () => {
  let acknowledge = () => {}
  const arrived = new Promise<void>((resolve) => {
    acknowledge = resolve
  })
  let release: (() => void) | undefined
  const { port } = await broker({
    authorizePublish: (_client, _packet, done) => {
      release = () => done(null)
      acknowledge()
    },
  })
  const publisher = await connectMqtt(client(port))
  let isAcked = false
  const sent = publisher.publish('t', 'x').then(() => (isAcked = true))
  await arrived
  expect(isAcked).toBe(false)
  release?.()
  await sent
  await publisher.end()
})

test('what a lost connection left unacknowledged is sent again, flagged as a repeat', async () => {
  const seen: [string, boolean][] = []
  const { port } = await broker({
    authorizePublish: (from, packet, done) => {
      seen.push([packet.payload.toString(), packet.dup])
      if (seen.length === 1) from?.close()
      else done(null)
    },
  })
  const publisher = await connectMqtt(client(port))
  await publisher.publish('t', 'first')
  await publisher.publish('t', 'second')
  expect(seen).toEqual([
    ['first', false],
    ['first', true],
    ['second', false],
  ])
  await publisher.end()
})

test('what is published while there is no connection waits for the next one', async () => {
  const connection = Object.assign(new EventEmitter(), { connected: true })
  const online = onlineOf(connection)
  await online()
  connection.connected = false
  connection.emit('close')
  let isOnline = false
  const waiting = Promise.all([online(), online()]).then(() => (isOnline = true))
  connection.emit('close')
  await settle()
  expect(isOnline).toBe(false)
  connection.connected = true
  connection.emit('connect')
  await waiting
})

test('nobody listening says how to start Picket', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const free = (server.address() as AddressInfo).port
  await new Promise((resolve) => server.close(resolve))
  await expect(connectMqtt(client(free))).rejects.toThrow(`no MQTT broker answers at mqtt://127.0.0.1:${free}; start Picket with npm start`)
})

test('refused credentials say which options give them', async () => {
  const { port } = await broker({ authenticate: (_client, username, password, done) => done(null, username === 'p1' && password?.toString() === 'pw') })
  await expect(connectMqtt(client(port))).rejects.toThrow('refuses these credentials; give --username and --password')
  const publisher = await connectMqtt({ ...client(port), username: 'p1', password: 'pw' })
  await publisher.end()
})
