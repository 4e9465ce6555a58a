/** A device at the far end: publishes with QoS 1 through an imperfect network, sends again what nobody acknowledged, obeys its contract. */
import type { Fault } from '../../src/fleet/fault.ts'
import { SimulatedDevice } from '../../src/fleet/device.ts'
import type { Prng } from '../../src/fleet/prng.ts'
import { ContractSide } from './contract.ts'
import type { FarBroker } from './far-broker.ts'
import { paceOf } from './fleet.ts'
import type { Wiring } from './fleet.ts'
import type { SimOptions } from './options.ts'
import { poison } from './poison.ts'
import type { SimSource } from './source.ts'
import { EPOCH } from './world.ts'
import type { World } from './world.ts'

/** Most messages between the oldest without an acknowledgement and the newest under way, so that no repeat comes later than 16. */
const WINDOW = 8
/** So long a device waits for an acknowledgement before it connects anew, ms: twenty samples' time within these bounds. */
const PATIENCE_MS = [1_000, 4_000] as const

/** So long after it has power again a device knows what it was, ms. */
const RETURN_MS = 500

/** A message the device wants to have taken. */
export interface Outgoing {
  readonly packet: number
  readonly topic: string
  readonly payload: Buffer
  /** Metrics and values; null: poison. */
  readonly values: ReadonlyMap<string, number> | null
  /** Names it in the log; '' in a plain number. */
  readonly mark: string
  readonly faults: readonly Fault[]
  sentAt: number
  /** Transmissions handed to Picket. */
  handed: number
  acked: boolean
  ackLost: boolean
}

interface Link {
  readonly source: SimSource
  open: boolean
}

export interface FarDeviceOptions {
  readonly world: World
  readonly wiring: Wiring
  readonly draw: Prng
  readonly broker: FarBroker
  readonly network: () => SimOptions['network']
  readonly far: () => SimOptions['far']
  readonly poison: () => number
  /** Sources that take connections now. */
  readonly sources: () => readonly SimSource[]
  /** Whether the broker's session ends with the telemetry's. */
  readonly embedded: boolean
  /** Told of what may not happen. */
  readonly problem: (text: string) => void
}

export class FarDevice {
  readonly id: string
  readonly wiring: Wiring
  readonly contract: ContractSide
  /** Everything it ever wanted to send, in order. */
  readonly sent: Outgoing[] = []
  readonly #options: FarDeviceOptions
  readonly #device: SimulatedDevice
  readonly #client: string
  #link: Link | null = null
  #queue: Outgoing[] = []
  #flying: Outgoing[] = []
  #isOn = true
  #life = 0
  /** Packet handed over last. */
  #newest = -1
  #connecting = false

