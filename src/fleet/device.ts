/** A simulated device: bounded noise around a baseline a metric, and the faults put into it; what it would publish at a moment. */
import type { Breach, Crowd, Fault, Spike } from './fault.ts'
import type { Prng } from './prng.ts'

export interface Sensor {
  readonly metric: string
  readonly base: number
  /** Readings lie within base ± amplitude, evenly: their standard deviation is amplitude / √3. */
  readonly amplitude: number
}

export interface DeviceSpec {
  readonly id: string
  readonly class: string
  readonly sensors: readonly Sensor[]
  readonly periodMs: number
  readonly faults: readonly Fault[]
}

/** Values by metric, at `at` ms since the fleet's start. */
export interface Sample {
  readonly at: number
  readonly values: ReadonlyMap<string, number>
  /** The faults it shows. */
  readonly faults: readonly Fault[]
}

export class SimulatedDevice {
  readonly spec: DeviceSpec
  readonly #noise: Prng

  constructor(spec: DeviceSpec, noise: Prng) {
    this.spec = spec
    this.#noise = noise
  }

  /** Readings at one moment; null while the device is silent. Moments do not go back. */
  sample(at: number): Sample | null {
    const faults = this.spec.faults.filter(({ from, to }) => from <= at && at < to)
    const values = new Map(this.spec.sensors.map((sensor) => [sensor.metric, this.#reading(sensor, faults)]))
    if (faults.some(({ kind }) => kind === 'silence')) return null
    for (const crowd of faults.filter((fault): fault is Crowd => fault.kind === 'crowd'))
      for (let i = 0; i < crowd.metrics; i++) values.set(`invented-${i}`, i)
    return { at, values, faults }
  }

  #reading(sensor: Sensor, faults: readonly Fault[]): number {
    const noise = sensor.base + sensor.amplitude * this.#noise.between(-1, 1)
    const breach = faults.find((fault): fault is Breach => fault.kind === 'breach' && fault.metric === sensor.metric)
    // As restless as ever, only less: two readings are never the same.
    if (breach) return breach.value + 0.01 * (noise - sensor.base)
    const spike = faults.find((fault): fault is Spike => fault.kind === 'spike' && fault.metric === sensor.metric)
    return spike ? noise + (spike.sds * sensor.amplitude) / Math.sqrt(3) : noise
  }
}
