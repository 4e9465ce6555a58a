/** The log port on Apache Kafka, for as many processes as there are: what it is made of, opened and closed in order. */
import { TOPICS } from '../log.ts'
import type { Appended, Bounds, Log, LogRecord, Opened, Owned, Partition, Slice, Topic } from '../log.ts'
import { ownAll } from '../stopping.ts'
import { openClient } from './client.ts'
import { checkCompression } from './codecs.ts'
import { openFeeds } from './feeds.ts'
import type { Feeds } from './feeds.ts'
import type { KafkaOptions } from './options.ts'
import { Owning } from './owning.ts'
import { openProducing } from './producing.ts'
import type { Producing } from './producing.ts'
import { ensureTopics } from './topics.ts'

/**
 * Makes the topics that are missing and checks those that are there. Throws UNAVAILABLE when no broker can be reached: whoever opens the
 * log at a start tries again until one can, and says so. BAD_CONFIG, PARTITIONS_CHANGED and UNAUTHORIZED name what to change: stops.
 */
export async function openKafka(options: KafkaOptions): Promise<Log> {
  checkCompression(options.compression)
  const client = openClient(options, 'topics')
  try {
    await ensureTopics(client)
  } finally {
    client.end()
  }
  return new KafkaLog(options)
}

class KafkaLog implements Log {
  readonly partitions: number
  readonly #feeds: Feeds
  readonly #producing: Producing
  readonly #owning: Owning
  readonly #never = new AbortController().signal
  #closing: Promise<void> | null = null

  constructor(options: KafkaOptions) {
    this.partitions = options.partitions
    this.#feeds = openFeeds(options)
    this.#producing = openProducing(options)
    this.#owning = new Owning(options, this.#feeds)
  }

  async append(topic: Topic, partition: number, records: readonly LogRecord[]): Promise<Appended> {
    if (topic === 'incidents') this.#owning.checkOwner(partition)
    return this.#producing.append(topic, partition, records)
  }

  consume(open: (owned: Partition) => Promise<Opened>, signal: AbortSignal): Promise<void> {
    return this.#owning.consume(open, signal)
  }

  lead(name: string, run: (owned: Owned) => Promise<void>, signal: AbortSignal): Promise<void> {
    return this.#owning.lead(name, run, signal)
  }

  tail(topic: Topic, from: ReadonlyMap<number, number>, each: (slice: Slice) => Promise<void>, signal: AbortSignal): Promise<void> {
    return this.#owning.run(signal, async (stop) => {
      const turns = new Turns()
      const follow = async (number: number) => {
        const feed = this.#feeds.open(topic, number, from.get(number) ?? null)
        try {
          for (;;) {
            const slice = await feed.next(stop.signal)
            if (!slice) return
            await turns.take(async () => (stop.signal.aborted ? undefined : each(slice)))
          }
        } finally {
          feed.close()
        }
      }
      await ownAll(TOPICS[topic] === 'all' ? this.partitions : 1, follow, stop)
    })
  }

  async read(topic: Topic, partition: number, from: number, limit: number): Promise<Slice | null> {
    const { high } = await this.#feeds.bounds(topic, partition)
    if (from >= high) return null
    const feed = this.#feeds.open(topic, partition, from)
    try {
      return await feed.next(this.#never, limit, high)
    } finally {
      feed.close()
    }
  }

  async bounds(topic: Topic, partition: number): Promise<Bounds> {
    return this.#feeds.bounds(topic, partition)
  }

  flushed(): Promise<void> {
    return this.#producing.flushed()
  }

  reasons(): readonly string[] {
    return this.#producing.reasons()
  }

  holder(place: string): string | null {
    return this.#owning.holder(place)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#owning.close()
    try {
      await this.#producing.flushed()
    } finally {
      await this.#producing.close()
      await this.#feeds.close()
    }
  }
}

/** One at a time, in the order they come. */
class Turns {
  #last: Promise<unknown> = Promise.resolve()

  take(work: () => Promise<void>): Promise<void> {
    const mine = this.#last.then(work)
    this.#last = mine.catch(() => {}) // whose turn it was is told
    return mine
  }
}
