/** The rate of a device: floods and falling behind are found, whatever is its nature is not. */
import { describe, expect, it } from 'vitest'
import { classOf, controlOf, listening, settingsOf, START } from '../fleet.ts'
import { every, type Pace, Paced, PACES, poisson } from '../paces.ts'
import { Bench } from '../partition.ts'

const PERIODS = [100, 1_000, 60_000]
const DAY_MS = 86_400_000

const opened = (device: Paced) => device.bench.opened('rate')
const incident = (device: Paced) => device.bench.made.findLast(({ incident: { cause } }) => cause === 'rate')!.incident

describe('a device that sends twenty times as much as it did', () => {
  it.each(PERIODS.flatMap((period) => ['at a steady pace', 'at a steady pace with jitter', 'at random'].map((kind) => [kind, period] as const)))(
    '%s, every %i ms, is found within 55 messages',
    (kind, period) => {
      const device = new Paced(1)
      device.live(2_000, PACES[kind]!(device.random, period))
      expect(device.found(55, every(period / 20))).not.toBeNull()
    },
  )

  it('is found within 60 when it has said no more than 150', () => {
    expect(new Paced(1).live(150, every(1_000)).found(60, every(50))).not.toBeNull()
  })

  it('is told of with the pace it has now, and is critical soon', () => {
    const device = new Paced(1).live(2_000, every(1_000)).live(200, every(50))
    expect(incident(device)).toMatchObject({
      state: 'open',
      severity: 'critical',
      summary: expect.stringMatching(/^sends 12\d\d messages a minute, expected 4[0-2]\.?\d* to 9[0-4]\.?\d*$/),
      votes: [{ detector: 'rate', metric: '', expected: [expect.closeTo(40, -1), expect.closeTo(90, -1)] }],
    })
  })

  it('is told of by the hour where that is its pace', () => {
    const device = new Paced(1).live(500, every(3_600_000)).live(60, every(180_000))
    expect(incident(device).summary).toMatch(/^sends 2\d(\.\d+)? messages an hour, expected 0\.6\d* to 1\.5\d*$/)
  })

  it('is over with some messages at its own pace', () => {
    const device = new Paced(1).live(2_000, every(1_000)).live(1_000, every(50)).live(40, every(1_000))
    expect(incident(device)).toMatchObject({ state: 'closed', closedBy: 'calm' })
  })

  it('teaches nothing while it lasts, and is found again a day later', () => {
    const device = new Paced(1).live(2_000, every(1_000)).live(40, every(50))
    const before = device.baseline()
    device.live(30_000, every(50))
    expect(device.baseline()).toEqual(before)
    device.live(DAY_MS / 1_000, every(1_000))
    expect(device.found(50, every(50))).not.toBeNull()
    expect(opened(device)).toHaveLength(2)
  })

  it('for good is what it does, an hour and 500 messages later', () => {
    const device = new Paced(1).live(2_000, every(60_000))
    expect(device.found(50, every(3_000))).not.toBeNull()
    device.live(1_100, every(3_000))
    expect(incident(device).state).toBe('open')
    device.live(200, every(3_000))
    expect(incident(device)).toMatchObject({ state: 'closed', closedBy: 'calm' })
    device.live(5_000, every(3_000))
    expect(opened(device)).toHaveLength(1)
    expect(device.found(50, every(150))).not.toBeNull()
  })

  it('is found though its connection came back just before', () => {
    const device = new Paced(1).live(2_000, every(1_000)).live(1, every(3_600_000)).live(200, every(1_000))
    expect(device.found(60, every(50))).not.toBeNull()
  })
})

describe('a device that sends two and a half times as much', () => {
  it('is found later, and is not critical however long it goes on', () => {
    const device = new Paced(1).live(2_000, every(1_000))
    expect(device.found(40, every(400))).toBeNull()
    expect(device.found(200, every(400))).not.toBeNull()
    device.live(3_000, every(400))
    expect(incident(device)).toMatchObject({ state: 'open', severity: 'minor' })
  })
})

