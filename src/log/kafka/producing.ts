/** Appends to Kafka: resolved when every replica in sync has the records, in the order of the calls, one send a partition at a time. */
import { assert } from '../../core/assert.ts'
import { errorText, isPipelineError, PipelineError } from '../../core/errors.ts'
import { delay } from '../../ops/clock.ts'
import type { Counter, Histogram } from '../../ops/metrics.ts'
import { APPEND_MOST, COMPACTED } from '../log.ts'
import type { Appended, LogRecord, Topic } from '../log.ts'
import { AppendLane } from './append-lane.ts'
import { FlushOrder } from './flush-order.ts'
import { topicName } from './names.ts'
import type { KafkaOptions } from './options.ts'
import { repeat } from './repeating.ts'
import type { Term } from './repeating.ts'
import { toLeader, Route } from './route.ts'
import type { Batch, Identity } from './sending.ts'
import { describe, isFinalError, send, SendError } from './sending.ts'

export interface ProducingTuning {
  /** An append fails so long after its call, ms: a killed broker is taken for dead after 9 s, and others lead its partitions soon after. */
  readonly retryMs: number
  /** Most bytes that wait in front of a partition. */
  readonly queueBytes: number
  /** One request may take so long, ms. */
  readonly attemptMs: number
  /** `close` waits so long for what is under way, ms. */
  readonly closeMs: number
}

const PRODUCING_TUNING: ProducingTuning = { retryMs: 25_000, queueBytes: 16 * 1024 * 1024, attemptMs: 12_000, closeMs: 10_000 }

/** A broker serves one request a connection at a time: `readings` have routes of their own, and so have all other topics together. */
const ROUTES = { readings: 4, others: 2 } as const
type Kind = keyof typeof ROUTES

export interface Producing {
  /**
   * Resolves when the records are stored by all replicas in sync; readers can see them then. 1 to `APPEND_MOST` records.
   * Rejects with UNAVAILABLE or IO when it gave up, or too much waits already; CLOSED; UNAUTHORIZED or BAD_CONFIG naming what to change.
   * Records of a rejected append may be in the log all the same, all of them or the first; nothing is claimed of them.
   * `flushed` resolves when all that was appended before, in any topic, is stored or has failed; it never rejects.
   */
  append(topic: Topic, partition: number, records: readonly LogRecord[]): Promise<Appended>
  /** Resolves when all that is under way now is stored; rejects as the first of these appends that failed. */
  flushed(): Promise<void>
  /** What the last append of each topic failed by, until one succeeds. */
  reasons(): readonly string[]
  close(): Promise<void>
}

/** Connects with the first append. */
export function openProducing(options: KafkaOptions, tuning: Partial<ProducingTuning> = {}): Producing {
  return new KafkaProducing(options, { ...PRODUCING_TUNING, ...tuning })
}

class KafkaProducing implements Producing {
  readonly #options: KafkaOptions
  readonly #tuning: ProducingTuning
  readonly #routes = new Map<string, Route>()
  readonly #lanes = new Map<string, AppendLane>()
  readonly #order: FlushOrder
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #sends: Counter
  readonly #seconds: Histogram
  /** Ends the asking again. */
  readonly #stop = new AbortController()
  #closed = false

  constructor(options: KafkaOptions, tuning: ProducingTuning) {
    this.#options = options
    this.#tuning = tuning
    this.#order = new FlushOrder(options.clock)
    const { metrics } = options
    const sends = 'Sends to Kafka, each of one partition: stored, repeated after a failed attempt, failed for good.'
    this.#sends = metrics.counter('picket_kafka_sends_total', sends, ['topic', 'outcome'])
    const seconds = 'From the first attempt of a send until all replicas in sync had it.'
    this.#seconds = metrics.histogram('picket_kafka_send_seconds', seconds, ['topic'])
  }

