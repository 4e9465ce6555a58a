/** A device of the demonstration: its signal, its clock, and what is wrong with it; gives one message after the other, each due at its moment. Pure. */
import { DeviceClock } from './device-clock.ts'
import type { Prng } from './prng.ts'
import { Gateway } from './signal/gateway.ts'
import { Pump } from './signal/pump.ts'
import type { Readings, Signal } from './signal/signal.ts'
import { Wearable } from './signal/wearable.ts'
import type { Trouble, Truth } from './truth.ts'

export type DeviceKind = 'pump' | 'wearable' | 'gateway'

export interface Member {
  /** Unique in the fleet. */
  readonly id: string
  /** Also its class. */
  readonly kind: DeviceKind
  /** From message to message, ms, while all is well. */
  readonly periodMs: number
  /** Its first message, ms since the fleet's start. */
  readonly firstAt: number
}

/** `aheadMs`: what its clock shows beyond the true time. */
export interface Emission {
  readonly at: number
  readonly aheadMs: number
  readonly readings: Readings
}

/** A device that was taken over sends so many times as often. */
const FLOOD = 20

export class DemoDevice {
  readonly member: Member
  readonly #signal: Signal
  readonly #clock: DeviceClock
  readonly #intruder: Prng
  #due: number
  #sensed: number
  #latest: Readings
  #held: Readings[string] | undefined
  #truth: Truth | null
  #mended = false

  /** `prng`: this device's own. */
  constructor(member: Member, truth: Truth | null, prng: Prng) {
    this.member = member
    this.#truth = truth
    this.#signal = signalOf(member, prng.fork('signal'))
    this.#clock = new DeviceClock(prng.fork('clock'))
    this.#intruder = prng.fork('intruder')
    this.#due = member.firstAt
    this.#sensed = member.firstAt
    this.#latest = this.#signal.next(0)
  }

  /** What is, was or will be wrong with it; null: nothing. */
  get truth(): Truth | null {
    return this.#truth
  }

  /** In place of what was wrong with it before, which is over. */
  befall(truth: Truth): void {
    this.#truth = truth
    this.#mended = false
  }

  /** When the next message is due, ms since the fleet's start. */
  get due(): number {
    return this.#due
  }

  /** The message due now, null while the device is silent; the next one is due a period later. */
  next(): Emission | null {
    const at = this.#due
    const isTaken = this.#suffers('takeover', at)
    this.#sense(at)
    this.#due = isTaken ? at + this.member.periodMs / FLOOD : at + this.member.periodMs
    if (this.#suffers('silence', at)) return null
    const aheadMs = this.#clock.ahead(at, this.#suffers('clock', at) ? at - this.truth!.from : 0)
    return { at, aheadMs, readings: isTaken ? this.#foreign() : this.#told(at) }
  }

  /** Whatever is wrong with it has been put right. Without effect before it has begun. */
  mend(at: number): void {
    if (this.truth && at >= this.truth.from) this.#mended = true
  }

  #suffers(kind: Trouble, at: number): boolean {
    const { truth } = this
    return truth?.kind === kind && !this.#mended && at >= truth.from && at < truth.to
  }

  /** Sensors keep their pace, however often somebody sends. */
  #sense(at: number): void {
    const { periodMs } = this.member
    while (this.#sensed + periodMs <= at) {
      this.#sensed += periodMs
      this.#latest = this.#signal.next(this.#suffers('bearing', this.#sensed) ? (this.#sensed - this.truth!.from) / 1000 : 0)
    }
  }

  #told(at: number): Readings {
    if (!this.#suffers('stuck', at)) {
      this.#held = undefined
      return this.#latest
    }
    const { metric } = this.truth!
    this.#held ??= this.#latest[metric]!
    return { ...this.#latest, [metric]: this.#held }
  }

  /** What an intruder's program sends under the device's name: its own business, beside readings that show how busy it is. */
  #foreign(): Readings {
    const prng = this.#intruder
    const { traffic, memory, link } = this.#latest
    return {
      traffic: Math.round(Number(traffic ?? 0) * prng.between(6, 9)),
      cpu: Math.round(prng.between(92, 100)),
      memory: memory ?? 0,
      link: link ?? 'wired',
      beacon: prng.whole(1, 65_535),
      target: `203.0.113.${prng.whole(1, 254)}`,
      shell: true,
    }
  }
}

function signalOf({ kind, periodMs }: Member, prng: Prng): Signal {
  const stepS = periodMs / 1000
  switch (kind) {
    case 'pump':
      return new Pump(prng, stepS)
    case 'wearable':
      return new Wearable(prng, stepS)
    case 'gateway':
      return new Gateway(prng, stepS)
  }
}
