/** Kafka's side of a takeover: fence, read and commit for one candidate owner of one state partition, by transactions under its id. */
import { assert } from '../../core/assert.ts'
import { isPipelineError, PipelineError } from '../../core/errors.ts'
import type { Bounds, Topic, Write } from '../log.ts'
import type { StateStore } from '../takeover.ts'
import type { Feeds } from './feeds.ts'
import { readNewest } from './newest.ts'
import type { KafkaOptions } from './options.ts'
import { SendError } from './sending.ts'
import { cutWrites } from './state-writes.ts'
import { isFenced, Transactor, TRANSACTOR_TUNING } from './transactor.ts'
import type { Ended, TransactorTuning } from './transactor.ts'

export interface StateStoreOptions {
  readonly options: KafkaOptions
  readonly feeds: Pick<Feeds, 'readAll' | 'bounds'>
  readonly topic: 'state' | 'leases'
  readonly partition: number
  readonly transactionalId: string
  readonly tuning?: Partial<TransactorTuning>
}

/** Connects with the fence. To be closed whatever happened to its owner; what is under way then may land or not. */
export function openStateStore(options: StateStoreOptions): StateStore & { close(): Promise<void> } {
  return new KafkaStateStore(options)
}

class KafkaStateStore implements StateStore {
  readonly #options: StateStoreOptions
  readonly #transactor: Transactor
  readonly #stop = new AbortController()
  /** `lost`: another owns the partition, or the fate of something sent is unknown; whoever wants it has to fence anew. */
  #stage: 'new' | 'owner' | 'lost' = 'new'
  /** The last commit that was called: they are made one after the other. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: StateStoreOptions) {
    this.#options = options
    this.#transactor = new Transactor(options.options, options.transactionalId, { ...TRANSACTOR_TUNING, ...options.tuning })
  }

  async fence(): Promise<void> {
    this.#checkOpen()
    assert(this.#stage === 'new', 'each owner has a store of its own')
    await this.#transactor.fence()
    this.#stage = 'owner'
  }

  async read(each: (key: string, value: Uint8Array) => void): Promise<void> {
    this.#checkOwner()
    const { feeds, topic, partition } = this.#options
    await readNewest({ feeds, topic, partition, signal: this.#stop.signal }, each)
  }

  async transact(writes: Iterable<Write>): Promise<void> {
    const before = this.#last
    const mine = (async () => {
      await Promise.allSettled([before])
      await this.#commit(writes)
    })()
    this.#last = mine
    await mine
  }

  bounds(topic: Topic, partition: number): Promise<Bounds> {
    return this.#options.feeds.bounds(topic, partition)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#stage = 'lost'
    await this.#transactor.close()
  }

  async #commit(writes: Iterable<Write>): Promise<void> {
    this.#checkOwner()
    try {
      for (const batches of cutWrites(writes)) {
        await this.#transactor.send(batches)
        this.#checkOwner()
      }
      // Kafka ends an empty transaction without asking whether its owner is still one.
      assert(!this.#transactor.isEmpty, 'a commit writes something, its header at least')
    } catch (error) {
      await this.#abort(error)
    }
    const { end, error } = await this.#transactor.end('commit')
    if (end === 'done') return
    this.#stage = 'lost'
    if (end === 'fenced') throw error
    throw this.#error('IN_DOUBT', 'a commit may have been made or not: fence again and read the header', error)
  }

  /** Throws, always. After `cause` alone the owner may go on. */
  async #abort(cause: unknown): Promise<never> {
    const met = cause instanceof SendError ? cause.cause : cause
    if (isFenced(met)) {
      this.#stage = 'lost'
      throw this.#error('FENCED', 'another owner has taken over', met)
    }
    // A sequence that may be used: the next batch of that partition could pass for this one, and be "stored" without being written.
    const isSpent = cause instanceof SendError && cause.isUnknown
    const { end, error } = await this.#undo()
    if (isSpent || end !== 'done') this.#stage = 'lost'
    if (end === 'fenced') throw error
    if (end === 'unknown') throw this.#error('IN_DOUBT', 'a commit failed and may not be undone: fence again and read the header', error)
    if (isPipelineError(met, 'UNAVAILABLE')) throw new PipelineError('IO', `nothing was committed: ${met.message}`, { cause: met })
    throw met
  }

  async #undo(): Promise<Ended> {
    return this.#transactor.isEmpty ? { end: 'done', error: null } : this.#transactor.end('abort')
  }

  #checkOpen(): void {
    if (this.#stop.signal.aborted) throw new PipelineError('CLOSED', 'the Kafka log was closed')
  }

  #checkOwner(): void {
    this.#checkOpen()
    if (this.#stage === 'lost') throw this.#error('FENCED', 'has to be taken over again: the last commit was fenced, in doubt or cut off')
    assert(this.#stage === 'owner', 'fence comes first')
  }

  #error(code: 'FENCED' | 'IN_DOUBT', text: string, cause?: unknown): PipelineError {
    const { topic, partition } = this.#options
    return new PipelineError(code, `${topic}/${partition}: ${text}`, { cause })
  }
}
