/** The source of one simulated process: what its devices' connections end at. */
import type { Message } from '../../src/core/message.ts'
import type { Source, SourceStatus } from '../../src/ingest/source.ts'
import type { Clock } from '../../src/ops/clock.ts'

/** A device as the source sees it. */
export interface Connected {
  readonly isBehind: boolean
  hangUp(): void
}

export class SimSource implements Source {
  readonly name: string
  readonly #clock: Clock
  readonly #connected = new Set<Connected>()
  #deliver: ((message: Message) => Promise<void>) | null = null
  #connectedSince: number | null = null
  #underWay = 0
  #idle: (() => void)[] = []

  constructor(name: string, clock: Clock) {
    this.name = name
    this.#clock = clock
  }

  get listens(): boolean {
    return this.#connectedSince !== null
  }

  async start(deliver: (message: Message) => Promise<void>): Promise<void> {
    this.#deliver = deliver
    this.#connectedSince = this.#clock.now()
  }

  /** What was delivered is acknowledged first; then the connections end. */
  async stop(): Promise<void> {
    this.#connectedSince = null
    if (this.#underWay > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
    this.die()
  }

  status(): SourceStatus {
    return { name: this.name, connectedSince: this.#connectedSince, backlog: [...this.#connected].some((device) => device.isBehind) }
  }

  /** Rejects when the message is not to be acknowledged; then the connection ends. */
  async take(packet: Pick<Message, 'client' | 'topic' | 'payload' | 'dup'>): Promise<void> {
    if (!this.listens) throw new Error(`${this.name} takes nothing any more`)
    this.#underWay++
    try {
      await this.#deliver!({ ...packet, source: this.name, qos: 1, retain: false, arrival: this.#clock.now() })
    } finally {
      this.#underWay--
      if (this.#underWay === 0) for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  joined(device: Connected): void {
    this.#connected.add(device)
  }

  left(device: Connected): void {
    this.#connected.delete(device)
  }

  /** All connections end at once. */
  die(): void {
    this.#connectedSince = null
    for (const device of this.#connected) device.hangUp()
  }
}
