/** Port: the log. Roles meet only here; `memory.ts` and `journal/` stand behind it, and `test/contract/log.ts` says what they owe. */

/** The topics, each with its number of partitions: `all` as `readings`, or one. */
export const TOPICS = {
  readings: 'all',
  'dead-letters': 'all',
  state: 'all',
  incidents: 'all',
  requests: 'all',
  leases: 'one',
  actions: 'one',
} as const
export type Topic = keyof typeof TOPICS

/** Topics that keep only the newest record of each key; a null value deletes the key. */
export const COMPACTED: ReadonlySet<Topic> = new Set(['state', 'leases'])

/** A record to be written. `key` may be ''. */
export interface LogRecord {
  readonly key: string
  /** null only in compacted topics: the key is deleted. */
  readonly value: Uint8Array | null
}

/** Most records of one append. */
export const APPEND_MOST = 1024

/** A record to be written somewhere, inside a commit. */
export interface Write extends LogRecord {
  readonly topic: Topic
  readonly partition: number
}

/** A record as it stands in the log. */
export interface StoredRecord extends LogRecord {
  readonly offset: number
  /** Append time, ms since epoch; never goes back within a partition. */
  readonly time: number
}

/** Whole consecutive records of one partition, at least one. */
export interface Slice {
  readonly partition: number
  readonly records: readonly StoredRecord[]
  /** Offset to go on from: one past the last record. */
  readonly next: number
  /** Records between where the reader stood and the first of these that retention has taken; 0 as a rule. */
  readonly lost: number
}

export interface Appended {
  /** Offset of the first record. */
  readonly offset: number
  /**
   * Resolves when these records, and everything this process appended or committed before them in any topic, survive a power cut.
   * Rejects with IO or DISK_FULL when they were not stored. It never rejects unhandled: nobody has to listen.
   */
  readonly flushed: Promise<void>
}

/** Next offsets to read, by `topic/partition`. */
export type Offsets = ReadonlyMap<string, number>

export function offsetKey(topic: Topic, partition: number): string {
  return `${topic}/${partition}`
}

/** Offsets [low, high): the oldest kept and the next to be written. Equal when empty. */
export interface Bounds {
  readonly low: number
  readonly high: number
}

/** The place a task's or leader's state stands at. */
export interface Cut {
  readonly next: Offsets
  /** Of the readings the state was made from; '' where none is known. */
  readonly incarnation: string
}

/** What a takeover found. */
export interface Restored extends Cut {
  /** This owner's epoch: the last owner's plus one, from 1; already committed. */
  readonly epoch: number
  /** The header's place lies past the end of its topic: the topic is not the one the state was made from. */
  readonly recreated: boolean
}

/**
 * What a takeover gives: the only pen for this partition's (or leader's) state.
 * It is made *after* the old owner was fenced, so what `restore` reads can't change under it.
 */
export interface Owned {
  /** Aborts when this owner should stop: fenced, reassigned, or the log closed. It may come late; `commit` is the truth. */
  readonly signal: AbortSignal
  /**
   * Reads the state to its end, giving each live key once, then commits the header under the next epoch. Called once, before anything else.
   * Throws PARTITIONS_CHANGED (a stop) when the log was made with other partitions or another key, FENCED.
   */
  restore(each: (key: string, value: Uint8Array) => void): Promise<Restored>
  /**
   * All or nothing, in any topics but `readings` (appended to alone), with the header at `cut` in the same step; durable, with everything appended before it, when it resolves.
   * Throws FENCED (nothing was written, nor ever will be), IN_DOUBT (fence again, read the header), DISK_FULL or IO (nothing was written).
   * `writes` may be drawn lazily, between awaits. State keys may not start with `header`.
   */
  commit(writes: Iterable<Write>, cut: Cut): Promise<void>
  /**
   * Resolves when this owner is known to have been it still at some moment after the call: a heartbeat *sent* after it was answered.
   * Throws FENCED when it is owner no longer. For what may be done by one process only and no commit guards, such as opening again
   * a connection whose opening ends another process's.
   */
  confirmed(): Promise<void>
}

export interface Partition extends Owned {
  readonly number: number
}

/** Works through one partition. */
export interface Task {
  /** Slices come in order, one at a time. May read what is not yet flushed; whatever leaves the process waits for the flush. */
  process(slice: Slice): Promise<void>
  /** No slice under way, none will follow. After a clean end it commits; after FENCED it only lets go. */
  close(): Promise<void>
}

export interface Opened {
  readonly task: Task
  /** Where slices shall start. */
  readonly from: number
}

export interface Log {
  /** Number of partitions of the topics marked `all`. */
  readonly partitions: number

  /**
   * Appends 1 to `APPEND_MOST` records in order; resolves when readers can see the records, before they are durable.
   * Two appends to one partition keep the order of the calls. Throws IO, DISK_FULL, CLOSED, or LOCKED (a stop): nothing was appended.
   * A log of several processes may throw FENCED for `incidents` of a partition this process has lost, and UNAVAILABLE or IN_DOUBT.
   */
  append(topic: Topic, partition: number, records: readonly LogRecord[]): Promise<Appended>

  /**
   * Owns partitions of `readings` until `signal` aborts, then closes the tasks and resolves. For each partition it gets:
   * fence the old owner → `open` (which restores) → slices. When `open` or the task throws something retriable, the task is dropped
   * (`close` not called) and the partition taken over anew after a pause that grows to 5 s; anything else rejects.
   * A place to start at that lies past the end is RECREATED, as if the task had thrown it.
   */
  consume(open: (owned: Partition) => Promise<Opened>, signal: AbortSignal): Promise<void>

  /**
   * Waits to lead `name`, then runs `run` with the state in `leases`; when `run` ends or throws something retriable, joins anew after a
   * pause. At most one leads at a time, but for a moment after a takeover: `commit` tells. Resolves after `signal` aborts and `run` ended.
   */
  lead(name: string, run: (owned: Owned) => Promise<void>, signal: AbortSignal): Promise<void>

  /**
   * Feeds `each` with slices of every partition of `topic`, one at a time, from `from` (missing: the oldest kept), until `signal`
   * aborts. Sees what is appended and not yet flushed. What `each` throws rejects this; RECREATED when a position lies past the end.
   */
  tail(topic: Topic, from: ReadonlyMap<number, number>, each: (slice: Slice) => Promise<void>, signal: AbortSignal): Promise<void>

  /** One slice from `from` on, of at most `limit` records; null at the end. */
  read(topic: Topic, partition: number, from: number, limit: number): Promise<Slice | null>

  bounds(topic: Topic, partition: number): Promise<Bounds>

  /** Resolves when everything appended so far by this process is durable; rejects as `Appended.flushed` does. */
  flushed(): Promise<void>

  /** Why it takes nothing now, in words for people; empty as a rule. */
  reasons(): readonly string[]

  /** Name of the process that holds a place, `readings/3` or a leader's name such as `respond`, as far as this process knows; null: nobody known. */
  holder(place: string): string | null

  /** Ends consuming and leading first. Nothing appended is left unflushed. */
  close(): Promise<void>
}
