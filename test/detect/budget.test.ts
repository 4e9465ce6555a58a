/** The incident rule's three scores, and the class tables of openings that say from where on each is an alarm: against plain counting. */
import { describe, expect, it } from 'vitest'
import { budget, fold, GRID, GRID_LOW, GRID_STEP, isFoldDue, threshold } from '../../src/detect/budget.ts'
import { contribute, prolong, rule, scoreMessage, SCORES } from '../../src/detect/rule.ts'
import { Table } from '../../src/detect/table.ts'
import { classOf, settingsOf } from './fleet.ts'
import { Bench } from './partition.ts'
import { type Seeded, seeded } from './seeded.ts'

const MINUTE = 60_000
const ASKED = { alarms: 1, perMs: 1_440 * MINUTE }
const LEVELS = Array.from({ length: GRID }, (_, i) => GRID_LOW + GRID_STEP * i)

/** Device rows under the rule and class rows under the budget, as the engine has them. */
function makeFleet() {
  const devices = new Table('device', 8, [rule], () => {})
  const classes = new Table('class', 3, [budget], () => {})
  const rules = devices.view('rule')!
  const budgets = classes.view('budget')!
  const scores = new Float64Array(SCORES)
  return {
    budgets,
    classes,
    /** One message of a device: its scores, contributed to class 1. */
    message(device: number, u: number, elapsed = MINUTE): number[] {
      scoreMessage(rules, device, u, scores)
      contribute(rules, device, scores, budgets, 1, elapsed)
      return [...scores]
    },
    /** As `message`, of a device whose incident is open. */
    amid(device: number, u: number): void {
      prolong(rules, device)
      this.message(device, u)
    },
    thresholds: () => Array.from({ length: SCORES }, (_, score) => threshold(budgets, 1, score)),
  }
}

/** Mostly small, now and then a stretch of large ones. */
function surprise(random: Seeded): number {
  return Math.fround(random.onceIn(8) ? 9.5 * random.fraction() : -Math.log10(random.fraction() + 1e-9))
}

/**
 * `ClassBudget.count` of univariate.py in its own words: at each level, an opening is a reading at or above it, none having opened there in the 75 before;
 * but for the first time that the device comes there.
 */
class PlainCounts {
  readonly openings = LEVELS.map(() => 0)
  readonly #last = LEVELS.map(() => -Infinity)
  #reading = 0
  #record = 0

