/** What an incident says for people: the sentence, the votes, the band. */
import { describe, expect, it } from 'vitest'
import { classOf, controlOf, metricOf, settingsOf, START } from './fleet.ts'
import { Bench } from './partition.ts'
import { seeded } from './seeded.ts'

const pump = classOf({
  budget: { alarms: 1, perMs: 600_000 },
  metrics: { vibration: metricOf({ unit: 'mm/s', above: 7.1, severity: 'critical' }), level: metricOf({ below: 2, severity: 'minor' }), flow: metricOf({ above: 9, below: 1 }) },
})

function makeBench(): Bench {
  return new Bench(settingsOf({ classes: { default: classOf(), pump } }))
}

const labels = { class: 'pump' }

describe('a broken limit', () => {
  it.each([
    [{ vibration: 7.25 }, 'vibration is 7.25 mm/s, allowed is at most 7.1', [null, 7.1], 'critical'],
    [{ level: 1 }, 'level is 1, allowed is at least 2', [2, null], 'minor'],
    [{ flow: 10.123456 }, 'flow is 10.12, allowed is 1 to 9', [1, 9], 'major'],
  ] as const)('by %o is said in the metric’s unit, with what is allowed', (metrics, summary, expected, severity) => {
    const bench = makeBench()
    bench.send('d', metrics, { labels })
    const [metric, observed] = Object.entries(metrics)[0]!
    expect(bench.open('d', 'limit')).toMatchObject({ summary, severity, surprise: 9, votes: [{ detector: 'limits', metric, surprise: 9, observed, expected }] })
  })

  it('of several metrics has the severest one’s severity and a vote for each', () => {
    const bench = makeBench()
    bench.send('d', { level: 1, vibration: 8 }, { labels })
    expect(bench.open('d', 'limit')).toMatchObject({ severity: 'critical', summary: 'level is 1, allowed is at least 2; 1 more odd at once' })
    expect(bench.open('d', 'limit')!.votes.map(({ metric }) => metric)).toEqual(['level', 'vibration'])
  })

  it('on the limit itself is none', () => {
    const bench = makeBench()
    bench.send('d', { vibration: 7.1, level: 2, flow: 9 }, { labels })
    bench.send('d', { flow: 1 }, { labels })
    expect(bench.opened('limit')).toEqual([])
  })

  it('of a value that is no number is none', () => {
    const bench = makeBench()
    bench.send('d', { flow: false, level: null, vibration: 'high' }, { labels })
    expect(bench.opened('limit')).toEqual([])
  })
})

describe('an odd level', () => {
  it('names value, band and device time, before the reading has moved the band', () => {
    const bench = makeBench()
    for (let i = 0; i < 400; i++) {
      bench.now += 1_000
      bench.send('d', { speed: 100 + (i % 10) }, { labels })
    }
    bench.now += 1_000
    bench.send('d', { speed: 200 }, { labels, time: START + bench.now - 250 })
    const incident = bench.open('d', 'telemetry')!
    expect(incident.summary).toMatch(/^speed is 200, expected 9\d(\.\d+)? to 1(09|10|11)(\.\d+)?$/)
    expect(incident).toMatchObject({ openedAt: START + bench.now - 250, votes: [{ detector: 'level', metric: 'speed', observed: 200 }] })
    expect(incident.votes[0]!.surprise).toBe(incident.surprise)
    expect(incident.surprise).toBe(Math.round(incident.surprise * 100) / 100)
  })

  it('has at most eight votes, the most surprised first', () => {
    const bench = makeBench()
    const metrics = (of: (m: number) => number) => Object.fromEntries(Array.from({ length: 12 }, (_, m) => [`m${m}`, of(m)]))
    for (let i = 0; i < 300; i++) bench.send('d', metrics((m) => m + (i % 7)), { labels })
    bench.send('d', metrics((m) => 50 + 10 * m), { labels })
    const { votes, summary } = bench.open('d', 'telemetry')!
    expect(votes.map(({ metric }) => metric)).toEqual(['m11', 'm10', 'm9', 'm8', 'm7', 'm6', 'm5', 'm4'])
    expect(summary).toMatch(/^m11 is 160, expected .*; 11 more odd at once$/)
  })
})

describe('other oddities of a metric', () => {
  const HOUR = 3_600_000
  /** One detector alone, over `days` of a reading each ten minutes. */
  const lived = (detector: string, days: number, value: (hour: number, i: number) => number): Bench => {
    const bench = new Bench(settingsOf({ detectors: [detector], classes: { default: classOf(), pump: { ...pump, metrics: { vibration: metricOf({ unit: 'mm/s' }) } } } }))
    bench.now = 24 * HOUR - (START % (24 * HOUR))
    for (let i = 0; i < 144 * days; i++, bench.now += HOUR / 6) bench.send('d', { vibration: value(Math.floor(i / 6) % 24, i) }, { labels })
    return bench
  }

  it('names what was expected at this hour', () => {
    const bench = lived('season', 20, (hour, i) => (hour < 12 ? 2 : 5) + (i % 7) / 10)
    bench.send('d', { vibration: 99 }, { labels })
    expect(bench.open('d', 'telemetry')).toMatchObject({ votes: [{ detector: 'season', metric: 'vibration', observed: 99 }] })
    expect(bench.open('d', 'telemetry')!.summary).toMatch(/^vibration is 99 mm\/s, expected -?\d(\.\d+)? to \d(\.\d+)? at this hour$/)
  })

  it('names how far it drifted', () => {
    const bench = lived('drift', 8, (_, i) => 2 + (i % 7) / 10)
    for (let i = 0; i < 12; i++) bench.send('d', { vibration: 2.9 }, { labels })
    expect(bench.open('d', 'telemetry')!.summary).toMatch(/^vibration has drifted up by 0\.\d+ mm\/s within \d+ readings, expected \d(\.\d+)? to \d(\.\d+)? at this hour$/)
  })

  it('of two metrics are told by the odder one’s words', () => {
    const bench = lived('stuck', 2, (_, i) => i)
    for (let i = 0; i < 30; i++) bench.send('d', { vibration: 1.23456789, other: i }, { labels })
    expect(bench.open('d', 'telemetry')!.summary).toMatch(/^vibration has been exactly 1\.23456789 mm\/s for \d+ readings, expected at most 1$/)
  })
})

