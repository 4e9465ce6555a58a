/** The people of a seed: they release devices, silence incidents and throw the kill switch, at any process that is up, and note what they were told. */
import type { Prng } from '../../src/fleet/prng.ts'
import type { Request } from '../../src/core/request.ts'
import type { FarDevice } from './far-device.ts'
import type { SimOptions } from './options.ts'
import type { SimProcess } from './process.ts'
import type { World } from './world.ts'

/** In which no quarantine may leave, simulated ms. */
export interface OffSpell {
  readonly from: number
  to: number
}

export interface OperatorsOptions {
  readonly world: World
  readonly options: SimOptions
  readonly processes: readonly SimProcess[]
  readonly devices: readonly FarDevice[]
}

/** As promised: within a second of the answer. Reading the log may be slow by as much as the seed has it, once for each of two operations. */
const OBEYED_MS = 1_000
/** A request is answered by then, or its process is gone. */
const ANSWER_MS = 10_000
const LOOKS = 15
const LOOK_MS = 2_000

export class Operators {
  readonly spells: OffSpell[] = []
  silences = 0
  readonly #options: OperatorsOptions
  #asked = 0
  #isSwitching = false

  constructor(options: OperatorsOptions) {
    this.#options = options
  }

  /** Releases a device that is quarantined, as soon as there is one. */
  release(draw: Prng, looks = LOOKS): void {
    const { world, devices } = this.#options
    const quarantined = devices.filter(({ contract }) => contract.isQuarantined)
    if (quarantined.length > 0) this.#ask(draw, { kind: 'release', device: draw.pick(quarantined).id })
    else if (looks > 0) world.after(LOOK_MS, () => this.release(draw, looks - 1))
  }

  silence(draw: Prng): void {
    this.silences++
    const match = draw.pick([{ device: draw.pick(this.#options.devices).id }, { class: draw.pick(['pump', 'valve', 'meter']) }, { cause: draw.pick(['telemetry', 'limit'] as const) }])
    this.#ask(draw, { kind: 'silence', match, forMs: draw.whole(2_000, 20_000) })
  }

  /** Off, and on again some seconds later. */
  throwSwitch(draw: Prng): void {
    const { world, options } = this.#options
    if (this.#isSwitching) return
    this.#isSwitching = true
    const { latencyMs, slow, slowMs } = options.log
    const grace = OBEYED_MS + 2 * (latencyMs + (slow > 0 ? slowMs : 0)) + 2 * options.network.latencyMs
    let spell: OffSpell | null = null
    this.#ask(draw, { kind: 'enforcement', state: 'off', release: draw.chance(0.3) }, () => this.spells.push((spell = { from: world.time + grace, to: Infinity })))
    world.after(ANSWER_MS + draw.between(0, 10_000), () => {
      if (spell) spell.to = world.time
      this.#ask(draw, { kind: 'enforcement', state: 'on', release: false })
      world.after(ANSWER_MS, () => (this.#isSwitching = false))
    })
  }

  #ask(draw: Prng, wanted: Pick<Request, 'kind'> & Partial<Request>, answered: () => void = () => undefined): void {
    const up = this.#options.processes.filter(({ app }) => app)
    if (up.length === 0) return
    const { app, clock } = draw.pick(up)
    const id = `asked ${this.#asked++}`
    const request = { device: '', forMs: null, incident: '', reason: 'as drawn', by: 'sim', at: clock.now(), ...wanted, id }
    // A request that was refused, or whose process died, was promised nothing.
    app!.request(request).then(answered, () => undefined)
  }
}