  take(score: number): void {
    this.#reading++
    const before = this.#record
    this.#record = Math.max(before, score)
    LEVELS.forEach((level, g) => {
      if (score < level - 1e-6) return
      // A higher one that opened had opened here as well, or found this level open.
      if (this.#reading - this.#last[g]! > 75) this.openings[g]! += before < level - 1e-6 ? 0 : 1
      else if (!this.#opensAbove(score, g)) return
      this.#last[g] = this.#reading
    })
  }

  #opensAbove(score: number, g: number): boolean {
    return LEVELS.some((level, h) => h > g && score >= level - 1e-6 && this.#reading - this.#last[h]! > 75)
  }
}

/** `ClassBudget.threshold` of univariate.py, with the openings asked counted in device time. */
function plainThreshold(counts: readonly number[], readings: number, asked: number, perReadingFirst: number): number {
  const chance = (asked + 100 * perReadingFirst) / (readings + 100)
  let best = LEVELS[0]!
  LEVELS.forEach((level, g) => {
    if (counts[g]! + 10 ** -level / chance >= asked + 1) best = level
  })
  return best
}

describe('the three scores', () => {
  it('are the newest, the 4th of the last 8 and the 20th of the last 40, as by sorting, but 0 for a rank below 2', () => {
    const random = seeded(11)
    const { message } = makeFleet()
    const seen: number[] = []
    const rank = (length: number, nth: number) => {
      const score = seen.slice(-length).sort((a, b) => b - a)[nth - 1]!
      return score < 2 ? 0 : score
    }
    for (let i = 0; i < 400; i++) {
      seen.push(random.onceIn(3) ? 2 : surprise(random))
      expect(message(3, seen.at(-1)!)).toEqual([seen.at(-1), seen.length < 4 ? -1 : rank(8, 4), seen.length < 20 ? -1 : rank(40, 20)])
    }
  })

  it('of one device know nothing of another', () => {
    const { message } = makeFleet()
    for (let i = 0; i < 60; i++) message(2, 5)
    expect(message(3, 1)).toEqual([1, -1, -1])
  })
})

describe('the budget', () => {
  it.each([1, 2, 3])('counts openings as the reference defines them (seed %i)', (seed) => {
    const random = seeded(seed)
    const { message, budgets } = makeFleet()
    const plain = new Map([0, 1, 2].map((device) => [device, LEVELS.map(() => 0).slice(0, SCORES).map(() => new PlainCounts())]))
    for (let i = 0; i < 3_000; i++) {
      const device = random.whole(0, 2)
      message(device, surprise(random)).forEach((score, k) => plain.get(device)![k]!.take(score))
    }
    fold(budgets, 1, 3, ASKED)
    for (let k = 0; k < SCORES; k++) {
      const expected = LEVELS.map((_, g) => [...plain.values()].reduce((sum, counts) => sum + counts[k]!.openings[g]!, 0))
      expect(countsOf(budgets, k)).toEqual(expected)
    }
  })

  it.each([4, 5, 6])('sets the threshold the reference’s table gives, fold after fold (seed %i)', (seed) => {
    const random = seeded(seed)
    const { message, budgets, thresholds } = makeFleet()
    const rate = ASKED.alarms / ASKED.perMs / SCORES
    let readings = 0
    let asked = 0
    for (let folds = 0; folds < 12; folds++) {
      const before = Array.from({ length: SCORES }, (_, k) => countsOf(budgets, k))
      const pending = random.whole(1, 2_000)
      for (let i = 0; i < pending; i++) message(random.whole(0, 2), surprise(random))
      fold(budgets, 1, 3, ASKED)
      const kept = 0.5 ** (pending / 3 / 100_000)
      readings = readings * kept + pending
      asked = asked * kept + pending * MINUTE * rate
      for (let k = 0; k < SCORES; k++) {
        const counts = countsOf(budgets, k)
        for (const [g, count] of counts.entries()) expect(count).toBeGreaterThanOrEqual(before[k]![g]! * kept)
        expect(thresholds()[k]).toBe(Math.fround(plainThreshold(counts, readings, asked, rate * MINUTE)))
      }
    }
  })

  it('asks a third of the alarms of each score', () => {
    const { budgets, thresholds } = makeFleet()
    fold(budgets, 1, 0, ASKED)
    // Nothing counted: the prior of one opening, spread as the surprise claims, is all there is.
    const claimed = -Math.log10(ASKED.alarms / 1_440 / SCORES)
    for (const level of thresholds()) expect(Math.abs(level - claimed)).toBeLessThan(GRID_STEP)
  })

  it('rises where more opens than was asked', () => {
    const { message, budgets, thresholds } = makeFleet()
    fold(budgets, 1, 1, ASKED)
    const [before] = thresholds()
    for (let i = 0; i < 1_440; i++) message(0, i % 100 === 0 ? 6 : 0.1)
    fold(budgets, 1, 1, ASKED)
    expect(thresholds()[0]).toBeGreaterThan(before!)
    expect(thresholds()[0]).toBeGreaterThan(5.9)
  })

  it('does not hold against a class what a device reaches for the first time', () => {
    const counted = (times: number) => {
      const { message, budgets } = makeFleet()
      for (let i = 0; i < 100 * times; i++) message(0, i % 100 === 50 ? 7 : 0.1)
      fold(budgets, 1, 1, ASKED)
      return countsOf(budgets, 0)[(6 - GRID_LOW) / GRID_STEP]
    }
    expect([1, 2, 3].map(counted)).toEqual([0, 1, 2])
  })

  it('counts a level once while an incident lasts', () => {
    const counted = (open: boolean) => {
      const fleet = makeFleet()
      for (const u of [7, 7]) for (let i = 0; i < 100; i++) fleet.message(0, i === 50 ? u : 0.1)
      fleet.message(0, 7)
      for (let i = 1; i < 400; i++) {
        const u = i % 100 === 0 ? 7 : 0.1
        if (open) fleet.amid(0, u)
        else fleet.message(0, u)
      }
      fold(fleet.budgets, 1, 1, ASKED)
      return countsOf(fleet.budgets, 0)[(6 - GRID_LOW) / GRID_STEP]
    }
    expect(counted(false)).toBe(4)
    expect(counted(true)).toBe(1)
  })

  it('is folded at each 32nd message of its class, whatever the time', () => {
    const { message, budgets } = makeFleet()
    for (let i = 0; i < 31; i++) message(i % 3, 1, 1_000 * i)
    expect(isFoldDue(budgets, 1)).toBe(false)
    message(0, 1)
    expect(isFoldDue(budgets, 1)).toBe(true)
    fold(budgets, 1, 3, ASKED)
    expect(isFoldDue(budgets, 1)).toBe(false)
  })

  it('moves no threshold before the next fold', () => {
    const { message, budgets, thresholds } = makeFleet()
    fold(budgets, 1, 1, ASKED)
    const before = thresholds()
    for (let i = 0; i < 500; i++) message(0, 8 * (i % 2))
    expect(thresholds()).toEqual(before)
  })

  it('comes to the same in whatever order devices contribute', () => {
    const random = seeded(8)
    const lives = Array.from({ length: 6 }, () => Array.from({ length: 300 }, () => surprise(random)))
    const fleets = [makeFleet(), makeFleet()]
    const taken = lives.map(() => 0)
    for (let left = 6 * 300; left > 0; left--) {
      const device = random.pick(taken.flatMap((count, i) => (count < 300 ? [i] : [])))
      fleets[0]!.message(device, lives[device]![taken[device]!]!, 1_000 + device)
      taken[device]!++
    }
    lives.forEach((life, device) => life.forEach((u) => fleets[1]!.message(device, u, 1_000 + device)))
    const rows = fleets.map(({ classes, budgets }) => {
      classes.allocate('zero', '')
      classes.allocate('one', '')
      fold(budgets, 1, 6, ASKED)
      return Buffer.from(classes.page(0).numbers).toString('hex')
    })
    expect(rows[0]).toBe(rows[1])
  })

  it('counts no more than an hour for a gap between two messages', () => {
    const asked = (elapsed: number) => {
      const { message, budgets, classes } = makeFleet()
      for (const name of ['zero', 'one']) classes.allocate(name, '')
      for (let i = 0; i < 40; i++) message(0, 0.5, elapsed)
      fold(budgets, 1, 1, ASKED)
      return Buffer.from(classes.page(0).numbers).toString('hex')
    }
    expect(asked(1e12)).toBe(asked(3_600_000))
    expect(asked(3_599_999)).not.toBe(asked(3_600_000))
  })
})

describe('the thresholds of a class', () => {
  /** Two devices whose level jumps now and then, with a tick after each so many messages. */
  const replay = (messagesATick: number) => {
    const bench = new Bench(settingsOf({ detectors: ['level'], classes: { default: classOf({ backfill: true, silence: false, warmup: 20 }) } }))
    const random = seeded(9)
    for (let i = 0; i < 1_500; i++) {
      const device = `d${i % 2}`
      bench.send(device, { level: 20 + random.normal() + (random.onceIn(60) ? 30 : 0) }, { time: 1_000 * i })
      if (i % messagesATick === 0) bench.tick(1)
    }
    const budgets = bench.partition.state!.tables.class.view('budget')!
    const openings = bench.opened('telemetry').map((incident) => [incident.device, incident.openedAt, incident.surprise])
    return { openings, thresholds: Array.from({ length: SCORES }, (_, score) => threshold(budgets, 0, score)) }
  }

  it('move with its messages, whatever ticks stand between them', () => {
    const slow = replay(1)
    const [first, ...others] = slow.thresholds
    expect(first).toBeGreaterThan(6)
    expect(others.every((level) => level > GRID_LOW)).toBe(true)
    expect(slow.openings.length).toBeGreaterThan(1)
    expect(replay(700)).toEqual(slow)
  })
})

function countsOf(rows: ReturnType<typeof makeFleet>['budgets'], score: number): number[] {
  const counts = 1 * rows.stride64 + rows.at64 + 4 + score * GRID
  return [...rows.float64.subarray(counts, counts + GRID)]
}
