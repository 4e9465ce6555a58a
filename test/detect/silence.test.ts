/** Covered time and silence: a device is silent only while we listened, as long as its class reports, and until it speaks. */
import { describe, expect, it } from 'vitest'
import type { ClassSettings } from '../../src/core/settings.ts'
import { coverTick, sourceIndex, SOURCES, type SourceCover } from '../../src/detect/coverage.ts'
import type { SourceState } from '../../src/log/control.ts'
import { classOf, configOf, controlOf, listening, settingsOf, START } from './fleet.ts'
import { Bench } from './partition.ts'

/** Ticks visit a device every so many seconds. */
const VISIT = 16

function makeBench(fields: Partial<ClassSettings> = {}): Bench {
  return new Bench(settingsOf({ classes: { default: classOf(fields) } }))
}

/** Reports every `every` seconds, `times` times. */
function reports(bench: Bench, every: number, times: number): void {
  for (let i = 0; i < times; i++) {
    bench.tick(every)
    bench.send('d', { a: 1 })
  }
}

describe('covered time', () => {
  const covered = (ticks: readonly [number, Partial<SourceState>?][]) => {
    const sources: SourceCover[] = []
    for (const [at, state] of ticks) coverTick(sources, [listening('field', state)], START + at)
    return sources[0]!.covered
  }

  it.each<[string, [number, Partial<SourceState>?][], number]>([
    ['lies between ticks', [[0], [1_000], [2_500]], 2_500],
    ['lies between ticks up to three seconds apart', [[0], [3_000]], 3_000],
    ['does not lie between ticks further apart', [[0], [3_001], [4_000]], 999],
    ['does not lie where the source was not connected at either end', [[0], [1_000, { connectedSince: null }], [2_000], [3_000]], 1_000],
    ['does not lie where older messages were still coming in', [[0], [1_000, { backlog: true }], [2_000], [3_000]], 1_000],
    ['starts with the second tick', [[0]], 0],
  ])('%s', (_, ticks, expected) => {
    expect(covered(ticks)).toBe(expected)
  })

  it('is kept for each source apart', () => {
    const sources: SourceCover[] = []
    coverTick(sources, [listening('field'), listening('yard')], START)
    coverTick(sources, [listening('field'), listening('yard', { connectedSince: null })], START + 1_000)
    expect(sources.map(({ name, covered: ms }) => [name, ms])).toEqual([['field', 1_000], ['yard', 0]])
  })

  it('is kept for so many sources, the rest share the last place', () => {
    const sources: SourceCover[] = []
    for (let i = 0; i < SOURCES; i++) expect(sourceIndex(sources, `source-${i}`)).toBe(i)
    expect(sourceIndex(sources, 'one more')).toBe(SOURCES - 1)
    expect(sources).toHaveLength(SOURCES)
  })
})

describe('a device that reports periodically', () => {
  it('is silent when it misses what it never missed', () => {
    const bench = makeBench()
    reports(bench, 5, 30)
    bench.tick(3 * 5 + VISIT)
    expect(bench.open('d', 'silence')).toMatchObject({ severity: 'major', cause: 'silence' })
    expect(bench.view('d')!.state).toBe('silent')
  })

  it('is not silent for as long as it has been quiet before', () => {
    const bench = makeBench()
    reports(bench, 60, 25)
    bench.tick(90)
    expect(bench.opened('silence')).toEqual([])
    bench.tick(200)
    expect(bench.open('d', 'silence')).toBeDefined()
  })

  it.each([[19, 0], [20, 1]])('is mute until twenty of its gaps were seen: after %i, silences %i', (gaps, silences) => {
    const bench = makeBench()
    bench.send('d', { a: 1 })
    reports(bench, 5, gaps)
    bench.tick(2_000)
    expect(bench.opened('silence')).toHaveLength(silences)
  })

  it('is heard of once, however long it lasts, and no longer with its first message', () => {
    const bench = makeBench()
    reports(bench, 5, 30)
    bench.tick(600)
    expect(bench.opened('silence')).toHaveLength(1)
    bench.send('d', { a: 1 })
    expect(bench.open('d', 'silence')).toBeUndefined()
    expect(bench.made.at(-1)!.incident).toMatchObject({ state: 'closed', closedBy: 'calm', revision: 2 })
  })

  it('does not learn from the gap that ended its silence', () => {
    const bench = makeBench()
    reports(bench, 5, 30)
    bench.tick(600)
    bench.send('d', { a: 1 })
    reports(bench, 5, 3)
    bench.tick(3 * 5 + VISIT)
    expect(bench.opened('silence')).toHaveLength(2)
  })

  it('speaks again through another source', () => {
    const bench = makeBench()
    reports(bench, 5, 30)
    bench.tick(600)
    bench.send('d', { a: 1 }, {}, 'yard')
    expect(bench.open('d', 'silence')).toBeUndefined()
  })

  it('is never silent sooner than in ten seconds', () => {
    const bench = new Bench(settingsOf({ classes: { default: classOf() } }))
    for (let i = 0; i < 120; i++) {
      bench.tick(1)
      bench.send('d', { a: 1 })
    }
    for (let s = 1; s <= 2 * VISIT; s++) {
      bench.tick(1)
      if (bench.open('d', 'silence')) expect(s).toBeGreaterThanOrEqual(10)
    }
    expect(bench.open('d', 'silence')).toBeDefined()
  })

  it('says how long it is silent and how long it was at most', () => {
    const bench = makeBench()
    reports(bench, 5, 30)
    bench.tick(60)
    expect(bench.open('d', 'silence')).toMatchObject({
      summary: expect.stringMatching(/^silent for \d+ s, expected at most 5 s$/),
      votes: [{ detector: 'silence', metric: '', expected: [0, expect.closeTo(5, 0)] }],
    })
  })
})

