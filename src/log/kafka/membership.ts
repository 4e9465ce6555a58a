/**
 * One member of a group: joins, is given partitions, works at them while its lease holds, lets them go, leaves. What it keeps from one
 * generation to the next is worked at without a break: joining again, which waits for others, goes on beside it, and so do heartbeats.
 */
import { isPipelineError } from '../../core/errors.ts'
import { delay } from '../../ops/clock.ts'
import { Bell } from '../bell.ts'
import { assign } from './assigning.ts'
import type { Joined } from './client.ts'
import { answerOf, candidatesOf, GroupLink } from './group.ts'
import type { Assigned, GroupOptions, Introduction, Standing } from './group.ts'
import { Lease } from './lease.ts'
import { Held } from './tenure.ts'
import type { Tenure } from './tenure.ts'

const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 1_000
/** A member that is going doesn't wait longer for the broker to take notice. */
const LEAVE_MS = 2_000
const LAST_COMMIT_MS = 1_000
/** Heartbeats after which the coordinator is taken to be gone. */
const UNANSWERED_MOST = 3
/** Between two commits of offsets for lag tools. */
const COMMIT_MS = 5_000

export interface MembershipOptions extends GroupOptions {
  /** Of `topic`. */
  readonly partitions: number
  /** What the broker knows this process by, where a membership before this one could not leave; '' or left out: nothing. */
  readonly memberId?: string
  /** Works at a partition until the tenure's signal aborts; it is let go when this resolves. Rejecting ends the membership. */
  readonly work: (tenure: Tenure) => Promise<void>
}

export class Membership {
  readonly #options: MembershipOptions
  readonly #link: GroupLink
  /** Told to end, or failed: nothing more is begun. */
  readonly #stop = new AbortController()
  /** Nothing is held any more. */
  readonly #left = new AbortController()
  readonly #wish = new Bell()
  readonly #held = new Map<number, Held>()
  /** By partition, the work that has not ended, of lost tenures too: one at a time. */
  readonly #working = new Map<number, Promise<void>>()
  readonly #next = new Map<number, number>()
  /** Taken away by the lease, and not given again. */
  readonly #lost = new Set<number>()
  #memberId = ''
  #identifying: Promise<string> | null = null
  /** As of the last join; `synced`: the plan is known, too. Replaced as a whole, so that an old one is known as such. */
  #standing: (Standing & { readonly synced: boolean }) | null = null
  #lease: Lease | null = null
  /** When the last request was sent that was answered as to a member. */
  #heard = Number.NEGATIVE_INFINITY
  #given: ReadonlySet<number> = new Set()
  #holders: ReadonlyMap<number, string> = new Map()
  #turn = 0
  #wantsToJoin = true
  #joining = false
  #nudge = new AbortController()
  #committing = false
  #commitDue = Number.NEGATIVE_INFINITY
  #isOutOfTouch = false
  #failure: { readonly error: unknown } | null = null

  constructor(options: MembershipOptions) {
    this.#options = options
    this.#memberId = options.memberId ?? ''
    this.#link = new GroupLink(options)
  }

  /** Until `signal` aborts; resolves when all is let go and the group is left. Rejects with what `work` rejects with, or with a stop of the brokers'. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = () => this.#stop.abort()
    const stopped = new Promise<void>((resolve) => {
      this.#stop.signal.addEventListener('abort', () => {
        for (const held of this.#held.values()) held.revoke()
        resolve()
      })
    })
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    const loops = Promise.all([this.#guard(() => this.#joinWhenWished()), this.#guard(() => this.#beat())])
    await stopped
    while (this.#working.size > 0) await Promise.allSettled(this.#working.values())
    this.#left.abort()
    this.#nudge.abort()
    await this.#leave()
    this.#link.close()
    await loops
    this.#lease?.end()
    signal.removeEventListener('abort', stop)
    if (this.#failure) throw this.#failure.error
  }

  /**
   * After the end: what the broker may still know this member by, as it could not be told that it has left; '' when it was. The others wait for
   * it to join until its session has run out, which begins anew when another broker comes to coordinate: whoever joins should do so as this one.
   */
  get memberId(): string {
    return this.#memberId
  }

