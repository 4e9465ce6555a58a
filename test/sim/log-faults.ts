/** What goes wrong inside the simulated log: it is slow, refuses, stores half, leaves a commit in doubt; and where in an operation a process dies. */
import type { Prng } from '../../src/fleet/prng.ts'
import type { Failure, Faults, Operation } from '../../src/log/memory.ts'
import type { SimOptions } from './options.ts'
import type { World } from './world.ts'

/** Share of operations that fail in a spell of refusals. */
const REFUSED = 0.7

export class LogFaults implements Faults {
  readonly #world: World
  readonly #draw: Prng
  readonly #options: SimOptions['log']
  /** Until when a process is refused, and how. */
  readonly #refused = new Map<string, { readonly until: number; readonly failure: Failure }>()
  /** Process, and in how many operations of a kind from now it dies. */
  #trap: { readonly process: string; readonly kind: Operation['kind']; left: number; readonly spring: () => void } | null = null
  /** The flush after the next incident fails. */
  #loses: 'nothing' | 'after an incident' | 'now' = 'nothing'
  #active = true

  constructor(world: World, draw: Prng, options: SimOptions['log']) {
    this.#world = world
    this.#draw = draw
    this.#options = options
  }

  heal(): void {
    this.#active = false
    this.#trap = null
  }

  refuse(process: string, forMs: number): void {
    this.#refused.set(process, { until: this.#world.time + forMs, failure: this.#draw.pick(['IO', 'DISK_FULL', 'HALF'] as const) })
  }

  /** `spring` is called inside the operation. */
  trap(process: string, kind: Operation['kind'], operations: number, spring: () => void): void {
    this.#trap = { process, kind, left: operations, spring }
  }

  lose(): void {
    this.#loses = 'after an incident'
  }

  latency(operation: Operation): number {
    const { latencyMs, slow, slowMs, flushMs, fenceMs } = this.#options
    if (operation.kind === 'fence' && this.#active) return this.#draw.between(0, Math.max(fenceMs, latencyMs))
    if (operation.kind === 'flush' && flushMs > 0) return this.#draw.between(flushMs / 2, flushMs)
    const usual = latencyMs * this.#draw.fraction()
    return this.#active && operation.kind !== 'read' && this.#draw.chance(slow) ? this.#draw.between(usual, slowMs) : usual
  }

  fail(operation: Operation): Failure | undefined {
    if (!this.#active) return undefined
    if (this.#trap?.process === operation.process && this.#trap.kind === operation.kind && this.#trap.left-- <= 0) {
      const { spring } = this.#trap
      this.#trap = null
      spring()
    }
    if (operation.kind === 'append' && operation.topic === 'incidents' && this.#loses === 'after an incident') this.#loses = 'now'
    if (operation.kind === 'flush' && this.#loses === 'now') {
      this.#loses = 'nothing'
      return 'HALF'
    }
    const spell = this.#refused.get(operation.process)
    if (spell && this.#world.time < spell.until && this.#draw.chance(REFUSED)) return spell.failure
    if (operation.kind === 'flush' && this.#draw.chance(this.#options.halfFlushes)) return 'HALF'
    return operation.kind === 'commit' && this.#draw.chance(this.#options.doubts) ? this.#draw.pick(['DOUBT_STORED', 'DOUBT_LOST']) : undefined
  }

  survivors(groups: number): number {
    if (this.#options.survivors === 'none') return 0
    return this.#options.survivors === 'all' ? groups : this.#draw.whole(0, groups)
  }
}
