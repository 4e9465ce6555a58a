/** `log.frame.messages`: how many messages a record of the readings holds at most; with 1, records other tools can read by their key. */
import { expect, test } from 'vitest'
import { decodeFrame, isFrame } from '../../src/log/frame.ts'
import type { MemoryCluster } from '../../src/log/memory.ts'
import { makeLab, messagesIn } from './lab.ts'

function framesOf(cluster: MemoryCluster) {
  return cluster.dump('readings', 0).flatMap(({ key, value }) => (value && isFrame(value) ? [{ key, messages: decodeFrame(value).device.length }] : []))
}

async function sent(frameMessages: number | undefined, payloads: readonly (readonly [topic: string, payload: string])[]) {
  const { clock, cluster, source, ingest } = makeLab({ cluster: { partitions: 1 }, ...(frameMessages === undefined ? {} : { limits: { frameMessages } }) })
  const starting = ingest.start()
  await clock.advance(10)
  await starting
  const acked = Promise.all(payloads.map(([topic, payload]) => source.send(topic, payload)))
  await clock.advance(100)
  await acked
  return cluster
}

const THREE = [['telemetry/pump/a', '{"t":1}'], ['telemetry/pump/b', '{"t":2}'], ['telemetry/pump/a', '{"t":3}']] as const

test('with 1, each message is a record under the name of its device, in the order they came', async () => {
  const cluster = await sent(1, THREE)
  expect(framesOf(cluster)).toEqual([{ key: 'a', messages: 1 }, { key: 'b', messages: 1 }, { key: 'a', messages: 1 }])
  expect(messagesIn(cluster, 0).map(({ device, metrics }) => [device, metrics])).toEqual([['a', { t: 1 }], ['b', { t: 2 }], ['a', { t: 3 }]])
})

test('with 2, a record holds two, of whatever devices, and has no key', async () => {
  expect(framesOf(await sent(2, THREE))).toEqual([{ key: '', messages: 2 }, { key: '', messages: 1 }])
})

test('left out, all that came together is one record', async () => {
  expect(framesOf(await sent(undefined, THREE))).toEqual([{ key: '', messages: 3 }])
})

test('with 1, the samples of one payload are records of their own, in its order', async () => {
  const cluster = await sent(1, [['telemetry/pump/a', '[{"ts":1700000000001,"t":1},{"ts":1700000000002,"t":2},{"ts":1700000000003,"t":3}]']])
  expect(framesOf(cluster)).toEqual([{ key: 'a', messages: 1 }, { key: 'a', messages: 1 }, { key: 'a', messages: 1 }])
  expect(messagesIn(cluster, 0).map(({ metrics }) => metrics)).toEqual([{ t: 1 }, { t: 2 }, { t: 3 }])
})

test('samples are told apart as they are in one frame', async () => {
  const payloads = (cluster: MemoryCluster) => cluster.dump('readings', 0).flatMap(({ value }) => (value && isFrame(value) ? [...decodeFrame(value).payload] : []))
  const twice = [['telemetry/pump/a', '[{"t":1},{"t":1}]']] as const
  expect(payloads(await sent(1, twice))).toEqual(payloads(await sent(undefined, twice)))
})
