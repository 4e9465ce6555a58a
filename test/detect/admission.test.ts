/** Which messages are scored: repeats, late ones, clocks, new metrics, and what there is no room for. */
import { describe, expect, it } from 'vitest'
import { FLAG_DUP, FLAG_QOS1, FLAG_RETAIN, FLAG_TRIMMED } from '../../src/core/message.ts'
import { classOf, frameOf, metricOf, settingsOf, START } from './fleet.ts'
import { Bench } from './partition.ts'

const leftOut = (bench: Bench) => bench.partition.leftOut!
const seen = (bench: Bench, device: string) => bench.view(device)!.metrics

describe('a repeat', () => {
  it.each([
    ['with the same event time and payload is dropped', { time: START, flags: 0 }, { time: START, flags: 0 }, 1],
    ['with another event time is news', { time: START }, { time: START + 1 }, 0],
    ['with another payload is news', { time: START, payload: 7 }, { time: START, payload: 8 }, 0],
    ['without event time is dropped when flagged DUP', {}, { flags: FLAG_DUP }, 1],
    ['without event time is dropped when flagged RETAIN', {}, { flags: FLAG_RETAIN }, 1],
    ['without event time or flag is news: a device may say the same twice', {}, { flags: FLAG_QOS1 }, 0],
  ])('%s', (_, first, second, duplicates) => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 1 }, { payload: 7, ...first })
    bench.send('d', { a: 2 }, { payload: 7, ...second })
    expect(leftOut(bench).duplicate).toBe(duplicates)
    expect(seen(bench, 'd')).toEqual({ a: duplicates ? 1 : 2 })
  })

  it.each([[15, 1], [16, 0]])('after %i other messages is known: %i', (between, duplicates) => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 0 }, { payload: 1 })
    for (let i = 0; i < between; i++) bench.send('d', { a: i }, { payload: 2 + i })
    bench.send('d', { a: -1 }, { payload: 1, flags: FLAG_DUP })
    expect(leftOut(bench).duplicate).toBe(duplicates)
  })

  it('is looked for among the messages of its own device only', () => {
    const bench = new Bench(settingsOf())
    for (const device of ['d', 'e']) bench.send(device, { a: 1 }, { payload: 7, time: START })
    expect(leftOut(bench).duplicate).toBe(0)
  })

  it('is found within one frame', () => {
    const bench = new Bench(settingsOf())
    const sent = { device: 'd', metrics: { a: 1 }, arrival: START, time: START, payload: 7 }
    bench.take(frameOf([sent, sent, sent]))
    expect(leftOut(bench).duplicate).toBe(2)
  })

  it('of a late message is a repeat, not late again', () => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 1 }, { time: START })
    for (let i = 0; i < 3; i++) bench.send('d', { a: 2 }, { time: START - 1, payload: 99 })
    expect(leftOut(bench)).toMatchObject({ late: 1, duplicate: 2 })
  })

  it('leaves labels as its device’s newest message has them', () => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 1 }, { time: START, payload: 7, labels: { site: 'north' } })
    bench.send('d', { a: 1 }, { time: START + 1, labels: { site: 'south' } })
    bench.send('d', { a: 1 }, { time: START, payload: 7, labels: { site: 'north' } })
    expect(bench.view('d')!.labels).toEqual({ site: 'south' })
  })
})

describe('a retained message', () => {
  const flags = FLAG_RETAIN

  it('is history: counted, and neither scored nor learnt', () => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 1 }, { time: START })
    const learnt = bench.baseline('d', 'a')
    bench.now += 1_000
    bench.send('d', { a: 2 }, { time: START + 1, flags })
    bench.send('d', { a: 3 }, { flags })
    expect(leftOut(bench).retained).toBe(2)
    expect(bench.baseline('d', 'a')).toEqual(learnt)
    expect(bench.view('d')).toMatchObject({ lastSeen: START, metrics: { a: 1 } })
  })

  it('makes no device known', () => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 1 }, { time: START, flags })
    expect(bench.view('d')).toBeNull()
  })

  it('does not take the place of the message it is a copy of', () => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 1 }, { time: START, payload: 7, flags })
    bench.send('d', { a: 1 }, { time: START, payload: 7, flags: FLAG_DUP })
    expect(seen(bench, 'd')).toEqual({ a: 1 })
  })

  it('is no heartbeat: the device stays silent', () => {
    const settings = settingsOf({ classes: { default: classOf({ heartbeatMs: 20_000 }) }, detectors: ['silence'] })
    const bench = new Bench(settings)
    bench.send('d', { a: 1 })
    for (let i = 0; i < 12; i++) {
      bench.tick(10)
      bench.send('d', { a: 1 }, { flags })
    }
    expect(bench.open('d', 'silence')).toMatchObject({ device: 'd', state: 'open' })
  })
})

