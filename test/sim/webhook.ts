/** The far end of notifications: a receiver behind a network that fails, times out, answers 500, or says nothing after it took the delivery. */
import { createHmac } from 'node:crypto'
import type { Prng } from '../../src/fleet/prng.ts'
import type { World } from './world.ts'

export const WEBHOOK_SECRET = 'between us'

interface Delivery {
  readonly id: string
  /** JSON of the incident. */
  readonly incident: string
  count: number
}

type Mishap = 'none' | 'refused' | 'error' | 'answer lost' | 'no answer' | 'taken, no answer'
const MISHAPS: readonly Mishap[] = ['refused', 'error', 'answer lost', 'no answer', 'taken, no answer']

export class WebhookReceiver {
  /** By id. */
  readonly deliveries = new Map<string, Delivery>()
  readonly problems: string[] = []
  readonly #world: World
  readonly #draw: Prng
  readonly #fails: () => number

  constructor(world: World, draw: Prng, fails: () => number) {
    this.#world = world
    this.#draw = draw
    this.#fails = fails
  }

  /** `fetch` as one process has it. */
  fetch(isAlive: () => boolean): typeof globalThis.fetch {
    return (_url, init) =>
      new Promise<Response>((resolve, reject) => {
        if (!isAlive()) return
        const mishap = this.#draw.chance(this.#fails()) ? this.#draw.pick(MISHAPS) : 'none'
        const latency = this.#draw.between(1, 40)
        init?.signal?.addEventListener('abort', () => isAlive() && reject(init.signal!.reason))
        this.#world.after(latency, () => {
          if (mishap === 'none' || mishap === 'answer lost' || mishap === 'taken, no answer') this.#take(init!)
          if (mishap === 'no answer' || mishap === 'taken, no answer') return
          this.#world.after(latency, () => {
            if (!isAlive()) return
            if (mishap === 'refused' || mishap === 'answer lost') reject(new TypeError('fetch failed'))
            else resolve({ status: mishap === 'error' ? 500 : 200, body: null } as Response)
          })
        })
      })
  }

  #take(init: RequestInit): void {
    const body = String(init.body)
    const { id, incident } = JSON.parse(body) as { id: string; incident?: unknown }
    if (incident === undefined) return // a notice, about no incident
    const text = JSON.stringify(incident)
    const known = this.deliveries.get(id)
    if (known && known.incident !== text) this.problems.push(`webhook ${id} was delivered with two bodies`)
    if (known) known.count++
    else this.deliveries.set(id, { id, incident: text, count: 1 })
    const signature = `sha256=${createHmac('sha256', WEBHOOK_SECRET).update(body).digest('hex')}`
    const headers = init.headers as Record<string, string>
    if (headers['x-picket-signature'] !== signature) this.problems.push(`webhook ${id} is not signed as it should be`)
  }
}
