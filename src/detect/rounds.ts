/** The columns of a round, filled in the order of the log: at most 512 messages, no device twice. */
import { assert } from '../core/assert.ts'
import { ROUND_MESSAGES, ROUND_READINGS, type Round } from './detector.ts'

export class RoundColumns implements Round {
  missing = false
  messages = 0
  readings = 0
  readonly device = new Int32Array(ROUND_MESSAGES)
  readonly klass = new Int32Array(ROUND_MESSAGES)
  readonly when = new Float64Array(ROUND_MESSAGES)
  readonly clock = new Uint8Array(ROUND_MESSAGES)
  readonly told = new Float64Array(ROUND_MESSAGES)
  readonly catchingUp = new Uint8Array(ROUND_MESSAGES)
  readonly heard = new Float64Array(ROUND_MESSAGES)
  readonly skew = new Float64Array(ROUND_MESSAGES)
  readonly shape = new Float64Array(ROUND_MESSAGES)
  readonly periodic = new Uint8Array(ROUND_MESSAGES)
  readonly gap = new Float64Array(ROUND_MESSAGES)
  readonly heartbeat = new Float64Array(ROUND_MESSAGES)
  readonly start = new Int32Array(ROUND_MESSAGES)
  readonly count = new Int32Array(ROUND_MESSAGES)
  readonly series = new Int32Array(ROUND_READINGS)
  readonly value = new Float64Array(ROUND_READINGS)
  readonly kind = new Uint8Array(ROUND_READINGS)
  readonly since = new Float64Array(ROUND_READINGS)
  readonly fresh = new Uint8Array(ROUND_READINGS)
  readonly above = new Float64Array(ROUND_READINGS)
  readonly below = new Float64Array(ROUND_READINGS)
  readonly arrival = new Float64Array(ROUND_MESSAGES)
  /** ms since the device's last message; 0 for its first. [messages] */
  readonly elapsed = new Float64Array(ROUND_MESSAGES)
  /** Readings a series must have seen before it has a say. [messages] */
  readonly warmup = new Float64Array(ROUND_MESSAGES)
  /** 0 where the device is quarantined: it teaches nothing. [messages] */
  readonly teaches = new Uint8Array(ROUND_MESSAGES)
  /** A metric was refused: the device has more than it may. [messages] */
  readonly crowded = new Uint8Array(ROUND_MESSAGES)
  /** Index of the message in its record; all messages of a round of kind missing stand at 0. [messages] */
  readonly offset = new Float64Array(ROUND_MESSAGES)
  readonly index = new Int32Array(ROUND_MESSAGES)
  readonly #seats = new Map<number, number>()

  /** Whether a message of `device` with `readings` readings may still enter. */
  takes(device: number, readings: number): boolean {
    return this.messages < ROUND_MESSAGES && this.readings + readings <= ROUND_READINGS && !this.#seats.has(device)
  }

  /** Seats a message; its readings follow by `addReading`. Returns its place. */
  addMessage(device: number): number {
    const m = this.messages++
    assert(m < ROUND_MESSAGES, 'a round takes 512 messages')
    this.#seats.set(device, m)
    this.device[m] = device
    this.start[m] = this.readings
    this.count[m] = 0
    this.crowded[m] = 0
    this.clock[m] = 0
    return m
  }

  /** Returns its place. */
  addReading(m: number, series: number, kind: number, value: number, below: number, above: number): number {
    const i = this.readings++
    this.count[m] = this.count[m]! + 1
    this.series[i] = series
    this.kind[i] = kind
    this.value[i] = value
    this.since[i] = 0
    this.fresh[i] = 0
    this.below[i] = below
    this.above[i] = above
    return i
  }

  clear(): void {
    this.messages = 0
    this.readings = 0
    this.missing = false
    this.#seats.clear()
  }
}
