/** What is drawn per seed: the fleet, the log, and which kinds of fault there are at all. Printed whole with a seed that fails. */
import { Prng } from '../../src/fleet/prng.ts'

export interface SimOptions {
  readonly seed: number
  readonly partitions: number
  readonly processes: number
  /** As `ClusterOptions.visible`. */
  readonly visible: 'appended' | 'flushed'
  readonly takeoverMs: number
  readonly slices: 'one' | 'few' | 'all'
  readonly checkpoint: { readonly everyMs: number; readonly bytes: number }
  /** Whether all processes give their source one name, or each its own. */
  readonly sources: 'shared' | 'own'
  readonly devices: number
  /** A device with 10 readings a second and two equal long faults: the second is found only if the first was not learnt. */
  readonly fastDevice: boolean
  readonly network: {
    readonly latencyMs: number
    readonly duplicates: number
    readonly late: number
    readonly reordered: boolean
    readonly lostAcks: number
    readonly breaks: number
  }
  readonly log: {
    readonly latencyMs: number
    /** Share of operations that take up to `slowMs`. */
    readonly slow: number
    readonly slowMs: number
    /** Longest time of a flush, ms; at least half of it. */
    readonly flushMs: number
    /** Longest time until a fence takes effect, ms. */
    readonly fenceMs: number
    /** Spells in which a process's operations fail. */
    readonly refusals: number
    readonly halfFlushes: number
    /** Flushes that fail right after an incident was appended. */
    readonly losses: number
    readonly doubts: number
    readonly survivors: 'none' | 'some' | 'all'
    /** Lost appends to `incidents` arrive when their owner is long gone. */
    readonly strays: boolean
  }
  readonly owners: { readonly moves: number; readonly unnoticed: number }
  readonly leaders: { readonly moves: number; readonly unnoticed: number }
  readonly crashes: {
    readonly betweenEvents: number
    readonly betweenAwaits: number
    readonly inOperations: number
    /** No crashes: asked to stop, and started again. */
    readonly stops: number
  }
  readonly clocks: { readonly driftPerMillion: number; readonly steps: number; readonly stepMs: number }
  readonly poison: number
  readonly far: {
    readonly lostAcks: number
    readonly repeatedAcks: number
    readonly mute: boolean
    readonly reboots: boolean
    readonly brokerRefuses: number
    readonly webhookFails: number
  }
  readonly configChange: boolean
  /** What people ask: how often each. */
  readonly operators: { readonly releases: number; readonly silences: number; readonly switches: number }
  readonly governor: { readonly perMinute: number; readonly atOnce: number }
}

/** No bound that so small a fleet meets. */
const UNGOVERNED = { perMinute: 100, atOnce: 100 }

/** Draws a seed's options; a kind of fault that is switched off is 0, false or 'none' whole. */
export function drawOptions(seed: number): SimOptions {
  const draw = new Prng(seed).fork('options')
  const calm = draw.chance(0.04)
  const some = (share: number, low: number, high: number) => (draw.chance(share) && !calm ? draw.between(low, high) : 0)
  const count = (share: number, low: number, high: number) => (draw.chance(share) && !calm ? draw.whole(low, high) : 0)
  const is = (share: number) => draw.chance(share) && !calm
  const processes = draw.pick([1, 1, 2, 2, 3])
  const log = {
    latencyMs: draw.pick([0, 1, 5, 20]),
    slow: some(0.4, 0.005, 0.05),
    slowMs: draw.whole(300, 2_500),
    flushMs: count(0.4, 10, 120),
    fenceMs: count(0.4, 200, 1_500),
    refusals: count(0.35, 1, 4),
    halfFlushes: some(0.3, 0.002, 0.02),
    losses: count(0.4, 1, 4),
    doubts: some(0.3, 0.01, 0.15),
    survivors: draw.pick(['none', 'some', 'all'] as const),
    strays: is(0.5),
  }
  return {
    seed,
    partitions: draw.whole(1, 3),
    processes,
    visible: draw.pick(['appended', 'flushed'] as const),
    takeoverMs: draw.whole(500, 3_000),
    slices: draw.pick(['one', 'few', 'all'] as const),
    checkpoint: { everyMs: draw.pick([300, 2_000, 10_000]), bytes: draw.pick([20_000, 10_000_000]) },
    sources: draw.pick(['shared', 'own'] as const),
    devices: draw.whole(4, 7),
    fastDevice: draw.chance(0.3) && log.slow === 0,
    network: {
      latencyMs: draw.pick([1, 5, 30]),
      duplicates: some(0.5, 0.01, 0.1),
      late: some(0.4, 0.01, 0.05),
      reordered: is(0.4),
      lostAcks: some(0.4, 0.005, 0.03),
      breaks: count(0.4, 1, 6),
    },
    log,
    owners: { moves: processes > 1 ? count(0.6, 1, 6) : 0, unnoticed: draw.pick([0, 0.5, 1]) },
    leaders: { moves: processes > 1 ? count(0.5, 1, 4) : 0, unnoticed: draw.pick([0, 0.5, 1]) },
    crashes: { betweenEvents: count(0.5, 1, 4), betweenAwaits: count(0.5, 1, 4), inOperations: count(0.5, 1, 4), stops: count(0.3, 1, 2) },
    clocks: { driftPerMillion: some(0.4, 10, 2_000), steps: count(0.35, 1, 4), stepMs: draw.whole(500, 6_000) },
    poison: some(0.4, 0.005, 0.03),
    far: {
      lostAcks: some(0.4, 0.1, 0.6),
      repeatedAcks: some(0.4, 0.1, 0.5),
      mute: is(0.1),
      reboots: is(0.4),
      brokerRefuses: some(0.3, 0.05, 0.3),
      webhookFails: some(0.5, 0.1, 0.6),
    },
    configChange: is(0.3),
    operators: { releases: count(0.3, 1, 3), silences: count(0.25, 1, 2), switches: count(0.3, 1, 2) },
    governor: calm ? UNGOVERNED : draw.pick([UNGOVERNED, UNGOVERNED, { perMinute: 1, atOnce: 2 }, { perMinute: 3, atOnce: 1 }]),
  }
}

/** `changes`: any part of the options, as people give it on the command line. */
export function changed<T>(options: T, changes: unknown): T {
  if (changes === null || typeof changes !== 'object' || options === null || typeof options !== 'object') return changes as T
  const out = { ...options } as Record<string, unknown>
  for (const [key, value] of Object.entries(changes)) {
    if (!(key in out)) throw new Error(`no option is called ${key}; there are ${Object.keys(out).join(', ')}`)
    out[key] = changed(out[key], value)
  }
  return out as T
}
