/** What a device sends by name and kind: news is found and named, what it has always done is not. */
import { describe, expect, it } from 'vitest'
import { FLAG_TRIMMED } from '../../../src/core/message.ts'
import { type Sent, settingsOf, type Value } from '../fleet.ts'
import { Bench } from '../partition.ts'

type Metrics = Readonly<Record<string, Value>>

/** One device; the shape is the names and kinds it sends, as ingest would have it. */
class Shaped {
  readonly bench = new Bench(settingsOf({ detectors: ['shape'], limits: { metricsPerDevice: 64, newSeriesPerMinute: 64 } }))

  send(metrics: Metrics, times = 1, fields: Partial<Sent> = {}, everyMs = 10_000): this {
    for (let i = 0; i < times; i++) {
      this.bench.now += everyMs
      this.bench.send('d', metrics, fields)
    }
    return this
  }

  get opened() {
    return this.bench.opened('shape')
  }

  get last() {
    return this.bench.made.at(-1)?.incident
  }
}

const USUAL = { temperature: 20, pressure: 3 }
const WITH_SHELL = { ...USUAL, shell: 'id' }

describe('a field that was never sent', () => {
  it('is a warning with its first message, and is named', () => {
    const device = new Shaped().send(USUAL, 300).send(WITH_SHELL)
    expect(device.last).toMatchObject({
      cause: 'shape',
      severity: 'warning',
      surprise: Math.round(100 * Math.log10(301)) / 100,
      summary: 'sends `shell` that it never sent',
      votes: [{ detector: 'shape', metric: '', observed: 1, expected: [0, 0] }],
    })
  })

  it.each([[199, 0], [200, 1]])('after %i messages opens incidents: %i', (messages, incidents) => {
    expect(new Shaped().send(USUAL, messages).send(WITH_SHELL).opened).toHaveLength(incidents)
  })

  it('comes once and is over', () => {
    expect(new Shaped().send(USUAL, 300).send(WITH_SHELL).send(USUAL, 15).last).toMatchObject({ state: 'closed', closedBy: 'calm', severity: 'warning' })
  })

  it('stays one incident as long as it goes on, rarer the longer it never came, and still named', () => {
    const device = new Shaped().send(USUAL, 3_000).send(WITH_SHELL, 200)
    expect(device.opened).toHaveLength(1)
    expect(device.last).toMatchObject({ state: 'open', severity: 'minor', revision: 2, summary: 'sends `shell` that it never sent' })
  })

  it('is never critical', () => {
    expect(new Shaped().send(USUAL, 30_000, {}, 1).send(WITH_SHELL, 50).last).toMatchObject({ severity: 'major' })
  })

  it('for good is known, an hour and 500 messages later', () => {
    const device = new Shaped().send(USUAL, 300).send(WITH_SHELL, 400)
    expect(device.last!.state).toBe('open')
    device.send(WITH_SHELL, 150)
    expect(device.last).toMatchObject({ state: 'closed', closedBy: 'calm' })
    expect(device.send(WITH_SHELL, 500).opened).toHaveLength(1)
    expect(device.send({ ...WITH_SHELL, other: 1 }).opened).toHaveLength(2)
  })

  it('that comes now and then is known with its third message', () => {
    const device = new Shaped().send(USUAL, 300)
    for (let i = 0; i < 10; i++) device.send(WITH_SHELL).send(USUAL, 30)
    expect(device.opened).toHaveLength(3)
  })

  it('is named with others, not all where there are many', () => {
    const news = Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((name) => [name, 1]))
    expect(new Shaped().send(USUAL, 300).send({ ...USUAL, ...news }).last!.summary).toBe('sends `a`, `b`, `c` and 2 more that it never sent')
  })
})

describe('a known field', () => {
  it('with another kind of value is news', () => {
    const device = new Shaped().send(USUAL, 300).send({ temperature: 'hot', pressure: 3 }, 1, { shape: 7 })
    expect(device.last).toMatchObject({ summary: 'sends `temperature` as another kind of value than ever' })
  })

  it.each<[string, Metrics]>([
    ['that is left out', { pressure: 3 }],
    ['that has no value', { temperature: null, pressure: 3 }],
  ])('%s is news after ten times as long', (_, metrics) => {
    expect(new Shaped().send(USUAL, 1_000).send(metrics, 1, { shape: 7 }).opened).toEqual([])
    expect(new Shaped().send(USUAL, 2_500).send(metrics, 1, { shape: 7 }).last).toMatchObject({
      severity: 'warning',
      summary: 'sends fields together that it never sent so',
    })
  })
})

it('is warmed up after two hundred messages, or when a device turns out to vary', () => {
  expect(new Shaped().send(USUAL, 100).bench.view('d')!.learning).toBe(0.5)
  const varied = new Shaped()
  for (let i = 0; i < 20; i++) varied.send({ [`m${i}`]: 1 })
  expect(varied.bench.view('d')!.learning).toBe(1)
})

describe('a device', () => {
  it('that sends several shapes in turn is known by all of them', () => {
    const device = new Shaped()
    for (let i = 0; i < 1_000; i++) device.send({ [`m${i % 8}`]: 1 })
    expect(device.opened).toEqual([])
    expect(device.send({ shell: 'id' }).opened).toHaveLength(1)
  })

  it('that sends more shapes than are kept varies, and nothing it sends is odd', () => {
    const device = new Shaped()
    for (let i = 0; i < 1_000; i++) device.send({ [`m${i % 9}`]: 1 })
    expect(device.send({ shell: 'id' }).opened).toEqual([])
  })

  it('that turns out to vary later is let go', () => {
    const device = new Shaped()
    for (let i = 0; i < 400; i++) device.send({ [`m${i % 8}`]: 1 })
    device.send({ shell: 'id' })
    expect(device.last).toMatchObject({ state: 'open' })
    expect(device.send({ m0: 1 }, 15).last).toMatchObject({ state: 'closed' })
    expect(device.send({ another: 1 }, 5).opened).toHaveLength(1)
  })

  it('whose message had fields left out is a matter of too many metrics', () => {
    expect(new Shaped().send(USUAL, 300).send(WITH_SHELL, 5, { flags: FLAG_TRIMMED }).opened).toEqual([])
  })
})