  /** The process that works at `partition`, as far as this member knows. */
  holder(partition: number): string | null {
    const { name } = this.#options.kafka
    if (this.#held.has(partition)) return this.#lease?.holds ? name : null
    const known = this.#holders.get(partition)
    return known === undefined || known === name ? null : known
  }

  /** A lease that is over ends here and now, and with it whatever is held. `lost`: and not got again. */
  standingAt(partition: number): 'held' | 'lost' | 'none' {
    if (this.#lease?.holds && this.#held.has(partition)) return 'held'
    return this.#lost.has(partition) ? 'lost' : 'none'
  }

  async #guard(loop: () => Promise<void>): Promise<void> {
    try {
      await loop()
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#stop.abort()
  }

  #wishToJoin(): void {
    this.#wantsToJoin = true
    this.#wish.ring()
  }

  async #joinWhenWished(): Promise<void> {
    const { clock } = this.#options.kafka
    let pause = 0
    while (!this.#left.signal.aborted) {
      const ticket = this.#wish.ticket()
      if (!this.#wantsToJoin) {
        await this.#wish.wait(ticket, this.#left.signal)
        continue
      }
      this.#wantsToJoin = false
      try {
        await this.#join()
        pause = 0
      } catch (error) {
        if (this.#left.signal.aborted) return
        this.#wantsToJoin = true
        this.#meet(error, this.#standing)
        pause = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, pause * 2))
        await delay(clock, pause, this.#left.signal)
      }
    }
  }

