/** When a request is asked again, and after which pauses, by a clock moved by hand. */
import { describe, expect, it } from 'vitest'
import { repeat } from '../../../src/log/kafka/repeating.ts'
import { ManualClock } from '../../clock.ts'

const FAILED = new Error('no answer')
const BUSY = Object.assign(new Error('not yet'), { name: 'KafkaJSProtocolError', type: 'CONCURRENT_TRANSACTIONS' })

function ask(failures: readonly Error[], { deadline = 100_000, fraction = 0.5, isFinal = () => false as boolean } = {}) {
  const clock = new ManualClock()
  const stop = new AbortController()
  const asked: number[] = []
  const firsts: boolean[] = []
  const told: unknown[] = []
  const random = { id: () => '', fraction: () => fraction }
  const attempt = async (isFirst: boolean) => {
    const failure = failures[asked.length]
    asked.push(clock.monotonic())
    firsts.push(isFirst)
    if (failure) throw failure
    return 'done'
  }
  const answer = repeat({ attempt, isFinal, again: (error) => told.push(error) }, { clock, random, signal: stop.signal, deadline })
  const end = answer.then(
    (value) => value,
    (error: unknown) => error,
  )
  return { clock, stop, asked, firsts, told, end }
}

describe('a request', () => {
  it('is asked again after a pause that doubles to half a second', async () => {
    const { clock, asked, firsts, told, end } = ask(Array.from({ length: 7 }, () => FAILED))
    await clock.advance(10_000)
    expect(await end).toBe('done')
    expect(asked).toEqual([0, 25, 75, 175, 375, 775, 1_275, 1_775])
    expect(firsts).toEqual([true, ...Array.from({ length: 7 }, () => false)])
    expect(told.length).toBe(7)
  })

  it.each([
    [0, 18.75],
    [1, 31.25],
  ])('is asked again a quarter sooner or later, by chance: %d', async (fraction, at) => {
    const { clock, asked } = ask([FAILED], { fraction })
    await clock.advance(100)
    expect(asked).toEqual([0, at])
  })

  it('is asked again in 5 to 20 ms when the coordinator is not ready yet', async () => {
    const { clock, asked, end } = ask(Array.from({ length: 5 }, () => BUSY))
    await clock.advance(1_000)
    expect(await end).toBe('done')
    expect(asked).toEqual([0, 5, 15, 35, 55, 75])
  })

  it('is asked once where the answer is final, and where its time was over before', async () => {
    for (const more of [{ isFinal: () => true }, { deadline: 0 }]) {
      const { clock, asked, told, end } = ask([FAILED], more)
      await clock.advance(1_000)
      expect(await end).toBe(FAILED)
      expect([asked.length, told.length]).toEqual([1, 0])
    }
  })

  it('is given up at its time, with what it met last', async () => {
    const last = new Error('the last')
    const { clock, asked, end } = ask([FAILED, BUSY, last, FAILED], { deadline: 30 })
    await clock.advance(1_000)
    expect(await end).toBe(last)
    expect(asked).toEqual([0, 25, 30])
  })

  it('is asked for the last time when it is stopped in a pause', async () => {
    const { clock, stop, asked, end } = ask(Array.from({ length: 9 }, () => FAILED))
    await clock.advance(200)
    stop.abort()
    expect(await end).toBe(FAILED)
    expect(asked).toEqual([0, 25, 75, 175, 200])
  })
})
