/** Listens at the broker to every command to a device, and counts them by id; also sends the last message of a run. */
import { connectAsync, type MqttClient } from 'mqtt'
import type { FleetOptions } from './fleet.ts'

interface Command {
  readonly id: string
  readonly kind: 'quarantine' | 'release'
  readonly device: string
}

export class CommandSpy {
  /** The device that says the last message. */
  readonly last = 'the-last'
  readonly #url: string
  #client: MqttClient | null = null
  /** By id. */
  readonly #commands = new Map<string, Command & { times: number }>()

  constructor(url: string) {
    this.#url = url
  }

  async start(): Promise<void> {
    const client = await connectAsync(this.#url, { clientId: 'spy' })
    this.#client = client
    client.on('message', (_, payload) => {
      const { id, kind, device } = JSON.parse(payload.toString()) as Command
      const known = this.#commands.get(id)
      this.#commands.set(id, { id, kind, device, times: (known?.times ?? 0) + 1 })
    })
    await client.subscribeAsync('picket/+/command', { qos: 1 })
  }

  /** Resolves when the broker has it. */
  async publishLast(): Promise<void> {
    await this.#client!.publishAsync(`telemetry/pump/${this.last}`, JSON.stringify({ ts: Date.now(), temperature: 1 }), { qos: 1 })
  }

  require(faults: FleetOptions['faults'], require: (holds: boolean, what: string) => void): void {
    const all = [...this.#commands.values()]
    for (const index of faults.keys()) {
      const own = all.filter(({ device }) => device === `pump-${index}`)
      const [cuts, ends] = [own.filter(({ kind }) => kind === 'quarantine').length, own.filter(({ kind }) => kind === 'release').length]
      require(cuts === 1 && ends <= 1, `pump-${index} was sent one quarantine by id (${cuts}) and at most one release (${ends})`)
    }
    const strays = all.filter(({ device }) => ![...faults.keys()].some((index) => device === `pump-${index}`))
    require(strays.length === 0, `no other device was sent a command (${strays.map(({ device }) => device).join(', ')})`)
    const repeats = all.reduce((sum, { times }) => sum + times - 1, 0)
    process.stdout.write(`      ${all.length} commands, ${repeats} of them sent again under the same id\n`)
  }

  async stop(): Promise<void> {
    await this.#client?.endAsync()
  }
}