  async append(topic: Topic, partition: number, records: readonly LogRecord[]): Promise<Appended> {
    if (this.#closed) throw new PipelineError('CLOSED', 'the Kafka log was closed')
    assert(records.length > 0 && records.length <= APPEND_MOST, `an append has 1 to ${APPEND_MOST} records`)
    assert(records.every(({ value }) => value !== null || COMPACTED.has(topic)), `${topic} keeps every record: there is nothing to delete`)
    const place = this.#order.enter()
    const stored = this.#lane(topic, partition).add(records)
    this.#underWay.add(stored)
    try {
      const offset = await stored
      return { offset, flushed: place.settle() }
    } catch (error) {
      void place.settle()
      throw error
    } finally {
      this.#underWay.delete(stored)
    }
  }

  async flushed(): Promise<void> {
    const ends = await Promise.allSettled(this.#underWay)
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }

  reasons(): readonly string[] {
    const found = new Map<string, string>()
    for (const [place, lane] of this.#lanes) if (lane.failure !== null) found.set(place.slice(0, place.lastIndexOf('/')), lane.failure)
    return [...found.values()]
  }

  async close(): Promise<void> {
    this.#closed = true
    const { clock } = this.#options
    const waited = new AbortController()
    await Promise.race([Promise.allSettled(this.#underWay), delay(clock, this.#tuning.closeMs, waited.signal)])
    waited.abort()
    this.#stop.abort()
    await Promise.all([...this.#routes.values()].map((route) => route.close()))
    await Promise.allSettled(this.#underWay)
  }

  #lane(topic: Topic, partition: number): AppendLane {
    assert(Number.isInteger(partition) && partition >= 0, `${partition} is a partition`)
    const place = `${topic}/${partition}`
    const found = this.#lanes.get(place)
    if (found) return found
    const route = this.#route(topic, partition)
    const lane = new AppendLane({
      topic,
      partition,
      clock: this.#options.clock,
      queueBytes: this.#tuning.queueBytes,
      retryMs: this.#tuning.retryMs,
      identify: (deadline) => this.#identify(route, topic, partition, deadline),
      send: (batch, identity, sequence, deadline) => this.#send(route, batch, identity, sequence, deadline),
    })
    this.#lanes.set(place, lane)
    return lane
  }

  #route(topic: Topic, partition: number): Route {
    const kind: Kind = topic === 'readings' ? 'readings' : 'others'
    const name = `append-${kind}-${partition % ROUTES[kind]}`
    const found = this.#routes.get(name)
    if (found) return found
    const route = new Route({ options: this.#options, purpose: name, attemptMs: this.#tuning.attemptMs })
    this.#routes.set(name, route)
    return route
  }

  #term(deadline: number): Term {
    const { clock, random } = this.#options
    return { clock, random, signal: this.#stop.signal, deadline }
  }

  /** Any broker gives ids, to whoever may write to some topic; the leader is asked because it is connected to anyway. */
  async #identify(route: Route, topic: Topic, partition: number, deadline: number): Promise<Identity> {
    const name = topicName(this.#options.prefix, topic)
    const attempt = async (isFirst: boolean) => {
      if (!isFirst) await route.refresh()
      return route.ask(toLeader(name, partition), (broker) => broker.initProducerId({ transactionTimeout: 60_000 }))
    }
    try {
      const { producerId, producerEpoch } = await repeat({ attempt, isFinal: isFinalError(route) }, this.#term(deadline))
      return { producerId, producerEpoch }
    } catch (error) {
      this.#sends.add(1, { topic, outcome: 'failed' })
      const doing = `asking for a producer id to write to ${name}/${partition}`
      throw describe(error, route, doing, { operation: 'Write', resource: 'topic', name })
    }
  }

  async #send(route: Route, batch: Batch, identity: Identity, sequence: number, deadline: number): Promise<number> {
    const { clock, prefix, compression, logger } = this.#options
    const { topic, partition } = batch
    const started = clock.monotonic()
    let repeats = 0
    const again = (error: unknown) => {
      this.#sends.add(1, { topic, outcome: 'repeated' })
      const say = repeats++ === 0 ? 'warn' : 'debug'
      logger[say]({ topic, partition, error: errorText(error) }, 'a write to Kafka failed and is tried again')
    }
    try {
      const offset = await send(batch, { route, prefix, compression, identity, sequence, term: this.#term(deadline), again })
      this.#sends.add(1, { topic, outcome: 'stored' })
      this.#seconds.observe((clock.monotonic() - started) / 1000, { topic })
      return offset
    } catch (error) {
      this.#sends.add(1, { topic, outcome: 'failed' })
      throw ownLane(error)
    }
  }
}

/** The id of a lane is nobody else's, so no one has taken over: a broker has forgotten it, and the next append takes another. */
function ownLane(error: unknown): unknown {
  if (!(error instanceof SendError) || !isPipelineError(error.cause, 'FENCED')) return error
  return new SendError(new PipelineError('IO', error.cause.message, { cause: error.cause }), error.isUnknown)
}
