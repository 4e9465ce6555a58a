/** Owners and leaders of the Kafka log: what a group gives is taken over, worked through while its lease holds, and let go. */
import { isPipelineError, PipelineError } from '../../core/errors.ts'
import type { Opened, Owned, Partition, Write } from '../log.ts'
import { untilStopped } from '../retry.ts'
import type { Progress } from '../retry.ts'
import { stopWith } from '../stopping.ts'
import { LEADER_WITH_STATE, leadWithoutState, takeOver } from '../takeover.ts'
import type { LayoutNames, StateStore } from '../takeover.ts'
import type { Feeds } from './feeds.ts'
import { Membership } from './membership.ts'
import type { MembershipOptions } from './membership.ts'
import { detectGroup, detectTransactionalId, LEADERS, leaderGroup, leaderTransactionalId, topicName } from './names.ts'
import { GROUP_TIMING } from './options.ts'
import type { KafkaOptions } from './options.ts'
import { openStateStore } from './state-store.ts'
import type { Tenure } from './tenure.ts'

const NAMES: LayoutNames = { partitions: 'log.kafka.partitions', anew: 'another log.kafka.prefix' }
const READINGS = /^readings\/(\d+)$/
/** All partitions meet a broker that can't be reached at once: one line stands for all, so long, ms. */
const SAME_TROUBLE_MS = 5_000

type ClosableStore = ReturnType<typeof openStateStore>

/** Where a state lies, and under which id its owner writes. */
interface State {
  readonly topic: 'state' | 'leases'
  readonly partition: number
  readonly transactionalId: string
}

export class Owning {
  readonly #options: KafkaOptions
  readonly #feeds: Feeds
  /** By group, those under way: as many as calls of `consume` and `lead`. */
  readonly #memberships = new Map<string, Set<Membership>>()
  readonly #closing = new AbortController()
  readonly #running = new Set<Promise<unknown>>()
  #toldUntil = 0

  constructor(options: KafkaOptions, feeds: Feeds) {
    this.#options = options
    this.#feeds = feeds
  }

