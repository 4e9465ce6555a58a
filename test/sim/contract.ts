/** The device's side of the contract (v 1, DESIGN.md section 5), written from its text: obeys a command once, is never cut off for ever. */
import type { Prng } from '../../src/fleet/prng.ts'
import { EPOCH } from './world.ts'
import type { World } from './world.ts'

export interface Execution {
  readonly kind: 'quarantine' | 'release'
  /** '' where a retained desired state asked for it. */
  readonly id: string
  readonly generation: number
  readonly at: number
}

interface CommandPayload {
  v: number
  id: string
  generation: number
  kind: 'quarantine' | 'release'
  device: string
  expires: number
  ttl: number
  reply: string
}

interface DesiredPayload {
  v: number
  state: 'normal' | 'quarantined'
  generation: number
  until: number | null
}

export interface ContractOptions {
  readonly world: World
  readonly draw: Prng
  readonly device: string
  readonly hasClock: boolean
  readonly answers: 'well' | 'never'
  readonly lostAcks: () => number
  readonly repeatedAcks: () => number
  readonly latencyMs: number
  readonly publish: (payload: string) => void
}

export class ContractSide {
  readonly executions: Execution[] = []
  readonly #options: ContractOptions
  /** Survive a reboot. */
  readonly #done = new Set<string>()
  #generation = 0
  #cancelEnd: () => void = () => undefined
  #quarantined = false
  #until = 0

  constructor(options: ContractOptions) {
    this.#options = options
  }

  get isQuarantined(): boolean {
    return this.#quarantined
  }

  /** Until when it is quarantined, ms of the world; 0 when it is not. */
  get until(): number {
    return this.#quarantined ? this.#until : 0
  }

  /** Of the newest command it obeyed; outlives a reboot. */
  get generation(): number {
    return this.#generation
  }

  /** Only what it is told then can tell it that it is quarantined. */
  reboot(): void {
    this.#end()
  }

  take(kind: 'command' | 'desired', payload: string, retained: boolean): void {
    if (kind === 'command') this.#command(JSON.parse(payload) as CommandPayload)
    else this.#desired(JSON.parse(payload) as DesiredPayload, retained)
  }

  #command(command: CommandPayload): void {
    const { v, id, generation, kind, device, expires, ttl } = command
    if (v !== 1 || device !== this.#options.device) throw new Error(`${this.#options.device} got what is not its own: ${JSON.stringify(command)}`)
    if (this.#done.has(id) || generation <= this.#generation) return this.#answer(command, 'done', 'seen before')
    const left = this.#options.hasClock ? expires - this.#now() : ttl * 1000
    if (left <= 0) return this.#answer(command, 'rejected', 'expired')
    this.#done.add(id)
    this.#execute({ kind, id, generation }, left)
    if (this.#options.draw.chance(0.3)) this.#answer(command, 'accepted', '')
    this.#answer(command, 'done', '')
  }

  #desired({ v, state, generation, until }: DesiredPayload, retained: boolean): void {
    if (v !== 1 || generation < this.#generation) return
    // What is new comes with a command; the desired state is for who was away, or has forgotten.
    if (!retained && generation > this.#generation) return
    const left = (until ?? 0) - this.#now()
    if (state === 'quarantined' && left > 0 && !this.#quarantined && !this.#released(generation))
      this.#execute({ kind: 'quarantine', id: '', generation }, left)
    if (state === 'normal' && this.#quarantined) this.#execute({ kind: 'release', id: '', generation }, 0)
    // Released while it was away: it is not bound again by what is older.
    if (state === 'normal') this.#generation = generation
  }

  #released(generation: number): boolean {
    return this.executions.some((one) => one.kind === 'release' && one.generation >= generation)
  }

  #execute(execution: Omit<Execution, 'at'>, leftMs: number): void {
    this.executions.push({ ...execution, at: this.#options.world.time })
    this.#generation = execution.generation
    this.#end()
    if (execution.kind === 'release') return
    this.#quarantined = true
    this.#until = this.#options.world.time + leftMs
    this.#cancelEnd = this.#options.world.after(leftMs, () => this.#end())
  }

  #end(): void {
    this.#cancelEnd()
    this.#quarantined = false
  }

  #answer({ id, generation }: CommandPayload, status: string, reason: string): void {
    const { world, draw, answers, lostAcks, repeatedAcks, latencyMs, publish } = this.#options
    if (answers === 'never' || draw.chance(lostAcks())) return
    const payload = JSON.stringify({ v: 1, id, generation, status, reason })
    world.after(latencyMs, () => publish(payload))
    if (draw.chance(repeatedAcks())) world.after(latencyMs + draw.between(1, 3_000), () => publish(payload))
  }

  #now(): number {
    return EPOCH + this.#options.world.time
  }
}
