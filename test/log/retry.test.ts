/** Pauses between one try and the next. */
import { expect, it } from 'vitest'
import { PipelineError } from '../../src/core/errors.ts'
import { untilStopped } from '../../src/log/retry.ts'
import { ManualClock } from '../clock.ts'

it('pauses double from 50 ms to 5 s', async () => {
  const clock = new ManualClock()
  const stop = new AbortController()
  const pauses: number[] = []
  const work = async () => {
    throw new PipelineError('IO', 'passing')
  }
  const done = untilStopped(work, { clock, signal: stop.signal, passing: (_, pauseMs) => pauses.push(pauseMs) })
  await clock.advance(30_000)
  stop.abort()
  await done
  expect(pauses.slice(0, 9)).toEqual([50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
})

it('work that lasted starts the pauses small again', async () => {
  const clock = new ManualClock()
  const stop = new AbortController()
  const pauses: number[] = []
  const lasts = [0, 0, 6_000, 0]
  const work = () =>
    new Promise<void>((_, reject) => {
      clock.after(lasts.shift() ?? 0, () => reject(new PipelineError('IO', 'passing')))
    })
  const done = untilStopped(work, { clock, signal: stop.signal, passing: (_, pauseMs) => pauses.push(pauseMs) })
  await clock.advance(6_400)
  stop.abort()
  await clock.advance(0)
  await done
  expect(pauses.slice(0, 4)).toEqual([50, 100, 50, 100])
})

it('progress starts the pauses small again', async () => {
  const clock = new ManualClock()
  const stop = new AbortController()
  const pauses: number[] = []
  const gets = [false, false, true, false, false]
  const work = async (progress: () => void) => {
    if (gets.shift()) progress()
    throw new PipelineError('IN_DOUBT', 'passing')
  }
  const done = untilStopped(work, { clock, signal: stop.signal, passing: (_, pauseMs) => pauses.push(pauseMs) })
  await clock.advance(1_000)
  stop.abort()
  await done
  expect(pauses.slice(0, 5)).toEqual([50, 100, 50, 100, 200])
})

it('an error that is not retriable goes through', async () => {
  const error = new Error('a bug')
  const work = async () => {
    throw error
  }
  await expect(untilStopped(work, { clock: new ManualClock(), signal: new AbortController().signal })).rejects.toBe(error)
})

it('a stop ends the pause at once', async () => {
  const stop = new AbortController()
  const work = async () => {
    queueMicrotask(() => queueMicrotask(() => stop.abort()))
  }
  await untilStopped(work, { clock: new ManualClock(), signal: stop.signal })
})

it.each([
  ['FENCED', []],
  ['DISK_FULL', ['DISK_FULL']],
] as const)('of %s after a stop, %j is told: being fenced then is the stop itself', async (code, told) => {
  const stop = new AbortController()
  const codes: string[] = []
  const work = async () => {
    stop.abort()
    throw new PipelineError(code, 'passing')
  }
  await untilStopped(work, { clock: new ManualClock(), signal: stop.signal, passing: (error) => codes.push(error.code) })
  expect(codes).toEqual(told)
})
