/** The takeover: how a process becomes owner of a partition or leader of a name, in one order for every adapter of the log port. */
import { assert } from '../core/assert.ts'
import { isPipelineError, PipelineError } from '../core/errors.ts'
import { COMPACTED, TOPICS } from './log.ts'
import type { Bounds, Cut, Offsets, Owned, Restored, Topic, Write } from './log.ts'
import { decodeHeader, encodeHeader, HEADER_KEY } from './header.ts'
import type { Header } from './header.ts'

/** What an adapter gives for one candidate owner of one state partition. */
export interface StateStore {
  /** Ends every earlier owner; what one had under way has landed, or never will, when this resolves. This store is the owner then. */
  fence(): Promise<void>
  /** Each live key of the state partition once, the header among them, up to its end as of the fence or later. */
  read(each: (key: string, value: Uint8Array) => void): Promise<void>
  /** `Owned.commit` without the header. Throws FENCED when this store is not, or no longer, the owner. */
  transact(writes: Iterable<Write>): Promise<void>
  bounds(topic: Topic, partition: number): Promise<Bounds>
}

/** What decides which partition a reading lies in. */
export interface Layout {
  readonly partitions: number
  /** Template of a device's name: `sources.0.device`. */
  readonly key: string
}

/** The layout is what the config asks for. */
export interface TakeoverOptions extends Layout {
  readonly store: StateStore
  /** Where the state lies: `state/p` for a partition, `leases/0` for respond. */
  readonly topic: 'state' | 'leases'
  readonly partition: number
  readonly signal: AbortSignal
  /** Told of each commit that landed, but for the takeover's own. */
  readonly progress: () => void
  /** `Owned.confirmed`; left out: the log is this process's own, which `signal` alone can end. */
  readonly confirmed?: () => Promise<void>
  /** Left out: the embedded log's. */
  readonly names?: LayoutNames
}

/** What the config calls a log's layout, for those who have to mend it. */
export interface LayoutNames {
  readonly partitions: string
  /** What makes an empty log: `another log.embedded.path`. */
  readonly anew: string
}

const EMBEDDED: LayoutNames = { partitions: 'log.embedded.partitions', anew: 'another log.embedded.path' }

/** The one leader with state of its own; the others' names lead nothing but themselves. */
export const LEADER_WITH_STATE = 'respond'

/** Fences the old owner; the state is read, and the header committed under the next epoch, by `restore`. */
export async function takeOver(options: TakeoverOptions): Promise<Owned> {
  await options.store.fence()
  return new Owner(options)
}

/** What a leader without state gets. `epoch` is its adapter's count of takeovers of that name, from 1; `confirmed` as in `TakeoverOptions`. */
export function leadWithoutState(name: string, epoch: number, signal: AbortSignal, confirmed = () => confirmedBy(signal, name)): Owned {
  return {
    signal,
    confirmed,
    restore: async () => ({ next: new Map(), incarnation: '', epoch, recreated: false }),
    commit: async () => assert(false, `leader ${name} has no state to commit`),
  }
}

/** Where the log is this process's own. */
async function confirmedBy(signal: AbortSignal, what: string): Promise<void> {
  if (signal.aborted) throw new PipelineError('FENCED', `${what} is no longer held`)
}

/** Throws PARTITIONS_CHANGED when a log was made with other partitions or another key than the config asks; names the config's own keys. */
export function checkLayout(made: Layout, asked: Layout, { partitions: key, anew }: LayoutNames = EMBEDDED): void {
  const orAnew = `or start with an empty log by ${anew}`
  if (made.partitions !== asked.partitions) {
    throw new PipelineError(
      'PARTITIONS_CHANGED',
      `the log was made with ${made.partitions} partitions, the config asks for ${asked.partitions}: ` +
        `set ${key} back to ${made.partitions}, ${orAnew}`,
    )
  }
  if (made.key !== asked.key) {
    throw new PipelineError(
      'PARTITIONS_CHANGED',
      `the log was made with devices named by '${made.key}', the config names them by '${asked.key}': ` +
        `set sources.0.device back to '${made.key}', ${orAnew}`,
    )
  }
}

class Owner implements Owned {
  readonly signal: AbortSignal
  readonly #options: TakeoverOptions
  #stage: 'fenced' | 'restoring' | 'restored' | 'lost' = 'fenced'
  #epoch = 0

  constructor(options: TakeoverOptions) {
    this.#options = options
    this.signal = options.signal
  }

  async restore(each: (key: string, value: Uint8Array) => void): Promise<Restored> {
    assert(this.#stage === 'fenced', 'restore is called once, before anything else')
    this.#stage = 'restoring'
    const header = await this.#read(each)
    this.#epoch = (header?.epoch ?? 0) + 1
    const cut: Cut = { next: new Map(Object.entries(header?.next ?? {})), incarnation: header?.incarnation ?? '' }
    await this.#transact([], cut)
    this.#stage = 'restored'
    return { ...cut, epoch: this.#epoch, recreated: await this.#isPastItsTopics(cut.next) }
  }

  async commit(writes: Iterable<Write>, cut: Cut): Promise<void> {
    if (this.#stage === 'lost') {
      const { topic, partition } = this.#options
      throw new PipelineError('FENCED', `${topic}/${partition} has to be taken over again after a commit that was fenced or in doubt`)
    }
    assert(this.#stage === 'restored', 'commit comes after restore')
    await this.#transact(writes, cut)
    this.#options.progress()
  }

  confirmed(): Promise<void> {
    const { confirmed, signal, topic, partition } = this.#options
    return confirmed ? confirmed() : confirmedBy(signal, `${topic}/${partition}`)
  }

  async #read(each: (key: string, value: Uint8Array) => void): Promise<Header | undefined> {
    let header: Header | undefined
    await this.#options.store.read((key, value) => {
      if (key === HEADER_KEY) header = decodeHeader(value)
      else each(key, value)
    })
    if (header) checkLayout(header, this.#options, this.#options.names)
    return header
  }

  async #transact(writes: Iterable<Write>, cut: Cut): Promise<void> {
    try {
      await this.#options.store.transact(this.#withHeader(writes, cut))
    } catch (error) {
      if (isPipelineError(error, 'FENCED', 'IN_DOUBT')) this.#stage = 'lost'
      throw error
    }
  }

  /** Lazily, so that pages can be copied as the adapter draws them. The header comes last: a group cut short has none. */
  *#withHeader(writes: Iterable<Write>, cut: Cut): Iterable<Write> {
    for (const write of writes) {
      assert(!(isState(write.topic) && write.key.startsWith(HEADER_KEY)), `the key ${write.key} is the log's own`)
      assert(write.value !== null || COMPACTED.has(write.topic), `${write.topic} keeps every record: there is nothing to delete`)
      yield write
    }
    const { topic, partition, partitions, key } = this.#options
    const header = { incarnation: cut.incarnation, epoch: this.#epoch, partitions, key, next: Object.fromEntries(cut.next) }
    yield { topic, partition, key: HEADER_KEY, value: encodeHeader(header) }
  }

  async #isPastItsTopics(next: Offsets): Promise<boolean> {
    for (const [place, offset] of next) {
      const slash = place.lastIndexOf('/')
      const topic = place.slice(0, slash)
      if (!isTopic(topic)) continue
      const { high } = await this.#options.store.bounds(topic, Number(place.slice(slash + 1)))
      if (offset > high) return true
    }
    return false
  }
}

function isState(topic: Topic): boolean {
  return topic === 'state' || topic === 'leases'
}

function isTopic(name: string): name is Topic {
  return Object.hasOwn(TOPICS, name)
}
