/** Fetches for many readers at once: one request a leader broker for all that want something, and one more for those who come meanwhile. */
import { delay } from '../../ops/clock.ts'
import { leaderOf, sendRaw } from './client.ts'
import type { Broker, Client, Cluster } from './client.ts'
import { FIRST_PAUSE_MS, inTime, jittered, longer } from './patience.ts'
import { BrokerError, fetchRequest } from './protocol.ts'
import type { FetchedPartition } from './protocol.ts'
import { decodeBatches } from './record-batch.ts'
import type { Decoded } from './record-batch.ts'

/** One that wants what comes after `offset`. Its methods are called one at a time, and no more once it was forgotten. */
export interface Reader {
  /** Kafka's name. */
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Something came, maybe markers alone: it is no longer wanted. */
  arrived(decoded: Decoded): void
  /** The leader answered, and there was nothing. */
  answered(): void
  /** A try failed. True: try again; false: no longer wanted. */
  failed(error: unknown): boolean
}

/** Of one partition in one answer; a larger first batch comes whole. */
const PARTITION_BYTES = 1024 * 1024
const ANSWER_BYTES = 8 * 1024 * 1024
/**
 * So long a broker waits for something to come. A request can't be called back, so one who comes to want while it waits takes the
 * other lane; on the last lane that is free the wait is short, so that the next one isn't kept for long.
 */
const LONG_WAIT_MS = 500
const SHORT_WAIT_MS = 20
/** A broker serves the requests of a connection one by one, so each lane has connections of its own. */
const LANES = 2

interface Want {
  readonly reader: Reader
  readonly offset: number
  /** Before the next try. */
  pauseMs: number
}

interface Leader {
  readonly waiting: Set<Want>
  /** By lane: how long the broker may wait with the request under way, ms; null: none is. */
  readonly flights: (number | null)[]
}

/** The readers of one process. Nothing here rejects: what goes wrong is told to the readers it concerns. */
export class Fetching {
  readonly #client: Client
  /** By lane. The first also knows who leads. */
  readonly #clusters: readonly Cluster[]
  readonly #leaders = new Map<number, Leader>()
  readonly #wanted = new Map<Reader, Want>()
  readonly #topics = new Set<string>()
  #refreshing: Promise<void> | null = null

  constructor(client: Client) {
    this.#client = client
    this.#clusters = Array.from({ length: LANES }, () => client.cluster())
  }

  /** For requests that aren't fetches: they don't wait behind those. */
  get cluster(): Cluster {
    return this.#clusters[0]!
  }