  async #join(): Promise<void> {
    const { clock } = this.#options.kafka
    this.#joining = true
    try {
      if (this.#memberId === '') {
        this.#identifying = this.#link.newMember(this.#introduce())
        this.#memberId = await this.#identifying
      }
      const sent = clock.monotonic()
      const joined = await this.#link.join(this.#memberId, this.#introduce())
      this.#memberId = joined.memberId
      const standing = { memberId: joined.memberId, generation: joined.generationId }
      this.#standing = { ...standing, synced: false }
      this.#hear(sent, { rebalancing: false })
      const plan = joined.leaderId === joined.memberId ? this.#plan(joined) : null
      const asked = clock.monotonic()
      const assigned = await this.#link.sync(standing, plan)
      this.#standing = { ...standing, synced: true }
      this.#hear(asked, { rebalancing: false })
      this.#take(assigned)
    } finally {
      this.#joining = false
      this.#identifying = null
    }
  }

  #introduce(): Introduction {
    const claims = this.#lease?.holds ? [...this.#held].map(([partition, held]) => [partition, held.generation] as const) : []
    return { name: this.#options.kafka.name, claims: new Map(claims), leaving: this.#stop.signal.aborted, turn: ++this.#turn }
  }

  #plan(joined: Joined): Map<string, Assigned> {
    const { given, holders } = assign(this.#options.partitions, candidatesOf(joined))
    return new Map([...given].map(([id, partitions]) => [id, { partitions, holders }]))
  }

  #take({ partitions, holders }: Assigned): void {
    const { kafka, group } = this.#options
    this.#holders = holders
    this.#given = new Set(partitions)
    if (!this.#lease?.holds) this.#lease = this.#newLease()
    for (const [partition, held] of this.#held) if (!this.#given.has(partition)) held.revoke()
    for (const partition of partitions) if (!this.#held.has(partition)) this.#begin(partition)
    kafka.logger.debug({ group, generation: this.#standing?.generation, partitions }, 'the group has given this process its partitions')
  }

  #newLease(): Lease {
    const { kafka, timing, group } = this.#options
    const lease = new Lease(this.#heard, { clock: kafka.clock, timing, what: `the group ${group}` })
    lease.signal.addEventListener('abort', () => this.#lose(), { once: true })
    return lease
  }

  /** Everything held is dropped, and the group joined anew without claims. */
  #lose(): void {
    const { kafka, group } = this.#options
    const lost = [...this.#held.keys()]
    this.#lease = null
    this.#given = new Set()
    this.#holders = new Map()
    for (const [partition, held] of this.#held) {
      this.#lost.add(partition)
      held.revoke()
    }
    this.#held.clear()
    this.#next.clear()
    if (this.#left.signal.aborted) return
    this.#wishToJoin()
    if (lost.length === 0) return
    kafka.metrics.counter('picket_log_leases_lost_total', 'Times this process lost touch with a group and dropped what it held.', ['group']).add(1, { group })
    kafka.logger.warn({ group, lost }, `lost touch with the group ${group}: what it gave is dropped and the group joined anew`)
  }

  #begin(partition: number): void {
    const lease = this.#lease
    const standing = this.#standing
    if (this.#stop.signal.aborted || !lease || !standing) return
    const held = new Held({ partition, generation: standing.generation, lease, at: (next) => this.#next.set(partition, next), wait: () => this.#hurry() })
    this.#held.set(partition, held)
    this.#lost.delete(partition)
    const working = this.#workAt(held, this.#working.get(partition)).then(() => {
      if (this.#working.get(partition) === working) this.#working.delete(partition)
      this.#onLetGo(held)
    })
    this.#working.set(partition, working)
  }

  async #workAt(held: Held, before: Promise<void> | undefined): Promise<void> {
    await before
    try {
      if (!held.signal.aborted) await this.#options.work(held)
    } catch (error) {
      this.#fail(error)
    }
    held.letGo()
  }

  #onLetGo(held: Held): void {
    const { partition } = held
    if (this.#held.get(partition) !== held) return // lost before
    this.#held.delete(partition)
    if (this.#stop.signal.aborted) return // where it stood is told when the group is left
    this.#next.delete(partition)
    // Taken and given back meanwhile.
    if (this.#given.has(partition)) this.#begin(partition)
    else this.#wishToJoin()
  }

  async #beat(): Promise<void> {
    const { kafka, timing } = this.#options
    let pause = timing.heartbeatMs
    let unanswered = 0
    while (!this.#left.signal.aborted) {
      await delay(kafka.clock, pause, this.#nudge.signal)
      if (this.#left.signal.aborted) return
      this.#nudge = new AbortController()
      pause = timing.heartbeatMs
      const standing = this.#standing
      if (!standing) continue
      const sent = kafka.clock.monotonic()
      try {
        await this.#link.heartbeat(standing)
        unanswered = 0
        this.#hear(sent, { rebalancing: !standing.synced })
        this.#commitInTime(standing)
      } catch (error) {
        const answer = answerOf(error)
        if (answer === 'rebalancing') this.#hear(sent, { rebalancing: true })
        unanswered = answer === 'no coordinator' ? unanswered + 1 : 0
        if (unanswered > 0) pause = timing.heartbeatMs / 4
        // A join there would wait for its answer for long; the new coordinator waits for us.
        if (unanswered === UNANSWERED_MOST && this.#joining) this.#link.giveUpJoining()
        // While it joins, the answer to that will say the same, and about the newer standing.
        if (!this.#joining || answer === 'other') this.#meet(error, standing)
      }
    }
  }

  /** Somebody waits for an answer to a heartbeat that is yet to be sent. */
  #hurry(): void {
    this.#nudge.abort()
  }

  #hear(sent: number, how: { readonly rebalancing: boolean }): void {
    const { kafka, group } = this.#options
    this.#heard = Math.max(this.#heard, sent)
    this.#lease?.renew(sent, how)
    if (!this.#isOutOfTouch) return
    this.#isOutOfTouch = false
    kafka.logger.info({ group }, `in touch with the group ${group} again`)
  }

  /** What the answer to a heartbeat or join under `standing` leads to. */
  #meet(error: unknown, standing: Standing | null): void {
    if (!isPipelineError(error) || !error.retriable) return this.#fail(error)
    if (standing !== this.#standing) return
    const { kafka, group } = this.#options
    const answer = answerOf(error)
    if (answer === 'rebalancing') return this.#wishToJoin()
    if (answer === 'unknown member' || answer === 'old generation') {
      if (answer === 'unknown member') this.#memberId = ''
      this.#standing = null
      this.#lease?.end()
      return this.#wishToJoin()
    }
    kafka.logger.debug({ group, answer }, error.message)
    if (this.#isOutOfTouch) return
    this.#isOutOfTouch = true
    kafka.logger.warn({ group }, `${error.message}; trying again`)
  }

  #commitInTime(standing: Standing): void {
    const { clock } = this.#options.kafka
    if (this.#committing || this.#joining || clock.monotonic() < this.#commitDue) return
    this.#commitDue = clock.monotonic() + COMMIT_MS
    void this.#commit(standing)
  }

  /** Never rejects: nobody but tools that show lag reads it. */
  async #commit(standing: Standing): Promise<void> {
    if (this.#next.size === 0) return
    const { kafka, group } = this.#options
    this.#committing = true
    try {
      await this.#link.commit(standing, new Map(this.#next))
    } catch (error) {
      kafka.metrics.counter('picket_log_offset_commits_failed_total', 'Offsets for lag tools that were not committed.', ['group']).add(1, { group })
      kafka.logger.debug({ group, error: String(error) }, 'offsets for lag tools were not committed')
    } finally {
      this.#committing = false
    }
  }

  async #leave(): Promise<void> {
    const { kafka, group } = this.#options
    const late = new AbortController()
    const goodbye = async () => {
      await this.#identifying
      if (this.#standing && !this.#joining) await Promise.race([this.#commit(this.#standing), delay(kafka.clock, LAST_COMMIT_MS, late.signal)])
      if (this.#memberId !== '') await this.#link.leave(this.#memberId)
      this.#memberId = ''
    }
    try {
      await Promise.race([goodbye(), delay(kafka.clock, LEAVE_MS, late.signal)])
    } catch (error) {
      kafka.logger.debug({ group, error: String(error) }, 'the group was not left: the session has to run out')
    } finally {
      late.abort()
    }
  }
}
