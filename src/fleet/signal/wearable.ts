/** A wearable on a person who moves about: effort drives activity and, with the delay of a body, heart rate, oxygen and skin temperature. */
import type { Prng } from '../prng.ts'
import { gauss, Lag, measured, Wander } from './noise.ts'
import type { Readings, Signal } from './signal.ts'

export class Wearable implements Signal {
  readonly #prng: Prng
  readonly #stepS: number
  readonly #body: ReturnType<typeof drawBody>
  readonly #whim: Wander
  readonly #saturation: Wander
  readonly #skin: Wander
  readonly #heart: Lag
  readonly #warmth: Lag
  #s: number

  constructor(prng: Prng, stepS: number) {
    const body = drawBody(prng)
    this.#prng = prng
    this.#stepS = stepS
    this.#body = body
    this.#whim = new Wander(prng, { sd: 0.06, memoryS: 3, stepS })
    this.#saturation = new Wander(prng, { sd: 0.25, memoryS: 4, stepS })
    this.#skin = new Wander(prng, { sd: 0.04, memoryS: 8, stepS })
    this.#heart = new Lag(body.effort, { delayS: 4, stepS })
    this.#warmth = new Lag(body.effort, { delayS: 10, stepS })
    this.#s = prng.between(0, body.paceS)
  }

  next(): Readings {
    const { effort, swing, paceS, resting, reserve, breathHz, skin } = this.#body
    this.#s += this.#stepS
    const now = Math.max(0, effort + swing * Math.sin((2 * Math.PI * this.#s) / paceS) + this.#whim.next())
    const noise = () => gauss(this.#prng)
    const breath = 1.5 * Math.sin(2 * Math.PI * breathHz * this.#s)
    return {
      heart_rate: measured(resting + reserve * this.#heart.next(now) + breath + 0.8 * noise(), 1),
      spo2: measured(Math.min(100, 98 - 1.5 * now + this.#saturation.next() + 0.2 * noise()), 1),
      temperature: measured(skin + 0.6 * this.#warmth.next(now) + this.#skin.next() + 0.01 * noise(), 100),
      activity: measured(Math.max(0, 0.05 + 1.8 * now * (1 + 0.15 * noise()) + 0.02 * noise()), 1000),
    }
  }
}

function drawBody(prng: Prng) {
  return {
    /** Share of the person's best, its swing, and how long a turn of walking and resting takes. */
    effort: prng.between(0.25, 0.4),
    swing: prng.between(0.08, 0.15),
    paceS: prng.between(9, 15),
    /** Beats a minute. */
    resting: prng.between(56, 72),
    reserve: prng.between(80, 110),
    breathHz: prng.between(0.22, 0.32),
    /** °C. */
    skin: prng.between(32.8, 34.2),
  }
}
