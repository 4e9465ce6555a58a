/** The contract of a detector as one suite, run on every one: `detectorContract(level, life)`. */
import { describe, expect, it } from 'vitest'
import { KIND_NUMBER } from '../../src/core/message.ts'
import type { Detector, Ground, RowPart, Rows } from '../../src/detect/detector.ts'
import { RoundColumns } from '../../src/detect/rounds.ts'
import { Table } from '../../src/detect/table.ts'
import { decodePage, encodePage } from '../../src/log/page.ts'
import { type Seeded, seeded } from '../detect/seeded.ts'

/** What one row meets in a round. */
export interface Moment {
  readonly value?: number
  /** Covered ms since the last message. */
  readonly gap?: number
  /** A look at a device that said nothing, not a message. */
  readonly missing?: boolean
  readonly above?: number
  readonly below?: number
  /** As `Round.clock`; the hour of all moments where left out. */
  readonly clock?: number
  /** ms of the device's time since the message before; a second where left out. */
  readonly after?: number
  /** As `Round.skew`; no event time is claimed where left out. */
  readonly skew?: number
  /** As `Round.shape`; fields were left out where left out. */
  readonly shape?: number
  /** As `Round.fresh`. */
  readonly fresh?: number
}

/** What a row of the detector meets in good and bad days; each draw is one round. */
export interface Life {
  /** Teaches it. */
  usual(random: Seeded): Moment
  /** To be scored: nothing wrong. */
  calm(random: Seeded): Moment
  /** To be scored: something wrong. */
  odd(random: Seeded): Moment
  /** What comes right before something wrong, met under suspicion: for what a single round can't show. */
  lead?(random: Seeded): Moment[]
}

const ROWS = 70
const TAUGHT = 400
const NEIGHBOUR: RowPart = {
  name: 'neighbour', version: 1, scope: 'series',
  fields: { present: [{ name: 'x', type: 'float64', width: 1 }], baseline: [{ name: 'y', type: 'float32', width: 3 }] },
}

class Lab {
  readonly detector: Detector
  table: Table
  rows: Rows
  #ground: Ground
  readonly #round = new RoundColumns()
  readonly #scratch: Float64Array
  readonly #out = new Float32Array(ROWS)
  /** When each row's last message was, ms. [rows] */
  readonly #times = new Float64Array(ROWS).fill(1_700_000_000_000)

  constructor(detector: Detector) {
    this.detector = detector
    this.#scratch = new Float64Array(ROWS * detector.scratch)
    this.table = this.#makeTable()
    for (let row = 0; row < ROWS; row++) this.table.allocate(`row ${row}`, '')
    this.rows = this.table.view(detector.name)!
    this.#ground = this.#groundOf(this.table)
  }

