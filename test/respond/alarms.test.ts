/** Alarms at wall-clock times under clocks that step. */
import { beforeEach, expect, it } from 'vitest'
import { Alarms } from '../../src/respond/alarms.ts'
import { ManualClock } from '../clock.ts'
import { START } from './fleet.ts'

let clock: ManualClock
let rung: string[]
let alarms: Alarms

beforeEach(() => {
  clock = new ManualClock(START)
  rung = []
  alarms = new Alarms(clock, (key) => rung.push(key))
})

it('rings once, at its time', async () => {
  alarms.set('a', START + 600_000)
  await clock.advance(599_999)
  expect(rung).toEqual([])
  await clock.advance(600_000)
  expect(rung).toEqual(['a'])
})

it('takes the place of an earlier one of its key', async () => {
  alarms.set('a', START + 10)
  alarms.set('a', START + 20)
  await clock.advance(15)
  expect(rung).toEqual([])
  await clock.advance(5)
  expect(rung).toEqual(['a'])
})

it('rings within a minute when the clock is set forward past it', async () => {
  alarms.set('a', START + 3_600_000)
  await clock.advance(1_000)
  clock.step(3_600_000)
  await clock.advance(60_000)
  expect(rung).toEqual(['a'])
})

it('does not ring early when the clock is set back', async () => {
  alarms.set('a', START + 10_000)
  clock.step(-30_000)
  await clock.advance(39_999)
  expect(rung).toEqual([])
  await clock.advance(1)
  expect(rung).toEqual(['a'])
})

it('rings no more once cleared, and leaves no timer', async () => {
  alarms.set('a', START + 10)
  alarms.set('b', START + 10)
  alarms.clear('a')
  alarms.clearAll()
  expect(clock.pending).toBe(0)
})