  consume(open: (owned: Partition) => Promise<Opened>, signal: AbortSignal): Promise<void> {
    const { prefix, partitions } = this.#options
    const of = { group: detectGroup(prefix), topic: topicName(prefix, 'readings'), partitions, work: (tenure: Tenure) => this.#own(tenure, open) }
    return this.run(signal, async (stop) => void (await this.#join(of, stop.signal)))
  }

  /** Each turn is a membership of its own: whoever else can lead gets its chance while this one pauses. */
  lead(name: string, run: (owned: Owned) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { prefix } = this.#options
    const group = { group: leaderGroup(prefix, name), topic: topicName(prefix, LEADERS), partitions: 1 }
    let memberId = ''
    const turn = async (progress: Progress, stop: AbortSignal) => {
      const over = stopWith([stop])
      const work = async (tenure: Tenure) => {
        try {
          await this.#leadOnce(name, tenure, run, progress)
        } finally {
          over.stop.abort()
        }
      }
      try {
        memberId = await this.#join({ ...group, work, memberId }, over.stop.signal)
      } finally {
        over.release()
      }
    }
    return this.run(signal, (stop) => this.#untilStopped(name, stop.signal, (progress) => turn(progress, stop.signal)))
  }

  /** `readings/3`, or a leader's name. */
  holder(place: string): string | null {
    const { prefix } = this.#options
    const number = READINGS.exec(place)?.[1]
    const members = this.#memberships.get(number === undefined ? leaderGroup(prefix, place) : detectGroup(prefix))
    for (const membership of members ?? []) {
      const name = membership.holder(Number(number ?? 0))
      if (name !== null) return name
    }
    return null
  }

  /**
   * Before anything is written: leases that are over end here and now. Throws FENCED when `partition` of the readings was lost here and
   * not got again: incidents are written by its owner.
   */
  checkOwner(partition: number): void {
    const members = [...(this.#memberships.get(detectGroup(this.#options.prefix)) ?? [])]
    const standings = members.map((membership) => membership.standingAt(partition))
    if (standings.includes('lost') && !standings.includes('held')) {
      throw new PipelineError('FENCED', `this process has lost readings/${partition}: it writes no incidents of it`)
    }
  }

  /** Runs until `signal` aborts or the log closes. */
  async run(signal: AbortSignal, work: (stop: AbortController) => Promise<void>): Promise<void> {
    if (this.#closing.signal.aborted) throw new PipelineError('CLOSED', 'the Kafka log was closed')
    const { stop, release } = stopWith([signal, this.#closing.signal])
    const running = work(stop)
    this.#running.add(running)
    try {
      await running
    } finally {
      this.#running.delete(running)
      release()
    }
  }

  /** Tells all of them to end, and waits until they have. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.allSettled(this.#running)
  }

  /** Resolves with what the broker may still know this process by: see `Membership.memberId`. */
  async #join(of: Omit<MembershipOptions, 'kafka' | 'timing'>, signal: AbortSignal): Promise<string> {
    const membership = new Membership({ kafka: this.#options, timing: this.#options.timing ?? GROUP_TIMING, ...of })
    const members = this.#memberships.get(of.group) ?? new Set()
    this.#memberships.set(of.group, members.add(membership))
    try {
      await membership.run(signal)
      return membership.memberId
    } finally {
      members.delete(membership)
      if (members.size === 0) this.#memberships.delete(of.group)
    }
  }

  /** Takes the partition over again and again until the tenure ends. */
  async #own(tenure: Tenure, open: (owned: Partition) => Promise<Opened>): Promise<void> {
    const { prefix } = this.#options
    const number = tenure.partition
    const state: State = { topic: 'state', partition: number, transactionalId: detectTransactionalId(prefix, number) }
    // A commit that was under way when its task was dropped ends by the next fence: its fate is known then.
    let last: ClosableStore | null = null
    const attempt = async (progress: Progress) => {
      const term = new Term(tenure)
      const store = this.#openStore(term, state)
      const before = last
      last = store
      try {
        const owned = await this.#takeOver(term, state, store, progress).finally(() => before?.close())
        await this.#workThrough(term, await open(Object.assign(owned, { number })))
      } finally {
        term.end()
      }
    }
    try {
      await this.#untilStopped(`readings/${number}`, tenure.signal, attempt)
    } finally {
      await (last as ClosableStore | null)?.close()
    }
  }

  async #workThrough(term: Term, { task, from }: Opened): Promise<void> {
    const { tenure } = term
    const feed = this.#feeds.open('readings', tenure.partition, from)
    try {
      for (;;) {
        const slice = await feed.next(term.signal)
        if (!slice || !term.mayAct()) break
        await task.process(slice)
        tenure.at(slice.next)
      }
    } finally {
      feed.close()
    }
    await task.close()
  }

  async #leadOnce(name: string, tenure: Tenure, run: (owned: Owned) => Promise<void>, progress: Progress): Promise<void> {
    const term = new Term(tenure)
    // A group that has committed nothing is forgotten when it is empty, and its generations begin anew.
    tenure.at(0)
    try {
      if (name !== LEADER_WITH_STATE) return await run(leadWithoutState(name, tenure.generation, term.signal, () => term.confirmed()))
      const state: State = { topic: 'leases', partition: 0, transactionalId: leaderTransactionalId(this.#options.prefix, name) }
      const store = this.#openStore(term, state)
      try {
        await run(await this.#takeOver(term, state, store, progress))
      } finally {
        term.end()
        await store.close()
      }
    } finally {
      term.end()
    }
  }

  /** What it has under way when the term is lost ends then, and holds up nobody for the time a commit may be tried. */
  #openStore(term: Term, { topic, partition, transactionalId }: State): ClosableStore {
    const store = openStateStore({ options: this.#options, feeds: this.#feeds, topic, partition, transactionalId })
    term.onLost(() => void store.close())
    return store
  }

  #takeOver(term: Term, { topic, partition }: State, store: StateStore, progress: Progress): Promise<Owned> {
    const { partitions, key } = this.#options
    const { signal } = term
    return takeOver({ store: leased(store, term), topic, partition, partitions, key, signal, progress, confirmed: () => term.confirmed(), names: NAMES })
  }

  #untilStopped(what: string, signal: AbortSignal, work: (progress: Progress) => Promise<void>): Promise<void> {
    return untilStopped(work, { clock: this.#options.clock, signal, passing: (error, pauseMs) => this.#tell(what, error, pauseMs) })
  }

  #tell(what: string, { code, message }: PipelineError, pauseMs: number): void {
    const { clock, logger } = this.#options
    const isQuiet = code === 'FENCED' || (code === 'UNAVAILABLE' && clock.monotonic() < this.#toldUntil)
    if (code === 'UNAVAILABLE' && !isQuiet) this.#toldUntil = clock.monotonic() + SAME_TROUBLE_MS
    logger[isQuiet ? 'debug' : 'warn']({ what, code, pauseMs }, `taken over anew after a pause: ${message}`)
  }
}

/** One takeover within a tenure: it may end, and be followed by another, while the tenure goes on. */
class Term {
  readonly tenure: Tenure
  readonly #stopping
  readonly #ended = new AbortController()

  constructor(tenure: Tenure) {
    this.tenure = tenure
    this.#stopping = stopWith([tenure.signal])
  }

  get signal(): AbortSignal {
    return this.#stopping.stop.signal
  }

  /** Throws FENCED. To be asked before every effect. */
  check(): void {
    if (this.#ended.signal.aborted) throw new PipelineError('FENCED', 'this owner was dropped: the partition is to be taken over anew')
    this.tenure.check()
  }

  /** False also when it is to let go. */
  mayAct(): boolean {
    this.tenure.isHeld()
    return !this.signal.aborted
  }

  /** Not when it has only to let go: what it closes is committed still. */
  onLost(run: () => void): void {
    const { signal } = this.tenure
    const look = () => !this.tenure.isHeld() && run()
    signal.addEventListener('abort', look, { once: true, signal: this.#ended.signal })
  }

  async confirmed(): Promise<void> {
    this.check()
    await this.tenure.confirmed()
    this.check()
  }

  end(): void {
    this.#ended.abort()
    this.#stopping.stop.abort()
    this.#stopping.release()
  }
}

/** The lease is asked before anything is sent, and again with each write that is drawn: the header is the last of them. */
function leased(store: StateStore, term: Term): StateStore {
  /** What is under way when the term is lost ends as closed, which would be a stop. */
  const within = async <T>(code: 'FENCED' | 'IN_DOUBT', work: () => Promise<T>): Promise<T> => {
    term.check()
    try {
      return await work()
    } catch (error) {
      if (!isPipelineError(error, 'CLOSED')) throw error
      throw new PipelineError(code, 'the owner was lost in the middle of it: the partition is to be taken over anew', { cause: error })
    }
  }
  return {
    async fence() {
      await within('FENCED', () => store.fence())
      term.check()
    },
    async read(each) {
      await within('FENCED', () => store.read(each))
      term.check()
    },
    transact: (writes) => within('IN_DOUBT', () => store.transact(asking(writes, term))),
    bounds: (topic, partition) => store.bounds(topic, partition),
  }
}

function* asking(writes: Iterable<Write>, term: Term): Iterable<Write> {
  for (const write of writes) {
    term.check()
    yield write
  }
}
