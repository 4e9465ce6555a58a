/** Devices by the way they pace their messages, and a partition that takes one's by the thousand: what the rate detector is tried on. */
import type { ClassSettings } from '../../src/core/settings.ts'
import { rate } from '../../src/detect/detectors/rate.ts'
import { classOf, frameOf, settingsOf, START } from './fleet.ts'
import { Bench } from './partition.ts'
import { type Seeded, seeded } from './seeded.ts'

/** ms until the device's next message, `at` ms since its first. */
export type Pace = (at: number) => number

const DAY_MS = 86_400_000

export const every = (ms: number): Pace => () => ms

/** A mean of `ms` between messages that know nothing of each other. */
export const poisson = (random: Seeded, ms: number): Pace => () => -ms * Math.log(1 - random.fraction())

/** Of a message about each `period` ms. */
export const PACES: Readonly<Record<string, (random: Seeded, period: number) => Pace>> = {
  'at a steady pace': (_, period) => every(period),
  'at a steady pace with jitter': (random, period) => () => Math.max(0, period * (1 + 0.2 * random.normal())),
  'at random': poisson,
  'at a steady pace, of which a quarter is lost': (random, period) => () => {
    let gap = period
    while (random.onceIn(4)) gap += period
    return gap
  },
  'eight at once': (_, period) => inBursts(8, () => 8 * period),
  'fifty at once': (_, period) => inBursts(50, () => 50 * period),
  'on change, a few at once': (random, period) => {
    let left = 0
    return () => {
      if (left-- > 0) return 0.02 * period * random.fraction()
      left = random.whole(0, 15)
      return poisson(random, 8 * period)(0)
    }
  },
  'at random, twenty times as often by day as by night': (random, period) => (at) =>
    poisson(random, period)(at) / (1.1 + Math.sin((2 * Math.PI * at) / DAY_MS)),
  'at a steady pace, away at times with a queue to send when it is back': (random, period) => {
    let queued = 0
    return () => {
      if (queued-- > 0) return 1
      if (!random.onceIn(300)) return period
      queued = random.whole(1, 400)
      return queued * period
    }
  },
  'at a steady pace, away at times for good': (random, period) => () => (random.onceIn(100) ? random.whole(2, 600) : 1) * period,
}

function inBursts(size: number, rest: () => number): Pace {
  let sent = 0
  return () => (++sent % size === 0 ? rest() : 1)
}

const usual = (sent: number) => sent % 5

/** One device `d` under the rate detector, and others where `bench` has them; its messages have no times of their own. Unless `fields` say else, all time counts as heard. */
export class Paced {
  readonly bench: Bench
  readonly random: Seeded
  /** ms since the first message. */
  at = 0
  #sent = 0

  constructor(seed: number, fields: Partial<ClassSettings> = {}, bench?: Bench) {
    this.random = seeded(seed)
    this.bench = bench ?? new Bench(settingsOf({ classes: { default: classOf({ backfill: true, ...fields }) }, detectors: ['rate'] }))
  }

  /** Sends `count` messages of one value, a frame of many at a time. */
  live(count: number, pace: Pace, value = usual): this {
    for (let left = count; left > 0; left -= 500) this.#frame(Math.min(left, 500), pace, value)
    return this
  }

  /** Sends until an incident opens, `most` messages at most; gives how many it took, or null. */
  found(most: number, pace: Pace): number | null {
    const before = this.bench.opened('rate').length
    for (let sent = 1; sent <= most; sent++) {
      this.#frame(1, pace)
      if (this.bench.opened('rate').length > before) return sent
    }
    return null
  }

  /** What the detector has learnt. */
  baseline(): number[] {
    const rows = this.bench.partition.state!.tables.device.view(rate.name)!
    const present = rate.fields.present.filter(({ type }) => type === 'float32').length
    const width = rate.fields.baseline.reduce((sum, field) => sum + field.width, 0)
    const at = this.bench.partition.state!.tables.device.row('d')! * rows.stride32 + rows.at32 + present
    return [...rows.float32.subarray(at, at + width)]
  }

  #frame(size: number, pace: Pace, value: (sent: number) => number = usual): void {
    const messages = Array.from({ length: size }, () => {
      this.at += pace(this.at)
      return { device: 'd', metrics: { a: value(this.#sent) }, arrival: START + Math.floor(this.at), payload: ++this.#sent }
    })
    this.bench.now = this.at
    this.bench.take(frameOf(messages))
  }
}