describe('a message older than its series’ last', () => {
  it('is late: counted, and not taken', () => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 1 }, { time: START })
    bench.send('d', { a: 2 }, { time: START - 1 })
    expect(leftOut(bench).late).toBe(1)
    expect(seen(bench, 'd')).toEqual({ a: 1 })
    expect(bench.view('d')!.lastSeen).toBe(START)
  })

  it('of the very same time is not late', () => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 1 }, { time: START })
    bench.send('d', { a: 2 }, { time: START })
    expect(seen(bench, 'd')).toEqual({ a: 2 })
  })

  it('in part is late in that part only', () => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 1 }, { time: START })
    bench.send('d', { a: 2, b: 2 }, { time: START - 1 })
    expect(leftOut(bench)).toMatchObject({ late: 0, lateReadings: 1 })
    expect(seen(bench, 'd')).toEqual({ a: 1, b: 2 })
  })

  it('is a clock that was set back once sixteen in a row are: what follows is taken in the order it comes', () => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 0 }, { time: START })
    for (let i = 1; i <= 16; i++) bench.send('d', { a: i }, { time: START - 60_000 + i })
    expect(leftOut(bench).late).toBe(16)
    expect(seen(bench, 'd')).toEqual({ a: 0 })
    bench.send('d', { a: 17 }, { time: START - 60_000 + 17 })
    expect(seen(bench, 'd')).toEqual({ a: 17 })
    expect(leftOut(bench).late).toBe(16)
    // Its time goes on from where it was, so that nothing of it runs backwards.
    expect(bench.view('d')!.lastSeen).toBe(START)
    bench.now += 10
    bench.send('d', { a: 18 }, { time: START + 5 })
    bench.send('d', { a: 19 }, { time: START + 4 })
    expect(leftOut(bench).late).toBe(17)
  })

  it('counts anew after one in time', () => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 0 }, { time: START })
    for (let i = 1; i <= 15; i++) bench.send('d', { a: i }, { time: START - 60_000 + i })
    bench.now += 10
    bench.send('d', { a: 16 }, { time: START + 1 })
    for (let i = 17; i <= 32; i++) bench.send('d', { a: i }, { time: START - 60_000 + i })
    expect(leftOut(bench).late).toBe(31)
  })
})

describe('an event time', () => {
  it.each([
    ['five minutes before arrival counts', START - 300_000, START - 300_000],
    ['further before gives way to arrival', START - 300_001, START],
    ['further after gives way to arrival', START + 300_001, START],
  ])('%s', (_, time, expected) => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 1 }, { time })
    expect(bench.view('d')!.lastSeen).toBe(expected)
    expect(leftOut(bench).clockSkew).toBe(time === expected ? 0 : 1)
  })

  it('up to five minutes after arrival gives way to arrival too, but is no skew', () => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 1 }, { time: START + 300_000 })
    expect(bench.view('d')!.lastSeen).toBe(START)
    expect(leftOut(bench).clockSkew).toBe(0)
  })

  it('ahead of its arrival leaves none of the readings behind it late', () => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 1 }, { time: START + 290_000 })
    bench.now += 1_000
    bench.send('d', { a: 2 }, { time: START + 1_000 })
    expect(bench.view('d')!.metrics).toEqual({ a: 2 })
    expect(leftOut(bench).late).toBe(0)
  })

  it('of a class with backfill counts however old', () => {
    const bench = new Bench(settingsOf({ classes: { default: classOf({ backfill: true }) } }))
    bench.send('d', { a: 1 }, { time: 1_000 })
    expect(bench.view('d')!.lastSeen).toBe(1_000)
    expect(leftOut(bench).clockSkew).toBe(0)
  })

  it('that nobody claims is arrival, and never goes back', () => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 1 }, { arrival: START + 10 })
    bench.send('d', { a: 2 }, { arrival: START })
    expect(bench.view('d')).toMatchObject({ lastSeen: START + 10, metrics: { a: 2 } })
    expect(leftOut(bench).late).toBe(0)
  })
})

