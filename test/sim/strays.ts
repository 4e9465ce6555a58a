/** Late writes of owners long gone: an append to `incidents` that was lost with its owner arrives after all, when a newer one has begun. */
import type { Log, LogRecord } from '../../src/log/log.ts'
import type { MemoryCluster, MemoryLog } from '../../src/log/memory.ts'
import { epochsOf } from './reader.ts'
import type { World } from './world.ts'

/** How often, and for how long, a stray looks whether its time has come, ms. */
const LOOK_MS = 300
const LOOKS = 40

interface Stray {
  readonly partition: number
  readonly records: readonly LogRecord[]
}

export class Strays {
  readonly #world: World
  readonly #cluster: MemoryCluster
  readonly #network: MemoryLog
  #active = true

  constructor(world: World, cluster: MemoryCluster) {
    this.#world = world
    this.#cluster = cluster
    this.#network = cluster.connect({ name: 'network' })
  }

  heal(): void {
    this.#active = false
  }

  /** The log as one process has it; what it calls when it is killed. */
  around(log: MemoryLog): { readonly log: Log; readonly killed: () => void } {
    const unsure = new Set<Stray>()
    const append: Log['append'] = async (topic, partition, records) => {
      if (topic !== 'incidents') return log.append(topic, partition, records)
      const stray = { partition, records }
      unsure.add(stray)
      const appended = await log.append(topic, partition, records)
      appended.flushed.then(
        () => unsure.delete(stray),
        () => {
          unsure.delete(stray)
          this.#await(stray, LOOKS)
        },
      )
      return appended
    }
    const whole: Log = {
      partitions: log.partitions,
      append,
      consume: (open, signal) => log.consume(open, signal),
      lead: (name, run, signal) => log.lead(name, run, signal),
      tail: (topic, from, each, signal) => log.tail(topic, from, each, signal),
      read: (topic, partition, from, limit) => log.read(topic, partition, from, limit),
      bounds: (topic, partition) => log.bounds(topic, partition),
      flushed: () => log.flushed(),
      reasons: () => log.reasons(),
      holder: (place) => log.holder(place),
      close: () => log.close(),
    }
    return { log: whole, killed: () => unsure.forEach((stray) => this.#await(stray, LOOKS)) }
  }

  #await(stray: Stray, looks: number): void {
    if (looks === 0 || !this.#active) return
    this.#world.after(LOOK_MS, () => {
      const { newest } = epochsOf(this.#cluster.dump('incidents', stray.partition))
      const { newest: own } = epochsOf(stray.records.map(({ key, value }) => ({ key, value, offset: 0, time: 0 })))
      if (newest <= own) return this.#await(stray, looks - 1)
      this.#network.append('incidents', stray.partition, stray.records).catch(() => undefined)
    })
  }
}
