/** When respond knows all that stood in the log at its takeover. */
import { beforeEach, expect, it } from 'vitest'
import { MemoryCluster } from '../../src/log/memory.ts'
import type { MemoryLog } from '../../src/log/memory.ts'
import { Intake } from '../../src/respond/intake.ts'
import type { IntakeOptions } from '../../src/respond/intake.ts'
import { ResponderState } from '../../src/respond/state.ts'
import { ManualClock } from '../clock.ts'

let clock: ManualClock
let writer: MemoryLog
let state: ResponderState
let isAbreast: boolean

beforeEach(async () => {
  clock = new ManualClock()
  const cluster = new MemoryCluster({ partitions: 2, clock })
  writer = cluster.connect()
  state = new ResponderState()
  writer.stall()
  await writer.append('incidents', 1, [{ key: '', value: Buffer.from('one') }, { key: '', value: Buffer.from('two') }])
  const used = { log: cluster.connect(), clock, on: { state }, signal: new AbortController().signal }
  isAbreast = false
  void new Intake(used as unknown as IntakeOptions).abreast().then(() => (isAbreast = true))
  state.offsets.set('incidents/1', 1)
  await clock.advance(10_000)
})

it('as soon as that is decided on, whatever comes after it', async () => {
  expect(isAbreast).toBe(false)
  await writer.append('incidents', 1, [{ key: '', value: Buffer.from('three') }])
  state.offsets.set('incidents/1', 2)
  await clock.advance(1_000)
  expect(isAbreast).toBe(true)
})

it('where what is not decided on was lost', async () => {
  writer.crash()
  await clock.advance(1_000)
  expect(isAbreast).toBe(true)
})
