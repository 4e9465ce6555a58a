/** What the embedded broker remembers, and no more: retained states of Picket's own, QoS 2 exchanges under way. aedes's persistence. */
import { Readable } from 'node:stream'
import type { Client, PublishPacket } from 'aedes'
import { PipelineError } from '../core/errors.ts'
import { filterMatches } from './topic-pattern.ts'

interface Numbered {
  readonly messageId?: number | undefined
}

/**
 * The interface of aedes-persistence 11 as aedes 1.2 calls it. Sessions end with their connection (the broker makes every CONNECT a clean
 * one), so nothing is ever queued for a device that is away, and memory is bounded by the connections and `retainedTopics`.
 */
export class BrokerMemory {
  private readonly retainedTopics: number
  private readonly retained = new Map<string, PublishPacket>()
  private readonly incoming = new Map<string, Set<number>>()

  constructor(retainedTopics: number) {
    this.retainedTopics = retainedTopics
  }

  /** aedes insists on an async function. */
  async setup(): Promise<void> {}

  async storeRetained(packet: PublishPacket): Promise<void> {
    if (packet.payload.length === 0) {
      this.retained.delete(packet.topic)
      return
    }
    if (!this.retained.has(packet.topic) && this.retained.size >= this.retainedTopics)
      throw new PipelineError('REFUSED', `${this.retained.size} topics have a retained message already, no more are allowed`)
    this.retained.set(packet.topic, { ...packet })
  }

  createRetainedStreamCombi(filters: readonly string[]): Readable {
    return Readable.from(filters.flatMap((filter) => this.retainedUnder(filter)))
  }

  /** A device asks for its own topics: looked up, so that a fleet coming back does not search all of them for each. */
  private retainedUnder(filter: string): PublishPacket[] {
    const [first, device] = filter.split('/')
    const own = `${first}/${device}/desired`
    const isOwn = device !== undefined && !/^[+#]$/.test(first!) && !/^[+#]$/.test(device)
    const topics = isOwn ? [own] : [...this.retained.keys()]
    return topics.filter((topic) => filterMatches(filter, topic)).flatMap((topic) => this.retained.get(topic) ?? [])
  }

  async incomingStorePacket(client: Client, packet: Numbered): Promise<void> {
    // Its exchanges were forgotten when it closed; a late one would stay for ever.
    if (client.closed) throw new PipelineError('CLOSED', `client ${client.id} is gone`)
    const ids = this.incoming.get(client.id) ?? new Set<number>()
    ids.add(packet.messageId ?? 0)
    this.incoming.set(client.id, ids)
  }

  async incomingGetPacket(client: Client, packet: Numbered): Promise<Numbered> {
    if (!this.incoming.get(client.id)?.has(packet.messageId ?? 0)) throw new Error('no such packet')
    return packet
  }

  async incomingDelPacket(client: Client, packet: Numbered): Promise<void> {
    if (!this.incoming.get(client.id)?.delete(packet.messageId ?? 0)) throw new Error('no such packet')
  }

  async cleanIncoming(client: Client): Promise<void> {
    this.incoming.delete(client.id)
  }

  async subscriptionsByTopic(): Promise<never[]> {
    return []
  }

  async subscriptionsByClient(): Promise<never[]> {
    return []
  }

  async addSubscriptions(): Promise<void> {}

  async removeSubscriptions(): Promise<void> {}

  async cleanSubscriptions(): Promise<void> {}

  async outgoingEnqueueCombi(): Promise<void> {}

  async outgoingUpdate(): Promise<void> {}

  async outgoingClearMessageId(): Promise<undefined> {
    return undefined
  }

  outgoingStream(): Readable {
    return Readable.from([])
  }

  /** Wills live in their connection; aedes stores them only for brokers that die beside others. */
  async putWill(): Promise<void> {}

  async delWill(): Promise<undefined> {
    return undefined
  }

  streamWill(): Readable {
    return Readable.from([])
  }

  async destroy(): Promise<void> {}
}
