/** When rounds follow each other at once, and when a little apart. */
import { describe, expect, it } from 'vitest'
import { Pace } from '../../../src/log/journal/pace.ts'
import { ManualClock } from '../../clock.ts'

/** A pace after `rounds` rounds of `bytes`, 1 ms apart, and whether the next may begin. */
async function after(rounds: number, bytes: number) {
  const clock = new ManualClock()
  const pace = new Pace(clock)
  for (let n = 0; n < rounds; n++) {
    pace.begin(bytes)
    await clock.advance(1)
  }
  pace.begin(bytes)
  let open = false
  const gap = pace.gap().then(() => (open = true))
  await clock.advance(0)
  return { clock, pace, gap, isOpen: () => open }
}

describe('the gap between rounds', () => {
  it('is none under a light load', async () => {
    expect((await after(300, 1_000)).isOpen()).toBe(true)
  })

  it('is 2 ms between two starts under a heavy one', async () => {
    const { clock, isOpen } = await after(300, 5_000)
    expect(isOpen()).toBe(false)
    await clock.advance(1.9)
    expect(isOpen()).toBe(false)
    await clock.advance(0.2)
    expect(isOpen()).toBe(true)
  })

  it('ends at once when somebody waits', async () => {
    const { clock, pace, isOpen } = await after(300, 5_000)
    pace.hurry()
    await clock.advance(0)
    expect([isOpen(), clock.pending]).toEqual([true, 0])
  })
})
