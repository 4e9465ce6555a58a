/**
 * A centrifugal pump: one load drives flow, pressure, current, heat and vibration, as in the machine; a bearing that wears adds a harmonic and friction.
 *
 * The load goes up and down in cycles of some ten seconds. Vibration is the effective velocity as ISO 20816 has it, mm/s. Wear is a demonstration's: it takes
 * seconds for what takes weeks in a hall, along the same curve (damage grows in proportion to itself, until the bearing seizes).
 */
import type { Prng } from '../prng.ts'
import { gauss, Lag, measured, Wander } from './noise.ts'
import type { Readings, Signal } from './signal.ts'

/** Damage, mm/s of vibration, when wear begins to show, and when the bearing is as good as seized. */
const DAMAGE_FIRST = 0.15
const DAMAGE_MOST = 14

export class Pump implements Signal {
  readonly #prng: Prng
  readonly #stepS: number
  readonly #make: ReturnType<typeof drawMake>
  readonly #wander: Wander
  readonly #heat: Lag
  #s: number

  constructor(prng: Prng, stepS: number) {
    const make = drawMake(prng)
    this.#prng = prng
    this.#stepS = stepS
    this.#make = make
    this.#wander = new Wander(prng, { sd: 0.015, memoryS: 2, stepS })
    this.#heat = new Lag(make.ambient + make.heating * (0.3 + 0.7 * make.duty), { delayS: 15, stepS })
    this.#s = prng.between(0, make.cycleS)
  }

  next(wornS: number): Readings {
    const { duty, swing, cycleS, flow, head, current, ambient, heating, vibration, wearS, beatHz } = this.#make
    this.#s += this.#stepS
    const phase = (2 * Math.PI * this.#s) / cycleS
    const load = duty + swing * (Math.sin(phase) + 0.25 * Math.sin(2 * phase)) + this.#wander.next()
    const damage = Math.min(DAMAGE_FIRST * (Math.exp(wornS / wearS) - 1), DAMAGE_MOST)
    const noise = () => gauss(this.#prng)
    const shaking = vibration * (0.6 + 0.5 * load ** 2) * (1 + 0.05 * noise())
    const harmonic = damage * (1 + 0.4 * Math.sin(2 * Math.PI * beatHz * this.#s) + 0.1 * noise())
    return {
      vibration: measured(Math.max(0, shaking + harmonic), 1000),
      temperature: measured(this.#heat.next(ambient + heating * (0.3 + 0.7 * load + 0.08 * damage)) + 0.04 * noise(), 100),
      flow: measured(flow * load * (1 + 0.008 * noise()), 10),
      current: measured(current * (0.35 + 0.65 * load + 0.006 * damage) * (1 + 0.008 * noise()), 1000),
      pressure: measured(head * (1.25 - 0.45 * load ** 2) + 0.01 * noise(), 1000),
    }
  }
}

/** No two pumps of a hall are the same. */
function drawMake(prng: Prng) {
  return {
    /** Share of the full load, and how far the cycle takes it up and down. */
    duty: prng.between(0.68, 0.8),
    swing: prng.between(0.08, 0.14),
    cycleS: prng.between(7, 12),
    /** l/min, bar, A at full load. */
    flow: prng.between(180, 320),
    head: prng.between(3, 6),
    current: prng.between(8, 16),
    /** °C, and K at full load. */
    ambient: prng.between(20, 27),
    heating: prng.between(25, 35),
    /** mm/s at full load, about. */
    vibration: prng.between(1.6, 2.6),
    /** Damage grows e-fold in so many seconds. */
    wearS: prng.between(3.5, 5),
    /** The damaged ball passes the sensor so often. */
    beatHz: prng.between(1.1, 2.3),
  }
}
