/** What devices answer, under a hundred thousand inputs: handed on when it is good, dropped and counted else, and nothing else. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createDeviceCommand } from '../../src/respond/device-command.ts'
import type { Ack } from '../../src/respond/enforcer.ts'
import { ManualClock } from '../clock.ts'
import { MemoryChannel } from './channel.ts'
import { CountingMetrics, silent, START } from './fleet.ts'

const ACKS = 100_000
const topic = 'picket/hall%2Fpump 1/ack'
const good = { v: 1, id: 'a'.repeat(24), generation: START, status: 'done', reason: '' }

it('an answer of any bytes never throws, and is handed on only when it is good', { timeout: 60_000 }, async () => {
  const channel = new MemoryChannel()
  const acks: Ack[] = []
  createDeviceCommand({ channel, clock: new ManualClock(START), metrics: new CountingMetrics(), logger: silent, key: null }).onAck(async (ack) => void acks.push(ack))
  const field = fc.oneof(fc.jsonValue(), fc.constantFrom(1, START, 'a'.repeat(24), 'done', 'accepted', '', 'x'.repeat(600)))
  const changed = fc.dictionary(fc.constantFrom('v', 'id', 'generation', 'status', 'reason', '__proto__'), field, { maxKeys: 2 }).map((change) => JSON.stringify({ ...good, ...change }))
  const payload = fc.oneof(changed, fc.uint8Array().map((bytes) => Buffer.from(bytes)), fc.json(), fc.constant('['.repeat(4_000)), fc.constant(Buffer.alloc(5_000, 0x78)))
  const where = fc.oneof(fc.constant(topic), fc.constant(topic), fc.string(), fc.string().map((level) => `picket/${level}/ack`))
  await fc.assert(fc.asyncProperty(where, payload, async (at, bytes) => channel.say(at, bytes)), { numRuns: ACKS })
  expect(acks.length).toBeGreaterThan(100)
  expect(acks.length).toBeLessThan(ACKS - 100)
  for (const { id, generation, status, reason } of acks)
    if (id.length > 64 || !Number.isSafeInteger(generation) || !/^(accepted|done|rejected|failed)$/.test(status) || reason.length > 500) throw new Error(`handed on: ${id} ${generation} ${status}`)
})
