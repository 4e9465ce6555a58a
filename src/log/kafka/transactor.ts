/** Transactions under one transactional id: the requests that fence, fill and end them, each asked again as it may be. */
import { assert } from '../../core/assert.ts'
import { errorText, isPipelineError, PipelineError } from '../../core/errors.ts'
import { offsetKey } from '../log.ts'
import type { Broker, Cluster } from './client.ts'
import { COORDINATOR } from './client.ts'
import { topicName } from './names.ts'
import type { KafkaOptions } from './options.ts'
import { isBusy, repeat } from './repeating.ts'
import type { Request, Term } from './repeating.ts'
import { Route } from './route.ts'
import { describe, isFinalError, send, SendError } from './sending.ts'
import type { Batch, Identity } from './sending.ts'
import type { Access } from './trouble.ts'
import { protocolError } from './trouble.ts'

export interface TransactorTuning {
  /** A request is given up so long after it was first asked, ms: a killed broker is ridden out. */
  readonly retryMs: number
  /** One request may take so long, ms. */
  readonly attemptMs: number
  /**
   * The coordinator aborts a transaction that is open for longer, ms. Above twice `retryMs`, as a commit that rode out a broker's death can
   * still end well; and not far above, as readers of its topics see nothing newer while an owner that died in it has no successor.
   */
  readonly transactionMs: number
}

export const TRANSACTOR_TUNING: TransactorTuning = { retryMs: 25_000, attemptMs: 12_000, transactionMs: 60_000 }

/** How a transaction ended: not known when no answer came, or one that may be the answer to the time before. */
export interface Ended {
  readonly end: 'done' | 'fenced' | 'unknown'
  /** null when done. */
  readonly error: unknown
}

interface Ask<T> {
  readonly doing: string
  readonly request: (broker: Broker) => Promise<T>
  /** Left out: that to the transactional id. */
  readonly access?: Access
}

export class Transactor {
  readonly #options: KafkaOptions
  readonly #tuning: TransactorTuning
  readonly #id: string
  readonly #access: Access
  readonly #route: Route
  readonly #stop = new AbortController()
  #identity: Identity | null = null
  /** Next sequence by place; they count on from transaction to transaction. */
  readonly #sequences = new Map<string, number>()
  /** Places in the open transaction. */
  readonly #added = new Set<string>()
  #coordinator: { readonly cluster: Cluster; readonly broker: Broker } | null = null

  constructor(options: KafkaOptions, transactionalId: string, tuning: TransactorTuning) {
    this.#options = options
    this.#tuning = tuning
    this.#id = transactionalId
    this.#access = { operation: 'Write', resource: 'transactional-id', name: transactionalId }
    this.#route = new Route({ options, purpose: `commit-${transactionalId}`, attemptMs: tuning.attemptMs })
  }

  /** Ends every earlier producer of this transactional id and its transaction: both are over when this resolves. */
  async fence(): Promise<void> {
    const { transactionMs } = this.#tuning
    const { producerId, producerEpoch } = await this.#ask({
      doing: `taking over ${this.#id}`,
      request: (broker) => broker.initProducerId({ transactionalId: this.#id, transactionTimeout: transactionMs }),
    })
    this.#identity = { producerId, producerEpoch }
    this.#sequences.clear()
    this.#added.clear()
  }

