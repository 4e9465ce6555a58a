/** The broker between Picket and the devices, for the contract's topics: sessions end with their connection, retained messages stay. */
import type { Channel } from '../../src/respond/enforcer.ts'
import type { Prng } from '../../src/fleet/prng.ts'
import type { World } from './world.ts'

/** A device that is connected; takes what is published under its topics. */
export interface Subscriber {
  /** `retained`: it was there before the device came. */
  take(kind: 'command' | 'desired', payload: string, retained: boolean): void
}

type AckListener = (topic: string, payload: Uint8Array) => Promise<void>

export interface Published {
  readonly device: string
  readonly kind: 'command' | 'desired'
  readonly payload: string
  /** Simulated ms. */
  readonly at: number
}

export interface FarBrokerOptions {
  readonly world: World
  readonly draw: Prng
  readonly latencyMs: number
  /** Share of publishes that are answered by an error; half of these were taken nevertheless. */
  readonly refuses: () => number
}

export class FarBroker {
  /** Commands and desired states in the order the broker took them. */
  readonly published: Published[] = []
  readonly #options: FarBrokerOptions
  readonly #retained = new Map<string, string>()
  readonly #online = new Map<string, Subscriber>()
  readonly #listeners = new Map<object, { readonly isAlive: () => boolean; readonly each: AckListener }>()

  constructor(options: FarBrokerOptions) {
    this.#options = options
  }

  /** The channel of one process: what it sent before it died still arrives. */
  channel(isAlive: () => boolean): Channel {
    const { world, draw, latencyMs, refuses } = this.#options
    return {
      publish: (topic, payload, { retain }) =>
        new Promise((resolve, reject) => {
          if (!isAlive()) return
          const refused = draw.chance(refuses())
          const isTaken = !refused || draw.chance(0.5)
          world.after(latencyMs, () => {
            if (isTaken) this.#take(topic, payload, retain)
            const answer = () => (refused ? reject(new Error('the broker gave no answer')) : resolve())
            world.after(latencyMs, () => isAlive() && answer())
          })
        }),
      receive: (each) => void this.#listeners.set(each, { isAlive, each }),
    }
  }

  /** All it keeps is gone: it was embedded in a process that died. */
  forget(): void {
    this.#retained.clear()
  }

  connect(device: string, subscriber: Subscriber): void {
    this.#online.set(device, subscriber)
    const { world, latencyMs } = this.#options
    const desired = this.#retained.get(`picket/${encoded(device)}/desired`)
    if (desired !== undefined) world.after(latencyMs, () => this.#online.get(device)?.take('desired', desired, true))
  }

  disconnect(device: string): void {
    this.#online.delete(device)
  }

  /** What a device publishes under its `picket/DEVICE/ack`. */
  ack(device: string, payload: string): void {
    const topic = `picket/${encoded(device)}/ack`
    for (const [key, { isAlive, each }] of this.#listeners) {
      if (isAlive()) each(topic, Buffer.from(payload, 'utf8')).catch(() => undefined)
      else this.#listeners.delete(key)
    }
  }

  #take(topic: string, payload: string, retain: boolean): void {
    const [, level = '', kind] = topic.split('/')
    const device = decodeURIComponent(level)
    if (kind !== 'command' && kind !== 'desired') throw new Error(`published under ${topic}, which is no topic of the contract`)
    this.published.push({ device, kind, payload, at: this.#options.world.time })
    if (retain) this.#retained.set(topic, payload)
    this.#options.world.after(this.#options.latencyMs, () => this.#online.get(device)?.take(kind, payload, false))
  }
}

/** Of the contract: `/ % + #` and NUL percent-encoded. */
function encoded(device: string): string {
  return device.replace(/[/%+#\0]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}
