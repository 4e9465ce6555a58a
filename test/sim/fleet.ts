/** The fleet of one seed: which devices there are, how they are wired, what will go wrong with each, and the settings they live under. */
import type { ClassSettings, Settings } from '../../src/core/settings.ts'
import type { DeviceSpec, Sensor } from '../../src/fleet/device.ts'
import type { Fault } from '../../src/fleet/fault.ts'
import type { Prng } from '../../src/fleet/prng.ts'
import type { SimOptions } from './options.ts'

/** Faults of the world end here, ms; those of the devices are over a little later. */
export const HEAL_AT = 130_000
/** When what is wrong with devices begins: spikes and the like first, then a second round. */
const FIRST: readonly [number, number] = [52_000, 62_000]
const SECOND: readonly [number, number] = [104_000, 112_000]
/** Incidents come, devices are cut off: mischief does most harm then. */
export const BUSY: readonly (readonly [number, number])[] = [[FIRST[0], FIRST[1] + 28_000], [SECOND[0], SECOND[1] + 8_000]]
const SILENT_UNTIL = HEAL_AT + 45_000
/** Everybody speaks slower from here on; what has to close needs some forty messages. */
export const IDLE_FROM = HEAL_AT + 60_000

const SLOW_MS = 900

/** ms between two samples at a time of the simulation: as the device is made, and slower when nothing more is to come of it. */
export function paceOf({ spec }: Wiring, time: number): number {
  if (time >= IDLE_FROM) return 4_000
  const isDone = time > Math.max(FIRST[1] + 5_000, ...spec.faults.map(({ kind, to }) => (kind === 'spike' ? to + 5_000 : 0)))
  return isDone ? Math.max(spec.periodMs, SLOW_MS) : spec.periodMs
}

/** What a device is beside its readings. */
export interface Wiring {
  readonly spec: DeviceSpec
  readonly format: 'json' | 'number'
  /** ms its own clock is wrong by, or null: it tells no time. */
  readonly stamp: number | null
  /** Without a clock it counts a command's `ttl`. */
  readonly hasClock: boolean
  readonly answers: 'well' | 'never'
}

const BASE: ClassSettings = {
  budget: { alarms: 1, perMs: 30 * 86_400_000 },
  backfill: false,
  // They change their pace by plan, see `paceOf`: nobody falls behind.
  reports: 'scheduled',
  heartbeatMs: null,
  silence: true,
  warmup: 60,
  quarantine: null,
  timezone: 'UTC',
  metrics: {},
}

/** Limits lie just above the sensors' noise, so that a breach is odd to nobody but the limit. */
const LIMIT = 1.05
const BREACH = 1.15
const SENSOR: Sensor = { metric: 'pressure', base: 100, amplitude: 4 }
const ABOVE = SENSOR.base + LIMIT * SENSOR.amplitude

export const CLASSES = ['pump', 'valve', 'meter'] as const

function settings(quarantineMs: number, capacity: number): Settings {
  const limit = (severity: 'critical' | 'major') => ({ pressure: { unit: 'kPa', above: ABOVE, below: null, severity } })
  return {
    classes: {
      default: BASE,
      pump: { ...BASE, quarantine: { from: 'critical', forMs: quarantineMs }, metrics: limit('critical') },
      valve: { ...BASE, quarantine: { from: 'critical', forMs: quarantineMs }, heartbeatMs: 5_000, metrics: limit('major') },
      meter: { ...BASE, metrics: limit('critical') },
    },
    sites: {},
    devices: {},
    detectors: ['level', 'season', 'drift', 'stuck', 'limits', 'silence', 'rate', 'clock', 'shape'],
    capacity: { devices: capacity, series: 4 * capacity, classes: 8, incidents: capacity },
    limits: { metricsPerDevice: 8, newSeriesPerMinute: 30 },
    toleranceMs: 300_000,
    expireMs: 86_400_000,
  }
}

export const SETTINGS = { first: settings(25_000, 64), second: settings(30_000, 128) }
export type Version = keyof typeof SETTINGS

/** Whether an incident of this class and severity cuts its device off. */
export function quarantines(klass: string, severity: string, cause: string): boolean {
  return SETTINGS.first.classes[klass]?.quarantine != null && severity === 'critical' && cause !== 'silence'
}

export function drawFleet(options: SimOptions, draw: Prng): Wiring[] {
  const fleet = Array.from({ length: options.devices }, (_, i) => drawDevice(`device ${i}%${'abc'[i % 3]}`, draw))
  if (options.fastDevice) fleet.push(fastDevice(draw, options.network.reordered))
  if (!options.far.mute) return fleet
  return fleet.map((wiring, i) => (i === 0 ? { ...wiring, answers: 'never' } : wiring))
}

function drawDevice(id: string, draw: Prng): Wiring {
  const klass = draw.pick(CLASSES)
  const first = draw.pick(['spike', 'spike', 'breach', 'crowd', 'none'] as const)
  const second = draw.pick(first === 'breach' ? (['silence', 'crowd', 'none'] as const) : (['breach', 'silence', 'crowd', 'none'] as const))
  const cuts = klass !== 'meter' && first === 'spike'
  const periodMs = first === 'spike' ? draw.whole(300, 450) : draw.whole(500, 1_500)
  const faults = [
    ...faultOf(first, draw.whole(...FIRST), periodMs),
    // One quarantine a device: with two, whether the second finds the first still in force is a matter of moments.
    ...(second === first || (cuts && second === 'breach' && klass === 'pump') ? [] : faultOf(second, draw.whole(...SECOND), periodMs)),
  ]
  const format = draw.chance(0.2) && !faults.some(({ kind }) => kind === 'crowd') ? 'number' : 'json'
  const flow: Sensor = { metric: 'flow', base: draw.between(-50, 5_000), amplitude: draw.between(0.1, 40) }
  const sensors = format === 'number' ? [SENSOR] : [SENSOR, flow]
  const stamp = format === 'number' || draw.chance(0.35) ? null : draw.chance(0.15) ? 3_600_000 : 0
  return { spec: { id, class: klass, sensors, periodMs, faults }, format, stamp, hasClock: draw.chance(0.8), answers: 'well' }
}

function faultOf(kind: Fault['kind'] | 'none', from: number, periodMs: number): Fault[] {
  // More messages than are under way at once: some arrive before anything newer makes them late, at whichever pace.
  const to = from + 10 * (kind === 'spike' ? periodMs : Math.max(periodMs, SLOW_MS))
  switch (kind) {
    case 'spike':
      return [{ kind, metric: SENSOR.metric, sds: -20_000, from, to }]
    case 'breach':
      return [{ kind, metric: SENSOR.metric, value: SENSOR.base + BREACH * SENSOR.amplitude, from, to }]
    case 'crowd':
      return [{ kind, metrics: 12, from, to }]
    case 'silence':
      return [{ kind, from, to: SILENT_UNTIL }]
    default:
      return []
  }
}

/** More than 1,500 readings before the first of two equal faults: from there on the gate guards what was learnt. */
function fastDevice(draw: Prng, reordered: boolean): Wiring {
  const fault = (from: number): Fault => ({ kind: 'spike', metric: SENSOR.metric, sds: -20_000, from, to: from + 4_000 })
  const spec: DeviceSpec = { id: 'fast', class: 'meter', sensors: [SENSOR], periodMs: 50, faults: [fault(95_000), fault(112_000)] }
  // With times, most of what is reordered would be late, and the gate would see too few.
  return { spec, format: 'json', stamp: draw.chance(0.5) && !reordered ? 0 : null, hasClock: true, answers: 'well' }
}
