/** What the handles of one memory log share: partitions, seats and the flush queue; `memory.ts` is its door. */
import { assert } from '../../core/assert.ts'
import type { Clock } from '../../ops/clock.ts'
import { Bell } from '../bell.ts'
import { COMPACTED, TOPICS } from '../log.ts'
import type { Topic } from '../log.ts'
import type { Faults } from './faults.ts'
import { FlushQueue } from './flush.ts'
import type { Group } from './flush.ts'
import { MemoryPartition } from './partition.ts'
import { Seat } from './seat.ts'

export interface StoreOptions {
  readonly partitions: number
  readonly key: string
  readonly clock: Clock
  readonly faults: Faults
  readonly visible: 'appended' | 'flushed'
  readonly takeoverMs: number
  readonly slices: SlicePolicy
}

/** How many of `available` records (at least 1) the next slice of a partition shall have; at least 1. */
export type SlicePolicy = (available: number, topic: Topic, partition: number, from: number) => number

export class Store {
  readonly options: StoreOptions
  /** How often records that readers may have seen were lost. */
  losses = 0
  readonly #partitions = new Map<Topic, readonly MemoryPartition[]>()
  readonly #bells = new Map<Topic, Bell>()
  readonly #seats = new Map<string, Seat>()
  readonly #queues: FlushQueue[] = []

  constructor(options: StoreOptions) {
    this.options = options
    for (const topic of Object.keys(TOPICS) as Topic[]) {
      const compacted = COMPACTED.has(topic)
      const count = TOPICS[topic] === 'all' ? options.partitions : 1
      this.#partitions.set(topic, Array.from({ length: count }, (_, number) => new MemoryPartition(number, { compacted })))
      this.#bells.set(topic, new Bell())
    }
  }

  partition(topic: Topic, number: number): MemoryPartition {
    const partition = this.partitions(topic)[number]
    assert(partition, `there is no ${topic}/${number}`)
    return partition
  }

  partitions(topic: Topic): readonly MemoryPartition[] {
    return this.#partitions.get(topic)!
  }

  /** Rung when a topic has grown or lost something. */
  bell(topic: Topic): Bell {
    return this.#bells.get(topic)!
  }

  seat(name: string): Seat {
    let seat = this.#seats.get(name)
    if (!seat) this.#seats.set(name, (seat = new Seat(this.options.clock, this.options.takeoverMs)))
    return seat
  }

  seats(): Iterable<Seat> {
    return this.#seats.values()
  }

  /** What a new handle flushes through: one queue for all where readers see what isn't flushed, so that lost records leave no traces. */
  queue(): FlushQueue {
    const { clock, faults, visible } = this.options
    if (visible === 'appended' && this.#queues[0]) return this.#queues[0]
    const queue = new FlushQueue({ clock, faults, visible, land: (group) => this.#land(group), lost: () => this.#startAnew() })
    this.#queues.push(queue)
    return queue
  }

  /** Resolves when nothing that a fenced owner has landed can still be lost. */
  async quiet(): Promise<void> {
    if (this.options.visible === 'appended') await this.#queues[0]?.drained()
  }

  #land(group: Group): void {
    const now = this.options.clock.now()
    for (const write of group.writes) {
      const partition = this.partition(write.topic, write.partition)
      const offset = partition.append(write, now)
      if (group.spans.length === 0) group.offset = offset
      const span = group.spans.find((one) => one.partition === partition)
      if (span) span.to = offset + 1
      else group.spans.push({ partition, from: offset, to: offset + 1 })
    }
    for (const topic of new Set(group.writes.map((write) => write.topic))) this.bell(topic).ring()
  }

  /** Records that readers may have seen are gone: nobody's state is to be trusted until it was taken over again from the log. */
  #startAnew(): void {
    this.losses++
    for (const seat of this.seats()) seat.revoke()
    for (const bell of this.#bells.values()) bell.ring()
  }
}
