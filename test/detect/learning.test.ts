/** How much of its warm-up a device has behind it: honest while anything that will have a say has none yet, and no longer. */
import { describe, expect, it } from 'vitest'
import { classOf, settingsOf, type Value } from './fleet.ts'
import { Bench } from './partition.ts'

/** Readings a series is mute for before its opinions count. */
const MUTE = 11
const WARMUP = 50

/** Without drift, which takes its own time. */
function makeBench(fields: Parameters<typeof classOf>[0] = {}, detectors: readonly string[] = ['level', 'season', 'stuck', 'limits', 'silence']): Bench {
  return new Bench(settingsOf({ detectors, classes: { default: classOf({ warmup: WARMUP, ...fields }) } }))
}

function send(bench: Bench, messages: number, metrics: (i: number) => Readonly<Record<string, Value>>): void {
  for (let i = 0; i < messages; i++) bench.send('d', metrics(i))
}

const shown = (bench: Bench) => {
  const { state, learning } = bench.view('d')!
  return `${state} ${learning}`
}

describe('a device', () => {
  it('has behind it the mean of what its metrics and its silence have', () => {
    const bench = makeBench()
    send(bench, MUTE + 10, (i) => ({ a: i % 3 }))
    send(bench, 15, (i) => ({ a: i % 3, b: i % 3 }))
    // Of a 25 of 50, of b 4 of 50, of silence all.
    expect(shown(bench)).toBe('learning 0.52')
  })

  it('is not normal one reading too soon', () => {
    const bench = makeBench({ silence: false })
    send(bench, MUTE + WARMUP - 1, (i) => ({ a: i % 3 }))
    // Silence has nothing to learn, the metric 49 of 50.
    expect(shown(bench)).toBe('learning 0.99')
    send(bench, 1, () => ({ a: 1 }))
    expect(shown(bench)).toBe('normal 1')
  })

  it('is learning until its last metric has a say', () => {
    const bench = makeBench()
    send(bench, MUTE + WARMUP, (i) => ({ a: i % 3, ...(i > 10 ? { b: i % 3 } : {}) }))
    expect(shown(bench)).toMatch(/^learning/)
    send(bench, 11, (i) => ({ a: i % 3, b: i % 3 }))
    expect(shown(bench)).toBe('normal 1')
  })

  it('waits for the detector that needs longest', () => {
    const bench = makeBench({ silence: false }, ['level', 'drift'])
    send(bench, 299, (i) => ({ a: i % 3 }))
    expect(shown(bench)).toBe('learning 0.99')
    send(bench, 1, () => ({ a: 1 }))
    expect(shown(bench)).toBe('normal 1')
  })

  it('that is known stays so when it gets another metric', () => {
    const bench = makeBench()
    send(bench, MUTE + 2 * WARMUP, (i) => ({ a: i % 3 }))
    send(bench, 1, () => ({ a: 1, late: 1 }))
    expect(shown(bench)).toBe('normal 1')
  })

  it('does not wait for a metric that comes but rarely', () => {
    const bench = makeBench()
    send(bench, MUTE + 2 * WARMUP, (i) => ({ a: i % 3, ...(i % 40 === 0 ? { rare: i } : {}) }))
    expect(shown(bench)).toBe('normal 1')
  })

  it('does not wait for what is no number', () => {
    const bench = makeBench()
    send(bench, MUTE + WARMUP, (i) => ({ a: i % 3, on: true, mode: 'idle', none: null }))
    expect(shown(bench)).toBe('normal 1')
  })

  it('of which only its silence can be told waits for twenty gaps', () => {
    const bench = makeBench()
    send(bench, 11, () => ({ on: true }))
    expect(shown(bench)).toBe('learning 0.5')
    send(bench, 10, () => ({ on: true }))
    expect(shown(bench)).toBe('normal 1')
  })

  it.each([{ heartbeatMs: 60_000 }, { reports: 'on-change' as const }, { silence: false }])('of %o has no gaps to learn', (fields) => {
    const bench = makeBench(fields)
    send(bench, 1, () => ({ on: true }))
    expect(shown(bench)).toBe('normal 1')
  })

  it('whose series nobody judges by what they were is learning nothing of them', () => {
    const bench = makeBench({ silence: false }, ['limits', 'silence'])
    send(bench, 1, () => ({ a: 1 }))
    expect(shown(bench)).toBe('normal 1')
  })

  it.each(['season', 'drift', 'stuck'])('says nothing by %s before its metric has warmed up', (name) => {
    const bench = makeBench({ warmup: 200, silence: false }, [name])
    send(bench, 60, (i) => ({ a: i % 3 }))
    for (let i = 0; i < 60; i++) bench.send('d', { a: 900 })
    expect(bench.opened('telemetry')).toEqual([])
  })
})
