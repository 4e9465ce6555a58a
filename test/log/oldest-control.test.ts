/** Which record of a readings partition names the topic it belongs to. */
import { beforeEach, expect, it } from 'vitest'
import { encodeControl } from '../../src/log/control.ts'
import { MemoryCluster } from '../../src/log/memory.ts'
import { oldestControl } from '../../src/log/oldest-control.ts'
import { ManualClock } from '../clock.ts'

let cluster: MemoryCluster
const frame = Buffer.from('a frame')

beforeEach(() => {
  cluster = new MemoryCluster({ partitions: 1, clock: new ManualClock() })
})

function control(incarnation: string): Buffer {
  return encodeControl({ id: 'x', incarnation, at: 1, body: { kind: 'tick', writer: 'w', sources: [] } })
}

async function put(...values: readonly Uint8Array[]) {
  const log = cluster.connect()
  await log.append('readings', 0, values.map((value) => ({ key: '', value })))
  return log
}

it('the oldest kept, behind frames', async () => {
  const log = await put(...Array.from({ length: 100 }, () => frame), control('first'), control('second'))
  expect(await oldestControl(log, 0, { most: 1000 })).toEqual({ offset: 100, incarnation: 'first' })
})

it('the next one where the oldest is damaged', async () => {
  const log = await put(control('damaged').subarray(0, 20), control('first'))
  expect(await oldestControl(log, 0, { most: 1000 })).toEqual({ offset: 1, incarnation: 'first' })
})

it('the first from a place on', async () => {
  const log = await put(control('first'), frame, control('second'))
  expect(await oldestControl(log, 0, { from: 1, most: 1000 })).toEqual({ offset: 2, incarnation: 'second' })
})

it('of what is looked at, not of what is read', async () => {
  const log = await put(frame, frame, frame, control('first'))
  cluster.trim('readings', 0, 3)
  expect(await oldestControl(log, 0, { from: 0, most: 3 })).toBe(null)
  expect(await oldestControl(log, 0, { from: 0, most: 4 })).toEqual({ offset: 3, incarnation: 'first' })
})

it('none in a partition without', async () => {
  expect(await oldestControl(await put(frame), 0, { most: 1000 })).toBe(null)
  expect(await oldestControl(new MemoryCluster({ partitions: 1, clock: new ManualClock() }).connect(), 0, { most: 1000 })).toBe(null)
})