  constructor(options: FarDeviceOptions) {
    const { world, wiring, draw, broker, far } = options
    this.#options = options
    this.id = wiring.spec.id
    this.wiring = wiring
    this.#client = `client of ${this.id}`
    this.#device = new SimulatedDevice(wiring.spec, draw.fork('noise'))
    this.contract = new ContractSide({
      world, draw, device: this.id, hasClock: wiring.hasClock, answers: wiring.answers,
      lostAcks: () => far().lostAcks,
      repeatedAcks: () => far().repeatedAcks,
      latencyMs: options.network().latencyMs,
      publish: (payload) => broker.ack(this.id, payload),
    })
    world.after(draw.between(0, 1_000), () => this.#tick())
    this.#connectLater(draw.between(0, 500))
    if (!options.embedded) broker.connect(this.id, this.contract)
  }

  /** Nothing waits to be sent or acknowledged, and it is free to speak. */
  get isQuiet(): boolean {
    return this.#isOn && this.#queue.length === 0 && this.#flying.length === 0 && !this.contract.isQuarantined
  }

  /** It has more to send than the network takes at once. */
  get isBehind(): boolean {
    return this.#queue.length > WINDOW
  }

  /** Loses power for a while, and with it all that was not yet taken. */
  reboot(forMs: number): void {
    const { world, broker } = this.#options
    const { until, generation } = this.contract
    this.#isOn = false
    this.#life++
    this.#queue = []
    this.#flying = []
    this.#drop()
    broker.disconnect(this.id)
    this.contract.reboot()
    world.after(forMs, () => {
      this.#isOn = true
      if (!this.#options.embedded) broker.connect(this.id, this.contract)
      this.#connectLater(0)
      world.after(RETURN_MS, () => this.#isBoundAgain(until, generation))
    })
  }

  /** A broker that outlives Picket's processes has told it by now what it was. */
  #isBoundAgain(until: number, generation: number): void {
    const { world, wiring, embedded, problem } = this.#options
    // A retained state names a time of Picket's clock; what was counted by `ttl` may end later by as much as that is wrong.
    const end = wiring.hasClock ? until - 1 : until - 10_000
    const isStillDue = this.#isOn && world.time < end && this.contract.generation === generation
    if (!embedded && isStillDue && !this.contract.isQuarantined) problem(`${this.id} lost power while quarantined, and is free until ${until} since`)
  }

  /** The connection breaks, at whoever's end; what was on its way is lost. */
  hangUp(): void {
    if (!this.#link) return
    this.#drop()
    this.#connectLater(this.#options.draw.between(100, 900))
  }

  #drop(): void {
    const { broker, embedded } = this.#options
    if (embedded) broker.disconnect(this.id)
    if (!this.#link) return
    this.#link.open = false
    this.#link.source.left(this)
    this.#link = null
  }

  #connectLater(ms: number): void {
    if (this.#connecting) return
    this.#connecting = true
    this.#options.world.after(ms, () => {
      this.#connecting = false
      this.#connect()
    })
  }

  #connect(): void {
    const { sources, draw, broker, embedded } = this.#options
    if (!this.#isOn || this.#link) return
    const open = sources()
    if (open.length === 0) return this.#connectLater(500)
    this.#link = { source: draw.pick(open), open: true }
    this.#link.source.joined(this)
    if (embedded) broker.connect(this.id, this.contract)
    for (const message of this.#flying) this.#send(message, { dup: true })
    this.#pump()
  }

  #tick(): void {
    const { world, wiring, draw } = this.#options
    world.after(paceOf(wiring, world.time), () => this.#tick())
    if (!this.#isOn) return
    if (!this.contract.isQuarantined) this.#sample(Math.floor(world.time))
    if (draw.chance(this.#options.poison()))
      this.#enqueue({ ...this.#envelope(), payload: poison(draw, this.sent.length), values: null, mark: '', faults: [] })
    const oldest = this.#flying[0]
    const patience = Math.max(PATIENCE_MS[0], Math.min(PATIENCE_MS[1], 20 * wiring.spec.periodMs))
    if (oldest && world.time - oldest.sentAt > patience) this.hangUp()
    this.#pump()
  }

  #sample(at: number): void {
    const sample = this.#device.sample(at)
    if (!sample) return
    const { wiring } = this.#options
    const { values, faults } = sample
    const mark = wiring.format === 'json' ? `${this.id} ${this.sent.length}` : ''
    const stamp = wiring.stamp === null ? {} : { ts: EPOCH + at + wiring.stamp }
    const text = mark === '' ? String([...values.values()][0]) : JSON.stringify({ mark, ...Object.fromEntries(values), ...stamp })
    this.#enqueue({ ...this.#envelope(), payload: Buffer.from(text, 'utf8'), values, mark, faults })
  }

  #envelope(): Pick<Outgoing, 'packet' | 'topic' | 'sentAt' | 'handed' | 'acked' | 'ackLost'> {
    const { spec, format } = this.wiring
    const topic = `telemetry/${spec.class}/${spec.id}${format === 'number' ? `/${spec.sensors[0]!.metric}` : ''}`
    return { packet: this.sent.length, topic, sentAt: 0, handed: 0, acked: false, ackLost: false }
  }

  #enqueue(message: Outgoing): void {
    this.sent.push(message)
    this.#queue.push(message)
  }

  #pump(): void {
    if (!this.#link) return
    while (this.#queue[0] && this.#queue[0].packet - (this.#flying[0] ?? this.#queue[0]).packet < WINDOW) {
      const message = this.#queue.shift()!
      this.#flying.push(message)
      this.#send(message, { dup: false })
    }
  }

  #send(message: Outgoing, { dup }: { readonly dup: boolean }): void {
    const { world, draw, network, wiring } = this.#options
    const link = this.#link!
    const { latencyMs, reordered, late, duplicates } = network()
    message.sentAt = world.time
    // One that speaks so fast would fall behind for good.
    const held = wiring.spec.periodMs > 100 && draw.chance(late) ? draw.between(500, 3_000) : 0
    const transit = latencyMs + held + (reordered ? draw.between(0, Math.min(700, 2 * wiring.spec.periodMs)) : 0)
    world.after(transit, () => this.#arrive(link, message, dup))
    if (!draw.chance(duplicates)) return
    // Whoever tells no time must be told a repeat by its flag.
    const flagged = wiring.stamp !== 0 || draw.chance(0.5)
    world.after(transit + draw.between(0, 1_500), () => this.#arrive(link, message, dup || flagged))
  }

  #arrive(link: Link, message: Outgoing, dup: boolean): void {
    const { world, draw, network, wiring } = this.#options
    // A copy that comes so late is told from news by its event time alone.
    const isStale = message.packet <= this.#newest - WINDOW
    if (!link.open || (isStale && wiring.stamp !== 0)) return
    this.#newest = Math.max(this.#newest, message.packet)
    const life = this.#life
    message.handed++
    const taken = link.source.take({ client: this.#client, topic: message.topic, payload: message.payload, dup })
    taken.then(
      () => {
        const isLost = !message.ackLost && draw.chance(network().lostAcks)
        message.ackLost ||= isLost
        world.after(network().latencyMs, () => link.open && life === this.#life && !isLost && this.#acknowledged(message))
      },
      () => {
        if (this.#link === link) this.hangUp()
      },
    )
  }

  #acknowledged(message: Outgoing): void {
    message.acked = true
    this.#flying = this.#flying.filter((other) => other !== message)
    this.#pump()
  }
}
