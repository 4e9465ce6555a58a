/** A fleet under way: each device on a connection of its own sends what is due, stops while it is quarantined, and is mended meanwhile. */
import type { Clock } from '../ops/clock.ts'
import type { DemoDevice } from './demo-device.ts'
import type { DemoFleet } from './demo-fleet.ts'
import { Obedience } from './obedience.ts'

/** Port: one device's connection to the broker. */
export interface Link {
  /** QoS 1; resolves once it is acknowledged, rejects when that can't be any more. */
  publish(topic: string, payload: string): Promise<void>
  /** Ends at once; what is not acknowledged is lost. */
  end(): Promise<void>
}

export interface LinkOptions {
  /** Name of the client. */
  readonly client: string
  /** QoS 1. */
  readonly topics: readonly string[]
  readonly receive: (topic: string, payload: Uint8Array) => void
}

/** Resolves once connected and subscribed. */
export type OpenLink = (options: LinkOptions) => Promise<Link>

export interface FleetPorts {
  readonly clock: Clock
  readonly open: OpenLink
}

/** What the devices have come to so far. */
export interface FleetCounts {
  readonly sent: number
  readonly acked: number
  /** Not sent: too many were unanswered, or the machine was too busy. */
  readonly dropped: number
}

const TURN_MS = 10
/** Unanswered messages a device holds at most. */
const IN_FLIGHT = 64
/** What is due for longer than this is a sample nobody sends any more, ms. */
const TOO_LATE_MS = 2_000
/** Devices that connect at a time. */
const AT_ONCE = 8

interface Driven {
  readonly device: DemoDevice
  readonly obedience: Obedience
  readonly topic: string
  link: Link | null
  inFlight: number
}

export class RunningFleet {
  readonly #ports: FleetPorts
  readonly #driven: readonly Driven[]
  readonly #counts = { sent: 0, acked: 0, dropped: 0 }
  /** Wall clock and `Clock.monotonic` at the fleet's start. */
  #beganWall = 0
  #began: number | null = null
  #cancelTurn: () => void = () => undefined

  constructor(fleet: DemoFleet, ports: FleetPorts) {
    this.#ports = ports
    this.#driven = fleet.devices.map((device) => this.#drivenOf(device))
  }

  get counts(): FleetCounts {
    return this.#counts
  }

  /** ms since its start; 0 before. */
  get elapsed(): number {
    return this.#began === null ? 0 : this.#ports.clock.monotonic() - this.#began
  }

  /** Connects them all, then begins to send. Rejects with what kept one from connecting; those that have are then still to be stopped. */
  async start(): Promise<void> {
    const waiting = [...this.#driven]
    const connectNext = async () => {
      for (let one = waiting.shift(); one; one = waiting.shift()) await this.#connect(one)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, connectNext))
    this.#beganWall = this.#ports.clock.now()
    this.#began = this.#ports.clock.monotonic()
    this.#turn()
  }

  async stop(): Promise<void> {
    this.#cancelTurn()
    for (const { obedience } of this.#driven) obedience.close()
    await Promise.all(this.#driven.map(({ link }) => link?.end()))
  }

  #drivenOf(device: DemoDevice): Driven {
    const { id, kind } = device.member
    const driven: Driven = {
      device,
      topic: `telemetry/${kind}/${id}`,
      link: null,
      inFlight: 0,
      obedience: new Obedience({
        device: id,
        clock: this.#ports.clock,
        // An answer that gets lost is asked for again by whoever waits for it.
        answer: (topic, payload) => void driven.link?.publish(topic, payload).catch(() => void this.#counts.dropped++),
        // That is what it is fenced off for: a crew comes, and by its release all is well.
        onQuarantine: (isQuarantined) => {
          if (isQuarantined) device.mend(this.elapsed)
        },
      }),
    }
    return driven
  }

  async #connect(one: Driven): Promise<void> {
    const { obedience, device } = one
    one.link = await this.#ports.open({ client: device.member.id, topics: obedience.topics, receive: (topic, payload) => obedience.receive(topic, payload) })
  }

  #turn(): void {
    const now = this.elapsed
    for (const one of this.#driven) while (one.device.due <= now) this.#emit(one, now)
    this.#cancelTurn = this.#ports.clock.after(TURN_MS, () => this.#turn())
  }

  #emit(one: Driven, now: number): void {
    const emission = one.device.next()
    if (!emission || one.obedience.isQuarantined) return
    if (now - emission.at > TOO_LATE_MS || one.inFlight >= IN_FLIGHT || !one.link) return void this.#counts.dropped++
    one.inFlight++
    this.#counts.sent++
    const payload = JSON.stringify({ ts: Math.round(this.#beganWall + emission.at + emission.aheadMs), ...emission.readings })
    one.link.publish(one.topic, payload).then(
      () => {
        one.inFlight--
        this.#counts.acked++
      },
      () => {
        one.inFlight--
        this.#counts.dropped++
      },
    )
  }
}