describe('an outage of ours', () => {
  it.each<[string, SourceState[] | null]>([
    ['in which nobody wrote ticks', null],
    ['in which the source was not connected', [listening('field', { connectedSince: null })]],
    ['in which its backlog was still coming in', [listening('field', { backlog: true })]],
    ['in which another source was there', [listening('yard')]],
  ])('%s raises no silence', (_, sources) => {
    const bench = makeBench()
    reports(bench, 5, 30)
    if (sources) bench.tick(2_000, sources)
    else bench.now += 2_000_000
    bench.tick(9)
    bench.send('d', { a: 1 })
    expect(bench.opened('silence')).toEqual([])
  })

  it('teaches no longer gap', () => {
    const bench = makeBench()
    reports(bench, 5, 30)
    bench.tick(2_000, [listening('field', { connectedSince: null })])
    reports(bench, 5, 3)
    bench.tick(3 * 5 + VISIT)
    expect(bench.open('d', 'silence')).toBeDefined()
  })
})

describe('a class', () => {
  it('that promises a heartbeat counts from it, without having to learn', () => {
    const bench = makeBench({ heartbeatMs: 60_000 })
    bench.send('d', { a: 1 })
    bench.tick(1)
    bench.tick(118)
    expect(bench.opened('silence')).toEqual([])
    bench.tick(3 + VISIT)
    expect(bench.open('d', 'silence')).toBeDefined()
  })

  it('that reports on change is never silent', () => {
    const bench = makeBench({ reports: 'on-change' })
    reports(bench, 5, 30)
    bench.tick(5_000)
    expect(bench.opened('silence')).toEqual([])
  })

  it('that reports on change with a heartbeat is', () => {
    const bench = makeBench({ reports: 'on-change', heartbeatMs: 30_000 })
    reports(bench, 5, 3)
    bench.tick(60 + VISIT)
    expect(bench.open('d', 'silence')).toBeDefined()
  })

  it('that raises no silence has none', () => {
    const bench = makeBench({ silence: false })
    reports(bench, 5, 30)
    bench.tick(5_000)
    expect(bench.opened('silence')).toEqual([])
  })

  it('that raises none any more lets go of what is open when the device speaks', () => {
    const bench = makeBench()
    reports(bench, 5, 30)
    bench.tick(600)
    bench.take(configOf(2, settingsOf({ classes: { default: classOf({ silence: false }) } })))
    bench.send('d', { a: 1 })
    expect(bench.open('d', 'silence')).toBeUndefined()
  })
})

describe('a quarantined device', () => {
  const quarantine = (bench: Bench, until: number | null, generation = 1) =>
    bench.take(controlOf(`q-${bench.offset}`, { kind: 'quarantine', device: 'd', generation, until }))

  it('is not silent while its lease lasts', () => {
    const bench = makeBench()
    reports(bench, 5, 30)
    quarantine(bench, START + bench.now + 600_000)
    bench.tick(599)
    expect(bench.opened('silence')).toEqual([])
    expect(bench.view('d')!.state).toBe('quarantined')
  })

  it.each<[string, (bench: Bench) => void]>([
    ['was released', (bench) => quarantine(bench, null)],
    ['had its lease run out', (bench) => quarantine(bench, START + bench.now)],
  ])('that %s is missed again from there on', (_, end) => {
    const bench = makeBench()
    reports(bench, 5, 30)
    quarantine(bench, START + bench.now + 600_000)
    bench.tick(300)
    end(bench)
    for (let s = 1; s <= 2 * VISIT; s++) {
      bench.tick(1)
      if (s < 10) expect(bench.open('d', 'silence')).toBeUndefined()
    }
    expect(bench.open('d', 'silence')).toBeDefined()
  })

  it('is not missed for an outage of ours in which its lease ended', () => {
    const bench = makeBench()
    reports(bench, 5, 30)
    quarantine(bench, START + bench.now + 60_000)
    bench.tick(50)
    bench.now += 600_000
    bench.tick(9)
    expect(bench.opened('silence')).toEqual([])
  })

  it('stays so when an older decision comes late', () => {
    const bench = makeBench()
    reports(bench, 5, 30)
    quarantine(bench, START + bench.now + 600_000, 2)
    quarantine(bench, null, 1)
    expect(bench.view('d')!.state).toBe('quarantined')
  })

  it('teaches nothing, and brings no gate to give in', () => {
    const bench = makeBench()
    for (let i = 0; i < 1_600; i++) bench.send('d', { a: i % 5 })
    quarantine(bench, START + bench.now + 86_400_000)
    const before = bench.baseline('d', 'a')
    for (let i = 0; i < 600; i++) bench.send('d', { a: 1_000 + i })
    expect(bench.baseline('d', 'a')).toEqual(before)
  })
})

describe('a row unseen for the time of expiry', () => {
  it('is freed at a tick, with its series, and its incidents end', () => {
    const bench = new Bench(settingsOf({ expireMs: 100_000 }))
    reports(bench, 5, 30)
    bench.send('other', { a: 1 })
    bench.tick(100)
    expect(bench.view('d')).not.toBeNull()
    bench.tick(VISIT)
    expect(bench.view('d')).toBeNull()
    expect(bench.partition.state!.tables.series.size).toBe(0)
    expect(bench.made.at(-1)!.incident).toMatchObject({ device: 'd', cause: 'silence', state: 'closed', closedBy: 'expired' })
  })
})