describe('a number in a sentence', () => {
  it('has as many digits as tell it from the band', () => {
    const bench = makeBench()
    for (let i = 0; i < 400; i++) bench.send('d', { total: 7_654_321 + (i % 10) }, { labels })
    bench.send('d', { total: 7_654_399 }, { labels })
    expect(bench.open('d', 'telemetry')!.summary).toMatch(/^total is 7654399, expected 765432\d(\.\d)? to 765433\d(\.\d)?$/)
  })

  it('tells a broken limit from the limit', () => {
    const bench = makeBench()
    bench.send('d', { vibration: 7.10004 }, { labels })
    expect(bench.open('d', 'limit')!.summary).toBe('vibration is 7.10004 mm/s, allowed is at most 7.1')
  })
})

describe('metrics taken together', () => {
  const random = seeded(3)
  const makeChart = () => new Bench(settingsOf({ detectors: ['chart'], classes: { default: classOf({ budget: { alarms: 1, perMs: 600_000 } }) } }))
  const until = (bench: Bench, send: (i: number) => void) => {
    for (let i = 0; i < 100 && bench.opened('telemetry').length === 0; i++) send(i)
    return bench.opened('telemetry')[0]!
  }

  it('of a device with one are told without the others', () => {
    const bench = makeChart()
    for (let i = 0; i < 1_000; i++) bench.send('d', { a: 20 + random.normal() })
    expect(until(bench, () => bench.send('d', { a: 24 + random.normal() })).summary).toMatch(/^a averages 2\d(\.\d+)?, expected 1\d\.\d+ to 2\d(\.\d+)?$/)
  })

  it('have a band that what is odd lies outside of', () => {
    const bench = makeChart()
    // It hardly moves while the chart is calibrated, so that what lies within three spreads is odd already.
    for (let i = 0; i < 430; i++) bench.send('d', { a: 20 + (i < 320 ? Math.sin(i / 30) : 0.02 * random.normal()) })
    const { observed, expected } = until(bench, (i) => bench.send('d', { a: 20 + i / 50 })).votes[0]!
    expect(observed).toBeGreaterThan(expected[1]!)
  })

  it('are told by no name where the message has none of those that lead', () => {
    const bench = new Bench(
      settingsOf({ detectors: ['chart', 'limits'], capacity: { devices: 4, series: 8, classes: 4, incidents: 1 }, classes: { default: classOf(), pump } }),
    )
    for (let i = 0; i < 1_000; i++) bench.send('d', { a: 20 + random.normal(), b: random.normal() })
    // The only place for an incident is taken until all that is odd was said.
    bench.send('other', { vibration: 9 }, { labels })
    for (let i = 0; i < 30; i++) bench.send('d', { a: 40, b: random.normal() })
    bench.take(controlOf('reset', { kind: 'reset', device: 'other', metric: null }))
    bench.send('d', { mode: 'idle' })
    expect(bench.opened('telemetry').map(({ summary }) => summary)).toEqual(['its metrics move together as they never did'])
  })
})

describe('what has no say', () => {
  it.each([[40, ['a'], ''], [41, ['b', 'a'], '; 1 more odd at once']])('is a series that warms up (%i readings), though its device is odd', (readings, metrics, more) => {
    const bench = new Bench(settingsOf({ classes: { default: classOf({ warmup: 30, budget: { alarms: 1, perMs: 600_000 } }) } }))
    for (let i = 0; i < 300; i++) bench.send('d', { a: i % 3, ...(i >= 300 - readings ? { b: i % 3 } : {}) })
    bench.send('d', { a: 50, b: 5_000 })
    const { summary, votes } = bench.open('d', 'telemetry')!
    expect(summary.replace(/is .* to [^;]*/, 'is odd')).toBe(`${metrics[0]!} is odd${more}`)
    expect(votes.map(({ metric }) => metric)).toEqual(metrics)
  })

  it.each([[29, 0], [30, 1]])('is a series that has seen %i of the 30 readings its class warms up with: incidents %i', (readings, opened) => {
    const bench = new Bench(settingsOf({ classes: { default: classOf({ warmup: 30, budget: { alarms: 1, perMs: 60_000 } }) } }))
    // The level has an opinion from its twelfth reading on, and opinions are what counts.
    for (let i = 0; i < 11 + readings; i++) bench.send('d', { a: i % 3 })
    bench.send('d', { a: 500 })
    expect(bench.opened('telemetry')).toHaveLength(opened)
  })
})