  /** Each of another partition: all are stored, or it rejects once none is under way; with `SendError` when one was sent. */
  async send(batches: readonly Batch[]): Promise<void> {
    await this.#add(batches)
    const ends = await Promise.allSettled(batches.map((batch) => this.#sendOne(batch)))
    const errors = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as SendError] : []))
    const worst = errors.find(({ isUnknown }) => isUnknown) ?? errors[0]
    if (worst) throw worst
  }

  /** Whether anything was sent since the last end: an empty transaction is ended without asking anybody. */
  get isEmpty(): boolean {
    return this.#added.size === 0
  }

  /**
   * Asked again, an end that was done is answered as done and one that was not is done then: so only the silence of all brokers, or a
   * successor's fence between two tries, leaves it unknown.
   */
  async end(result: 'commit' | 'abort'): Promise<Ended> {
    const identity = this.#known()
    let isAnswered = true
    const request = async (broker: Broker) => {
      try {
        await broker.endTxn({ transactionalId: this.#id, ...identity, transactionResult: result === 'commit' })
      } catch (error) {
        if (!isFenced(error)) isAnswered &&= isBusy(error)
        throw error
      }
    }
    try {
      await this.#ask({ doing: `ending a transaction of ${this.#id}`, request })
      this.#added.clear()
      return { end: 'done', error: null }
    } catch (error) {
      return { end: isAnswered && isPipelineError(error, 'FENCED') ? 'fenced' : 'unknown', error }
    }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#route.close()
  }

  async #sendOne(batch: Batch): Promise<void> {
    const { prefix, compression } = this.#options
    const place = offsetKey(batch.topic, batch.partition)
    const sequence = this.#sequences.get(place) ?? 0
    const identity = this.#known()
    const sending = { route: this.#route, prefix, compression, identity, transactionalId: this.#id, sequence, term: this.#term() }
    await send(batch, { ...sending, again: this.#debug(place) })
    this.#sequences.set(place, sequence + batch.records.length)
  }

  /** Meets the broker's "not yet" as a rule when the transaction before has just ended. */
  async #add(batches: readonly Batch[]): Promise<void> {
    const fresh = batches.filter(({ topic, partition }) => !this.#added.has(offsetKey(topic, partition)))
    if (fresh.length === 0) return
    const identity = this.#known()
    const data = fresh.map(({ topic, partition }) => ({ topic: topicName(this.#options.prefix, topic), partitions: [partition] }))
    const add = async (topics: typeof data) => {
      const names = topics.map(({ topic }) => topic).join(', ')
      await this.#ask({
        doing: `adding ${names} to a transaction of ${this.#id}`,
        access: { operation: 'Write', resource: 'topic', name: names },
        request: (broker) => broker.addPartitionsToTxn({ transactionalId: this.#id, ...identity, topics }),
      })
    }
    try {
      await add(data)
    } catch (error) {
      // What one refused partition does to the others has a name of its own, which does not say why.
      if (protocolError(error) !== NOT_ATTEMPTED) throw new SendError(error as Error, true)
      for (const one of data) await add([one])
    }
    for (const { topic, partition } of fresh) this.#added.add(offsetKey(topic, partition))
  }

  /** Of the coordinator, found anew after anything but its "not yet". */
  async #ask<T>({ doing, request, access = this.#access }: Ask<T>): Promise<T> {
    const route = this.#route
    const isFinal = isFinalError(route)
    const asking: Request<T> = {
      attempt: async (isFirst) => {
        if (!isFirst && !this.#coordinator) await route.refresh()
        try {
          return await route.ask({ broker: (cluster) => this.#findCoordinator(cluster) }, request)
        } catch (error) {
          if (!isBusy(error)) this.#coordinator = null
          throw error
        }
      },
      isFinal: (error) => isFinal(error) || protocolError(error) === NOT_ATTEMPTED,
      again: this.#debug(doing),
    }
    try {
      return await repeat(asking, this.#term())
    } catch (error) {
      if (isFenced(error)) {
        throw new PipelineError('FENCED', `another owner has taken over ${this.#id} (${protocolError(error)})`, { cause: error })
      }
      throw describe(error, route, doing, access)
    }
  }

  async #findCoordinator(cluster: Cluster): Promise<Broker> {
    if (this.#coordinator?.cluster !== cluster) {
      const broker = await cluster.findGroupCoordinator({ groupId: this.#id, coordinatorType: COORDINATOR.transaction })
      this.#coordinator = { cluster, broker }
    }
    return this.#coordinator.broker
  }

  #known(): Identity {
    assert(this.#identity !== null, 'fence comes first')
    return this.#identity
  }

  #term(): Term {
    const { clock, random } = this.#options
    return { clock, random, signal: this.#stop.signal, deadline: clock.monotonic() + this.#tuning.retryMs }
  }

  #debug(what: string): (error: unknown) => void {
    const { logger } = this.#options
    return (error) => logger.debug({ transactionalId: this.#id, what, error: errorText(error) }, 'a request of a commit is made again')
  }
}

const NOT_ATTEMPTED = 'OPERATION_NOT_ATTEMPTED'

/** A successor, or the broker itself because of the time it took, has ended what this producer had open. */
const FENCES = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'INVALID_PRODUCER_ID_MAPPING', 'INVALID_TXN_STATE'])

export function isFenced(error: unknown): boolean {
  return FENCES.has(protocolError(error)) || isPipelineError(error, 'FENCED')
}