describe('a new metric', () => {
  const limits = { metricsPerDevice: 6, newSeriesPerMinute: 2 }

  it('enters with the device’s first message, as many as a device may have', () => {
    const bench = new Bench(settingsOf({ limits }))
    bench.send('d', { a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1 })
    expect(Object.keys(seen(bench, 'd'))).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
    expect(leftOut(bench).cardinality).toBe(1)
  })

  it('enters later so many a minute, by partition time', () => {
    const bench = new Bench(settingsOf({ limits }))
    bench.send('d', { a: 1 })
    bench.send('d', { b: 1, c: 1, d: 1 })
    expect(Object.keys(seen(bench, 'd'))).toEqual(['a', 'b', 'c'])
    bench.now += 60_000
    bench.send('d', { d: 1, e: 1, f: 1 })
    expect(Object.keys(seen(bench, 'd'))).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('beyond the limits is an incident that ends after fifteen messages without', () => {
    const bench = new Bench(settingsOf({ limits }))
    bench.send('d', { a: 1 })
    bench.send('d', { b: 1, c: 1, d: 1 })
    expect(bench.open('d', 'cardinality')).toMatchObject({ severity: 'major', summary: expect.stringContaining('beyond its limit of 6 in all and 2 new ones a minute') })
    for (let i = 0; i < 14; i++) bench.send('d', { a: 1 })
    expect(bench.open('d', 'cardinality')).toBeDefined()
    bench.send('d', { a: 1 })
    expect(bench.open('d', 'cardinality')).toBeUndefined()
  })

  it('that ingest left out of the frame is the same incident', () => {
    const bench = new Bench(settingsOf())
    bench.send('d', { a: 1 }, { flags: FLAG_TRIMMED })
    expect(bench.open('d', 'cardinality')).toBeDefined()
  })
})

describe('what there is no room for', () => {
  const small = { devices: 2, series: 3, classes: 8, incidents: 64 }
  const SELF = 'picket/readings-0'

  it('is refused and counted, and opens one incident of ours', () => {
    const bench = new Bench(settingsOf({ capacity: small }))
    for (const device of ['a', 'b', 'c', 'd', 'c']) bench.send(device, { x: 1 })
    expect(leftOut(bench).capacity).toBe(3)
    expect([...bench.partition.deviceNames()]).toEqual(['a', 'b'])
    expect(bench.opened('capacity')).toHaveLength(1)
    expect(bench.open(SELF, 'capacity')).toMatchObject({ severity: 'major', summary: 'no room in readings/0 for more than 2 devices or 3 series: new ones are not watched' })
  })

  it('may be a series of a device that has a row', () => {
    const bench = new Bench(settingsOf({ capacity: small }))
    bench.send('a', { x: 1, y: 1, z: 1, w: 1 })
    expect(leftOut(bench)).toMatchObject({ capacityReadings: 1, capacity: 0 })
    expect(Object.keys(seen(bench, 'a'))).toEqual(['x', 'y', 'z'])
    expect(bench.open(SELF, 'capacity')).toBeDefined()
    expect(bench.open('a', 'cardinality')).toBeUndefined()
  })

  it('is over when nothing was refused for ten minutes', () => {
    const bench = new Bench(settingsOf({ capacity: small }))
    for (const device of ['a', 'b', 'c']) bench.send(device, { x: 1 })
    bench.tick(300)
    bench.send('c', { x: 1 })
    bench.tick(600)
    expect(bench.open(SELF, 'capacity')).toBeDefined()
    bench.tick(1)
    expect(bench.open(SELF, 'capacity')).toBeUndefined()
    expect(bench.opened('capacity')).toHaveLength(1)
  })

  it('opens its incident after those of the messages before it', () => {
    const settings = settingsOf({ capacity: small, classes: { default: classOf({ metrics: { x: metricOf({ above: 5 }) } }) } })
    const bench = new Bench(settings)
    bench.send('a', { x: 1 })
    bench.send('b', { x: 1 })
    const made = bench.take(frameOf(['a', 'c', 'b'].map((device) => ({ device, metrics: { x: 9 }, arrival: START }))))
    expect(made.map(({ position, incident }) => [position.index, incident.cause])).toEqual([[0, 'limit'], [1, 'capacity'], [2, 'limit']])
  })

  it('opens its incident after those of its own message, where that is seated without a series', () => {
    const settings = settingsOf({ capacity: small, classes: { default: classOf({ metrics: { x: metricOf({ above: 5 }) } }) } })
    const bench = new Bench(settings)
    bench.send('a', { x: 1, y: 1 })
    bench.send('b', { x: 1 })
    const made = bench.take(frameOf([{ device: 'a', metrics: { x: 9 }, arrival: START }, { device: 'b', metrics: { x: 9, z: 1 }, arrival: START }]))
    expect(made.map(({ position, n, incident }) => [position.index, n, incident.cause])).toEqual([[0, 0, 'limit'], [1, 0, 'limit'], [1, 1, 'capacity']])
  })
})

describe('labels', () => {
  it('are what the device’s newest message says, and change its class and limits with them', () => {
    const bench = new Bench(settingsOf({ classes: { default: classOf(), pump: classOf({ metrics: { x: metricOf({ above: 5 }) } }) } }))
    bench.send('d', { x: 9 }, { labels: { site: 'north' } })
    expect(bench.view('d')).toMatchObject({ class: 'default', labels: { site: 'north' } })
    expect(bench.opened('limit')).toHaveLength(0)
    bench.send('d', { x: 9 }, { labels: { class: 'pump', site: 'south' } })
    expect(bench.view('d')).toMatchObject({ class: 'pump', labels: { class: 'pump', site: 'south' } })
    expect(bench.open('d', 'limit')).toMatchObject({ class: 'pump', labels: { class: 'pump', site: 'south' } })
    bench.send('d', { x: 9 })
    expect(bench.view('d')).toMatchObject({ class: 'default', labels: {} })
  })

  it.each(['unheard-of', 'constructor', 'toString'])('with the class %s, which the config does not name, are of class default', (name) => {
    const bench = new Bench(settingsOf())
    bench.send('d', { x: 9 }, { labels: { class: name } })
    expect(bench.view('d')!.class).toBe('default')
  })
})