describe('a device that says much less', () => {
  it.each([[100, 4], [1_000, 10], [60_000, 4]])('that sent every %i ms is found within 60 messages when %i times as long lies between them', (period, times) => {
    const device = new Paced(1).live(2_000, every(period))
    expect(device.found(60, every(times * period))).not.toBeNull()
    device.live(100, every(times * period))
    expect(incident(device)).toMatchObject({ state: 'open', severity: expect.stringMatching(/^(minor|major)$/) })
    expect(incident(device).votes[0]!.observed).toBeLessThan(incident(device).votes[0]!.expected[0]!)
  })

  it.each(['on-change', 'scheduled'] as const)('has no pace to keep in a class that reports %s', (reports) => {
    expect(new Paced(1, { reports }).live(2_000, every(1_000)).found(500, every(10_000))).toBeNull()
  })

  it('has its new pace to exceed there, once it has kept it', () => {
    const device = new Paced(1, { reports: 'scheduled' }).live(2_000, every(1_000)).live(2_000, every(100_000))
    expect(device.found(60, every(5_000))).not.toBeNull()
  })

  it('has no pace to keep when it never kept one', () => {
    const device = new Paced(1)
    device.live(2_000, poisson(device.random, 1_000))
    expect(device.found(500, every(10_000))).toBeNull()
  })

  it('is found by the time in which it could be heard, and excused for what was an outage of ours', () => {
    const one = new Bench(settingsOf({ classes: { default: classOf() }, detectors: ['rate'] }))
    /** Five messages a second, or one where it is slow, each second with its tick while we listen. */
    const seconds = (count: number, aSecond: number, isListening: boolean) => {
      for (let i = 0; i < count; i++) {
        for (let k = 0; k < aSecond; k++) {
          one.now += 1_000 / aSecond
          one.send('d', { a: k })
        }
        if (isListening) {
          one.now -= 1_000
          one.tick(1)
        }
      }
    }
    seconds(400, 5, true)
    seconds(100, 1, false)
    expect(one.opened('rate')).toEqual([])
    seconds(300, 5, true)
    seconds(100, 1, true)
    expect(one.opened('rate')).toHaveLength(1)
  })

  it('is excused while it is quarantined', () => {
    const device = new Paced(1).live(2_000, every(1_000))
    device.bench.take(controlOf('q', { kind: 'quarantine', device: 'd', generation: 1, until: START + device.at + DAY_MS }))
    expect(device.found(500, every(10_000))).toBeNull()
  })
})

describe('a source that came back', () => {
  it('brings what its devices could not send as fast as they can for a minute, and no longer', () => {
    const one = new Bench(settingsOf({ classes: { default: classOf() }, detectors: ['rate'] }))
    let since = START
    const seconds = (count: number, aSecond: number) => {
      for (let i = 0; i < count; i++) {
        for (let k = 0; k < aSecond; k++) {
          one.now += 1_000 / aSecond
          one.send('d', { a: k })
        }
        one.now -= 1_000
        one.tick(1, [listening('field', { connectedSince: since })])
      }
    }
    seconds(400, 5)
    since = START + one.now
    seconds(1, 5)
    seconds(58, 100)
    expect(one.opened('rate')).toEqual([])
    seconds(5, 100)
    expect(one.opened('rate')).toHaveLength(1)
  })
})

describe('a device by its nature', () => {
  it.each(Object.entries(PACES).flatMap(([kind, pace], i) => [[kind, PERIODS[i % 3]!, pace]] as const))('that sends %s (every %i ms) raises nothing in 100,000 messages', (_, period, pace) => {
    const device = new Paced(11)
    device.live(100_000, pace(device.random, period))
    expect(opened(device)).toEqual([])
  })
})

describe('a queue that is sent at once', () => {
  const queueAfter = (gap: number, messages: number) => new Paced(1).live(2_000, every(1_000)).live(1, every(gap)).found(messages, every(1))

  it('after a long gap is the backlog of it', () => {
    expect(queueAfter(3_600_000, 3_600)).toBeNull()
  })

  it('that is twice what the gap can explain is a flood', () => {
    expect(queueAfter(3_600_000, 7_200)).not.toBeNull()
  })

  it('is credited to ten thousand messages at most', () => {
    expect(queueAfter(DAY_MS, 10_200)).not.toBeNull()
  })

  it('after a connection that came and went is the backlog of all of it', () => {
    const device = new Paced(1).live(2_000, every(1_000)).live(4, every(300_000))
    expect(device.found(1_200, every(1))).toBeNull()
  })

  it('with times of its own is no flood, however fast it comes', () => {
    const bench = new Bench(settingsOf({ classes: { default: classOf({ backfill: true }) }, detectors: ['rate'] }))
    for (let i = 0; i < 3_000; i++) bench.send('d', { a: 1 }, { time: START - 86_400_000 + 1_000 * i })
    expect(bench.opened('rate')).toEqual([])
  })
})

it.each([[0.1, 42], [0.5, 82], [1, 140]])('is warmed up by %d after %i messages', (share, messages) => {
  expect(new Paced(1).live(messages, every(1_000)).bench.view('d')!.learning).toBeCloseTo(share, 1)
})

describe('a clock', () => {
  it('of ours that is set back costs nobody an incident', () => {
    const device = new Paced(1).live(2_000, every(1_000))
    const back: Pace = () => (device.random.onceIn(20) ? -6_000 : 1_000)
    expect(device.found(400, back)).toBeNull()
  })
})

describe('beside others', () => {
  it('a device under suspicion for what it measures teaches no pace', () => {
    const bench = new Bench(settingsOf({ detectors: ['level', 'rate'] }))
    const device = new Paced(1, {}, bench).live(1_700, every(1_000)).live(20, every(1_000), () => 1e6)
    const before = device.baseline()
    device.live(100, every(1_300), () => 1e6)
    expect(device.baseline()).toEqual(before)
  })

  it('a look at a silent device is no look at its pace', () => {
    const device = new Paced(1).live(2_000, every(1_000))
    device.bench.send('other', { a: 1 })
    device.live(100, every(50))
    device.bench.tick(20)
    expect(opened(device).map(({ device: name }) => name)).toEqual(['d'])
  })
})
