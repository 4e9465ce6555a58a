/** Port: where messages come from. `broker.ts` (inside Picket) and `mqtt.ts` (a broker of the user's) stand behind it. */
import type { Message } from '../core/message.ts'
import type { Owned } from '../log/log.ts'

export interface SourceStatus {
  readonly name: string
  /** ms since epoch; null while it can't receive. */
  readonly connectedSince: number | null
  /** Messages published before it connected are still coming in. */
  readonly backlog: boolean
}

/** What a source must know of the term it runs in, where one process of several leads it: `Owned` of the log has it. */
export type Lead = Pick<Owned, 'signal' | 'confirmed'>

export interface Source {
  readonly name: string
  /** One process at a time runs it: whoever leads `source-<name>`. Left out: false, each process runs it for itself. */
  readonly isLed?: boolean
  /**
   * Begins to receive; each message is acknowledged to its publisher after `deliver` resolves, and not at all when it rejects.
   * A source that is led gets its term with it, and is started anew, after a `stop`, in each.
   */
  start(deliver: (message: Message) => Promise<void>, lead?: Lead): Promise<void>
  /** Receives no more; what was delivered may still resolve. */
  stop(): Promise<void>
  status(): SourceStatus
  /** Why it receives nothing though it runs, one line; null or left out: it does. */
  trouble?(): string | null
}
