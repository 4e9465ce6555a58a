/** A gateway of a site: traffic drives its processor, memory fills and is freed, and now and then the wired link gives way to the mobile one for a moment. */
import type { Prng } from '../prng.ts'
import { gauss, measured, Wander } from './noise.ts'
import type { Readings, Signal } from './signal.ts'

export class Gateway implements Signal {
  readonly #prng: Prng
  readonly #stepS: number
  readonly #make: ReturnType<typeof drawMake>
  readonly #demand: Wander
  #s: number
  /** Of the mobile link, s. */
  #failoverLeft = 0

  constructor(prng: Prng, stepS: number) {
    const make = drawMake(prng)
    this.#prng = prng
    this.#stepS = stepS
    this.#make = make
    this.#demand = new Wander(prng, { sd: 0.12, memoryS: 2, stepS })
    this.#s = prng.between(0, make.rushS)
  }

  next(): Readings {
    const { traffic, rushS, idle, perTraffic, memory, garbage, collectS, failoverEachS } = this.#make
    this.#s += this.#stepS
    const beginsFailover = this.#failoverLeft <= 0 && this.#prng.chance(this.#stepS / failoverEachS)
    if (beginsFailover) this.#failoverLeft = this.#prng.between(0.6, 1.6)
    else this.#failoverLeft -= this.#stepS
    const isMobile = this.#failoverLeft > 0
    const rush = 0.2 * Math.sin((2 * Math.PI * this.#s) / rushS)
    const rate = traffic * Math.exp(rush + this.#demand.next()) * (isMobile ? 0.7 : 1) * (1 + 0.03 * gauss(this.#prng))
    return {
      traffic: measured(rate, 10),
      cpu: measured(Math.min(100, idle + perTraffic * rate + 0.8 * Math.abs(gauss(this.#prng))), 10),
      memory: measured(memory + garbage * ((this.#s % collectS) / collectS) + 0.4 * gauss(this.#prng), 10),
      link: isMobile ? 'mobile' : 'wired',
      tunnel: !beginsFailover,
    }
  }
}

function drawMake(prng: Prng) {
  return {
    /** kB/s in the middle, and how long it is from one rush to the next. */
    traffic: prng.between(250, 600),
    rushS: prng.between(8, 14),
    /** %, and % a kB/s. */
    idle: prng.between(8, 15),
    perTraffic: prng.between(0.02, 0.04),
    /** MB at the least, what gathers, and how often that is freed. */
    memory: prng.between(240, 380),
    garbage: prng.between(15, 30),
    collectS: prng.between(5, 9),
    failoverEachS: prng.between(6, 10),
  }
}