  /** One round over `rows`, each meeting its moment: scores. */
  score(rows: readonly number[], moments: readonly Moment[]): number[] {
    this.#fill(rows, moments)
    this.detector.score(this.#round, this.rows, this.#scratch, this.#out, this.#ground)
    return [...this.#out.subarray(0, rows.length)]
  }

  /** Scores, then learns by `weight`. */
  meet(rows: readonly number[], moments: readonly Moment[], weight = 1): number[] {
    const scores = this.score(rows, moments)
    const weights = new Float32Array(rows.length).fill(weight)
    this.detector.learn(this.#round, this.rows, this.#scratch, weights, this.#ground)
    this.detector.basis?.learn(this.#round, this.#ground.rows, this.#ground.columns, weights)
    rows.forEach((row, m) => (this.#times[row] = this.#round.told[m]!))
    return scores
  }

  teach(life: Life, seed: number, readings = TAUGHT): void {
    const random = seeded(seed)
    for (let i = 0; i < readings; i++) this.meet([3], [life.usual(random)])
  }

  /** The gate of row 3 gives in. */
  accept(): void {
    this.detector.basis?.accept?.(this.#ground.rows, 3)
    this.detector.accept?.(this.rows, 3)
  }

  /** What leads to something wrong teaches nothing. */
  lead(life: Life, seed: number): void {
    for (const moment of life.lead?.(seeded(seed)) ?? []) this.meet([3], [moment], 0)
  }

  explain(moment: Moment) {
    this.#fill([3], [moment])
    return this.detector.explain(this.#round, this.rows, 0, this.#ground)
  }

  /** Through the bytes of the log into a new table. */
  restart(): void {
    const next = this.#makeTable()
    for (let page = 0; page < this.table.pages(); page++) next.load(decodePage(encodePage(this.table.page(page))))
    this.table = next
    this.rows = next.view(this.detector.name)!
    this.#ground = this.#groundOf(next)
  }

  bytes(): string {
    return [0, 1].map((page) => Buffer.from(this.table.page(page).numbers).toString('hex')).join()
  }

  /** The row's numbers, those of the basis first. */
  numbers(row: number): { present: number[]; baseline: number[] } {
    const out = { present: [] as number[], baseline: [] as number[] }
    const { basis } = this.detector
    for (const [{ fields }, rows] of basis ? ([[basis, this.#ground.rows], [this.detector, this.rows]] as const) : ([[this.detector, this.rows]] as const)) {
      let at64 = row * rows.stride64 + rows.at64
      let at32 = row * rows.stride32 + rows.at32
      for (const kind of ['present', 'baseline'] as const) {
        for (const { type, width } of fields[kind]) {
          if (type === 'float64') out[kind].push(...rows.float64.subarray(at64, (at64 += width)))
          else out[kind].push(...rows.float32.subarray(at32, (at32 += width)))
        }
      }
    }
    return out
  }

  #groundOf(table: Table): Ground {
    const { basis } = this.detector
    return { rows: basis ? table.view(basis.name)! : this.rows, columns: new Float64Array(ROWS * (basis?.columns ?? 0)) }
  }

  #makeTable(): Table {
    const parts = this.detector.basis ? [this.detector.basis, this.detector] : [this.detector]
    return new Table('series', ROWS, [NEIGHBOUR, ...parts, { ...NEIGHBOUR, name: 'other neighbour' }], () => {})
  }

  #fill(rows: readonly number[], moments: readonly Moment[]): void {
    const round = this.#round
    round.clear()
    round.missing = moments[0]!.missing ?? false
    rows.forEach((row, i) => {
      const { value = 0, gap = -1, above = Infinity, below = -Infinity, clock = 0, after = 1_000, skew = NaN, shape = 0, fresh = 0 } = moments[i]!
      const m = round.addMessage(row)
      round.gap[m] = gap
      round.heartbeat[m] = 0
      round.clock[m] = clock
      round.told[m] = round.arrival[m] = this.#times[row]! + after
      round.skew[m] = skew
      round.shape[m] = shape
      round.periodic[m] = 1
      if (!round.missing) round.fresh[round.addReading(m, row, KIND_NUMBER, value, below, above)] = fresh
    })
    this.detector.basis?.compute(round, this.#ground.rows, this.#ground.columns)
  }
}

export function detectorContract(detector: Detector, life: Life): void {
  const draw = (moment: (random: Seeded) => Moment, seed: number, count: number) => {
    const random = seeded(seed)
    return Array.from({ length: count }, () => moment(random))
  }

  describe(`detector contract: ${detector.name}`, () => {
    it('comes to the same bits for the same readings', () => {
      const labs = [1, 1].map((seed) => {
        const lab = new Lab(detector)
        lab.teach(life, seed)
        return lab.bytes()
      })
      expect(labs[0]).toBe(labs[1])
    })

    it('scores a row the same whatever stands beside it in the round', () => {
      const together = new Lab(detector)
      const apart = new Lab(detector)
      const random = seeded(2)
      const rows = Array.from({ length: ROWS }, (_, row) => row)
      for (let i = 0; i < 60; i++) {
        const moments = rows.map(() => (i % 10 === 9 ? life.calm(random) : life.usual(random)))
        const expected = together.meet(rows, moments)
        expect(rows.toReversed().map((row) => apart.meet([row], [moments[row]!])[0])).toEqual(expected.toReversed())
      }
      expect(apart.bytes()).toBe(together.bytes())
    })

    it('goes on after a restart as if there had been none', () => {
      const whole = new Lab(detector)
      const cut = new Lab(detector)
      for (const seed of [3, 4]) {
        whole.teach(life, seed)
        cut.teach(life, seed)
        cut.restart()
      }
      expect(cut.bytes()).toBe(whole.bytes())
      for (const moment of draw(life.odd, 5, 20)) expect(cut.score([3], [moment])).toEqual(whole.score([3], [moment]))
    })

    it('changes nothing by scoring or explaining', () => {
      const lab = new Lab(detector)
      lab.teach(life, 6)
      const before = lab.bytes()
      for (const moment of [...draw(life.calm, 7, 20), ...draw(life.odd, 7, 20)]) {
        lab.score([3], [moment])
        lab.explain(moment)
      }
      expect(lab.bytes()).toBe(before)
    })

    it('changes no other row and no other part', () => {
      const lab = new Lab(detector)
      const neighbours = ['neighbour', 'other neighbour'].map((name) => lab.table.view(name)!)
      lab.teach(life, 8)
      for (let row = 0; row < ROWS; row++) {
        if (row !== 3) expect(lab.numbers(row)).toEqual(new Lab(detector).numbers(row))
        for (const rows of neighbours) {
          expect(rows.float64[row * rows.stride64 + rows.at64]).toBe(0)
          expect([...rows.float32.subarray(row * rows.stride32 + rows.at32, row * rows.stride32 + rows.at32 + 3)]).toEqual([0, 0, 0])
        }
      }
    })

    it('learns no baseline by weight 0', () => {
      const lab = new Lab(detector)
      lab.teach(life, 9)
      const before = lab.numbers(3).baseline
      for (const moment of draw(life.usual, 10, 50)) lab.meet([3], [moment], 0)
      expect(lab.numbers(3).baseline).toEqual(before)
    })

    it('has no opinion or one from 0 up, and keeps finite numbers', () => {
      const lab = new Lab(detector)
      const random = seeded(11)
      const readings = Array.from({ length: 600 }, () => random.pick([life.usual, life.usual, life.calm, life.odd])(random))
      for (const moment of readings) {
        const [score] = lab.meet([3], [moment])
        expect(Number.isNaN(score) || (score! >= 0 && score! < Infinity)).toBe(true)
      }
      const { present, baseline } = lab.numbers(3)
      expect([...present, ...baseline].every(Number.isFinite)).toBe(true)
    })

    it('keeps finite numbers whatever finite numbers come, and when the gate gives in amid them', () => {
      const lab = new Lab(detector)
      const random = seeded(18)
      const extremes = [1e300, -1e300, Number.MAX_VALUE, -Number.MAX_VALUE, 5e-324, -5e-324, 0, -0, 1e39, 1e-39, 1]
      for (let i = 0; i < 900; i++) {
        const moment = { ...life.usual(random), ...(i % 3 > 0 ? { value: random.pick(extremes) } : {}) }
        const [score] = lab.meet([3], [moment], i % 5 > 0 ? 1 : 0)
        if (i % 100 === 99) lab.accept()
        expect(Number.isNaN(score) || (score! >= 0 && score! < Infinity)).toBe(true)
        const { observed, low, high } = lab.explain(moment)
        expect([observed, low ?? 0, high ?? 0].every(Number.isFinite)).toBe(true)
      }
      const { present, baseline } = lab.numbers(3)
      expect([...present, ...baseline].every(Number.isFinite)).toBe(true)
    })

    it('is calm about what never changes', () => {
      const lab = new Lab(detector)
      const [always] = draw(life.usual, 12, 1)
      const [look] = draw(life.calm, 12, 1)
      for (let i = 0; i < TAUGHT; i++) lab.meet([3], [always!])
      const [score] = lab.score([3], [{ ...always!, missing: look!.missing ?? false }])
      expect(Number.isNaN(score) || score! < 1).toBe(true)
    })

    it('is more surprised by what is odd than by what is calm', () => {
      const lab = new Lab(detector)
      lab.teach(life, 13)
      const calm = draw(life.calm, 14, 200).map((moment) => lab.score([3], [moment])[0]!)
      lab.lead(life, 14)
      const odd = draw(life.odd, 15, 200).map((moment) => lab.score([3], [moment])[0]!)
      let won = 0
      for (const high of odd) for (const low of calm) won += high > low ? 1 : high === low ? 0.5 : 0
      expect(won / (odd.length * calm.length)).toBeGreaterThan(0.99)
    })

    it('explains what it saw, outside the band when it is odd', () => {
      const lab = new Lab(detector)
      lab.teach(life, 16)
      lab.lead(life, 16)
      for (const moment of draw(life.odd, 17, 20)) {
        const { observed, low, high } = lab.explain(moment)
        expect(Number.isFinite(observed)).toBe(true)
        expect([low ?? 0, high ?? 0].every(Number.isFinite)).toBe(true)
        expect((low !== null && observed < low) || (high !== null && observed > high)).toBe(true)
      }
    })
  })
}
