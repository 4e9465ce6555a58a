/** What every measured quantity has in it: white noise, and wandering that remembers where it was. */
import type { Prng } from '../prng.ts'

/** Standard normal (Box and Muller 1958, one of the pair). */
export function gauss(prng: Prng): number {
  return Math.sqrt(-2 * Math.log(1 - prng.fraction())) * Math.cos(2 * Math.PI * prng.fraction())
}

/** An Ornstein-Uhlenbeck process in exact steps: mean 0, standard deviation `sd`, forgotten with time constant `memoryS`. */
export class Wander {
  readonly #prng: Prng
  readonly #kept: number
  readonly #pushed: number
  #value: number

  /** Begins anywhere it may be, so that a device that has just been started looks like one that has run for long. `stepS`: between two calls of `next`. */
  constructor(prng: Prng, { sd, memoryS, stepS }: { readonly sd: number; readonly memoryS: number; readonly stepS: number }) {
    this.#prng = prng
    this.#kept = Math.exp(-stepS / memoryS)
    this.#pushed = sd * Math.sqrt(1 - this.#kept ** 2)
    this.#value = sd * gauss(prng)
  }

  next(): number {
    this.#value = this.#value * this.#kept + this.#pushed * gauss(this.#prng)
    return this.#value
  }
}

/** Follows a quantity with a delay of first order: heat, breath, a filter. */
export class Lag {
  readonly #share: number
  #value: number

  /** `value`: where it begins. */
  constructor(value: number, { delayS, stepS }: { readonly delayS: number; readonly stepS: number }) {
    this.#share = 1 - Math.exp(-stepS / delayS)
    this.#value = value
  }

  next(target: number): number {
    this.#value += this.#share * (target - this.#value)
    return this.#value
  }
}

/** As a sensor of this resolution gives it. `perUnit`: steps a unit, such as 100 for hundredths. */
export function measured(value: number, perUnit: number): number {
  return Math.round(value * perUnit) / perUnit
}
