/** The clock that devices live by: which hour of which kind of day an event time is, in an IANA zone; a column of the round before it is scored. */
import { PipelineError } from '../core/errors.ts'
import type { Settings } from '../core/settings.ts'

/** Hours of a weekday, then those of a day at the weekend. */
export const CLOCK_BINS = 48

/**
 * Zones lie whole quarters of an hour from UTC and change their clocks on one: within it the bin is the same. It was not always so (Monrovia's was 44:30
 * until 1972): the first moment of a quarter speaks for all of it, or what was asked before would matter.
 */
const QUARTER_MS = 900_000
/** Quarters kept a zone: 64 hours. */
const KEPT = 256
/** Furthest a Date goes either way (ECMA-262, 21.4.1.1). */
const FURTHEST_MS = 8.64e15

/** The zones a config names. What they come to depends on the time zone data of the Node that runs it, and on nothing else. */
export class Zones {
  readonly #zones = new Map<string, Zone>()

  /** Throws BAD_CONFIG for a zone this Node does not know. */
  constructor({ classes, sites, devices }: Pick<Settings, 'classes' | 'sites' | 'devices'>) {
    for (const layers of [classes, sites, devices]) {
      for (const [name, { timezone }] of Object.entries(layers)) if (timezone !== undefined) this.#add(timezone, name)
    }
  }

  /** Bin of a moment, ms since epoch: 0 to 23 the hour, 24 to 47 at weekends. `zone` is one of the config's. */
  bin(zone: string, ms: number): number {
    return this.#zones.get(zone)!.bin(ms)
  }

  #add(zone: string, of: string): void {
    if (this.#zones.has(zone)) return
    try {
      this.#zones.set(zone, new Zone(zone))
    } catch (cause) {
      throw new PipelineError('BAD_CONFIG', `timezone of ${of}: ${zone} is not known here; use a name as in Europe/Berlin`, { cause })
    }
  }
}

class Zone {
  readonly #format: Intl.DateTimeFormat
  readonly #quarters = new Float64Array(KEPT).fill(NaN)
  readonly #bins = new Uint8Array(KEPT)

  constructor(zone: string) {
    this.#format = new Intl.DateTimeFormat('en-US', { timeZone: zone, hour: '2-digit', hourCycle: 'h23', weekday: 'short' })
  }

  bin(ms: number): number {
    const quarter = Math.floor(ms / QUARTER_MS)
    const slot = ((quarter % KEPT) + KEPT) % KEPT
    if (this.#quarters[slot] !== quarter) {
      this.#bins[slot] = this.#work(Math.max(-FURTHEST_MS, Math.min(FURTHEST_MS, quarter * QUARTER_MS)))
      this.#quarters[slot] = quarter
    }
    return this.#bins[slot]!
  }

  #work(ms: number): number {
    let hour = 0
    let weekend = false
    for (const { type, value } of this.#format.formatToParts(ms)) {
      if (type === 'hour') hour = Number(value)
      if (type === 'weekday') weekend = value === 'Sat' || value === 'Sun'
    }
    return hour + (weekend ? CLOCK_BINS / 2 : 0)
  }
}
