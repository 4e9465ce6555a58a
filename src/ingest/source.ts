/** Port: where messages come from. `broker.ts` and, later, the mqtt.js client stand behind it. */
import type { Message } from '../core/message.ts'

export interface SourceStatus {
  readonly name: string
  /** ms since epoch; null while it can't receive. */
  readonly connectedSince: number | null
  /** Messages published before it connected are still coming in. */
  readonly backlog: boolean
}

export interface Source {
  readonly name: string
  /** Begins to receive; each message is acknowledged to its publisher after `deliver` resolves, and not at all when it rejects. */
  start(deliver: (message: Message) => Promise<void>): Promise<void>
  /** Receives no more; what was delivered may still resolve. */
  stop(): Promise<void>
  status(): SourceStatus
}
