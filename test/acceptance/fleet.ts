/** A hundred real MQTT clients that obey the device contract, some of which go bad at a stated moment; keeps what Picket acknowledged. */
import { Device } from '../../examples/device/device-client.mjs'

export type Fault = 'pressure' | 'temperature'

export interface FleetOptions {
  readonly url: string
  readonly devices: number
  /** Messages a second, all devices together. */
  readonly rate: number
  /** Devices that go bad: when (ms after start), how. They stay bad until they have been quarantined once. */
  readonly faults: ReadonlyMap<number, { readonly at: number; readonly fault: Fault }>
}

/** Unanswered messages a device holds; it says nothing more until they are. mqtt.js repeats them one by one before it hears any command. */
const IN_FLIGHT = 8

interface Member {
  readonly name: string
  readonly device: Device
  readonly index: number
  lastTime: number
  sent: number
  inFlight: number
  quarantines: number
  releases: number
}

export class Fleet {
  /** `device:ts` of every message with a PUBACK. */
  readonly acked = new Set<string>()
  readonly members: Member[] = []
  readonly #options: FleetOptions
  #timer: NodeJS.Timeout | undefined
  #began = 0
  #turn = 0

  constructor(options: FleetOptions) {
    this.#options = options
  }

  start(): void {
    for (let index = 0; index < this.#options.devices; index++) this.members.push(this.#member(index))
    this.#began = performance.now()
    this.#timer = setInterval(() => this.#due(), 10)
  }

  /** Sends nothing more; resolves when every message sent is acknowledged or given up. */
  async quiet(): Promise<void> {
    clearInterval(this.#timer)
    while (this.members.some(({ inFlight }) => inFlight > 0)) await new Promise((resolve) => setTimeout(resolve, 50))
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.members.map(({ device }) => device.stop()))
  }

  #member(index: number): Member {
    const name = `pump-${index}`
    const member: Member = {
      name,
      index,
      lastTime: 0,
      sent: 0,
      inFlight: 0,
      quarantines: 0,
      releases: 0,
      device: new Device({
        url: this.#options.url,
        device: name,
        topic: `telemetry/pump/${name}`,
        mqttOptions: { reconnectPeriod: 100, connectTimeout: 2000 },
        onQuarantine: (quarantined: boolean) => void (quarantined ? member.quarantines++ : member.releases++),
      }),
    }
    return member
  }

  #due(): void {
    const due = ((performance.now() - this.#began) / 1000) * this.#options.rate
    for (; this.#turn < due; this.#turn++) this.#publish(this.members[this.#turn % this.members.length]!)
  }

  #publish(member: Member): void {
    if (member.device.isQuarantined || member.inFlight >= IN_FLIGHT) return
    const ts = Math.max(Date.now(), member.lastTime + 1)
    member.lastTime = ts
    const fault = this.#faultOf(member)
    // By the count, not by the time: where a busy machine makes messages come in bursts, a burst should not be all of one height.
    const wave = Math.sin(2.4 * member.sent++ + member.index)
    const readings = {
      ts,
      pressure: fault === 'pressure' ? 400 + wave : 40 + wave,
      temperature: fault === 'temperature' ? 90_000 + wave : 60 + 2 * wave,
    }
    member.inFlight++
    const answered = () => void member.inFlight--
    void member.device.publish(readings).then((taken: boolean) => {
      answered()
      if (taken) this.acked.add(`${member.name}:${ts}`)
      // mqtt.js gives up on a message whose repeat was under way when the connection closed: nobody was promised anything.
    }, answered)
  }

  #faultOf(member: Member): Fault | null {
    const planned = this.#options.faults.get(member.index)
    if (!planned || member.quarantines > 0 || performance.now() - this.#began < planned.at) return null
    return planned.fault
  }
}