  /** Asks for `reader` until something arrives, it fails for good, or it is forgotten. While it is wanted it does nothing. */
  want(reader: Reader): void {
    if (this.#wanted.has(reader)) return
    const want = { reader, offset: reader.offset, pauseMs: FIRST_PAUSE_MS }
    this.#wanted.set(reader, want)
    void this.#enter(want)
  }

  forget(reader: Reader): void {
    const want = this.#wanted.get(reader)
    if (!want) return
    this.#wanted.delete(reader)
    for (const { waiting } of this.#leaders.values()) waiting.delete(want)
  }

  /** Learns of `topic` once. */
  async know(topic: string): Promise<void> {
    if (this.#topics.has(topic)) return
    await this.cluster.addMultipleTargetTopics([topic])
    this.#topics.add(topic)
  }

  /** Asks who leads now; those who ask at the same time share one question. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.cluster.refreshMetadata().finally(() => {
      this.#refreshing = null
    })
    return this.#refreshing
  }

  /** Forgets all readers. */
  async close(): Promise<void> {
    this.#wanted.clear()
    this.#leaders.clear()
    this.#client.end()
    await Promise.all(this.#clusters.map((cluster) => cluster.disconnect()))
  }

  async #enter(want: Want): Promise<void> {
    try {
      await this.know(want.reader.topic)
      this.#join(want)
    } catch (error) {
      await this.#again(want, error)
    }
  }

  async #again(want: Want, first: unknown): Promise<void> {
    for (let error = first; this.#isWanted(want); ) {
      if (!want.reader.failed(error)) return this.forget(want.reader)
      await delay(this.#client.options.clock, jittered(this.#client, want.pauseMs))
      want.pauseMs = longer(want.pauseMs)
      try {
        await this.know(want.reader.topic)
        await this.refresh()
        return this.#join(want)
      } catch (met) {
        error = met
      }
    }
  }

  #join(want: Want): void {
    if (!this.#isWanted(want)) return
    const node = leaderOf(this.cluster, want.reader.topic, want.reader.partition)
    let leader = this.#leaders.get(node)
    if (!leader) {
      leader = { waiting: new Set(), flights: Array.from({ length: LANES }, () => null) }
      this.#leaders.set(node, leader)
    }
    leader.waiting.add(want)
    this.#start(node, leader)
  }

  #isWanted(want: Want): boolean {
    return this.#wanted.get(want.reader) === want
  }

  #start(node: number, leader: Leader): void {
    const lane = leader.flights.indexOf(null)
    if (leader.waiting.size === 0 || lane < 0) return
    const isLast = leader.flights.indexOf(null, lane + 1) < 0
    leader.flights[lane] = isLast ? SHORT_WAIT_MS : LONG_WAIT_MS
    void this.#fly(node, leader, lane)
  }

  async #fly(node: number, leader: Leader, lane: number): Promise<void> {
    // Whoever comes to want while the events at hand are worked through shares the request.
    await delay(this.#client.options.clock, 0)
    const wants = takeAboard(leader.waiting)
    let cameEmpty = true
    if (wants.length > 0) {
      try {
        const parts = await this.#fetch(node, lane, wants, leader.flights[lane] ?? SHORT_WAIT_MS)
        for (const want of wants) if (await this.#serve(want, parts, leader)) cameEmpty = false
      } catch (error) {
        for (const want of wants) void this.#again(want, error)
      }
    }
    leader.flights[lane] = null
    // Nothing goes on: rather than ask alone again, wait for the other lane, which is back soon, and go on as one request.
    if (cameEmpty && leader.flights.includes(SHORT_WAIT_MS)) return
    this.#start(node, leader)
  }

  async #fetch(node: number, lane: number, wants: readonly Want[], maxWaitMs: number): Promise<Map<string, FetchedPartition>> {
    const places = wants.map(({ reader: { topic, partition }, offset }) => ({ topic, partition, offset, maxBytes: PARTITION_BYTES }))
    const request = fetchRequest(places, { maxWaitMs, maxBytes: ANSWER_BYTES })
    const asked = brokerOf(this.#clusters[lane]!, node).then((broker) => sendRaw(broker, request))
    const parts = await inTime(this.#client, asked)
    return new Map(parts.map((part) => [placeOf(part), part]))
  }

  /** True when there was something for it, be it an error. */
  async #serve(want: Want, parts: ReadonlyMap<string, FetchedPartition>, leader: Leader): Promise<boolean> {
    const { reader, offset } = want
    try {
      const part = parts.get(placeOf(reader))
      if (!part) throw new BrokerError(NO_ANSWER)
      if (part.errorCode !== 0) throw new BrokerError(part.errorCode)
      const decoded = await decodeBatches(part.batches, offset, part.aborted)
      if (!this.#isWanted(want)) return false
      want.pauseMs = FIRST_PAUSE_MS
      if (decoded.next === offset) {
        reader.answered()
        leader.waiting.add(want)
        return false
      }
      this.forget(reader)
      reader.arrived(decoded)
    } catch (error) {
      void this.#again(want, error)
    }
    return true
  }
}

const NO_ANSWER = -1

/** Of each partition one: a broker takes no more in one request. */
function takeAboard(waiting: Set<Want>): Want[] {
  const aboard = new Map<string, Want>()
  for (const want of waiting) {
    const place = placeOf(want.reader)
    if (aboard.has(place)) continue
    aboard.set(place, want)
    waiting.delete(want)
  }
  return [...aboard.values()]
}

function placeOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}/${partition}`
}

/** Connected. */
export async function brokerOf(cluster: Cluster, node: number): Promise<Broker> {
  if (!cluster.getNodeIds().includes(String(node))) await cluster.refreshMetadata()
  return cluster.findBroker({ nodeId: String(node) })
}
