/** What can go wrong in the memory log, and how long things take: the simulation draws it per seed, unit tests leave it out. */
import type { Topic } from '../log.ts'

export interface Operation {
  readonly kind: 'append' | 'flush' | 'commit' | 'fence' | 'read'
  /** Name of the process's handle; for a flush, of the one whose records come first. */
  readonly process: string
  /** For a commit or fence where its state lies; none for a flush. */
  readonly topic?: Topic
  readonly partition?: number
}

/**
 * IO and DISK_FULL: an append, commit, fence or read throws it and nothing was written; a flush loses all that is not yet stored.
 * HALF: a flush stores some whole groups from the front and loses the rest with IO; elsewhere it is IO.
 * The two doubts are for commits: IN_DOUBT is thrown, and it was stored, or never will be; elsewhere they are IO.
 */
export type Failure = 'IO' | 'DISK_FULL' | 'HALF' | 'DOUBT_STORED' | 'DOUBT_LOST'

export interface Faults {
  /** ms from the call until it takes effect; 0 where left out: in the same turn. */
  latency?(operation: Operation): number
  fail?(operation: Operation): Failure | undefined
  /** How many of `groups` unflushed appends and commits, from the front, a crash or a half flush leaves: up to all; 0 where left out. */
  survivors?(groups: number, process: string): number
}
