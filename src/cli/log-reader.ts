/** Port: a log opened read-only, as `log read` needs it. The journal's reader and the Kafka log stand behind it. */
import type { Log } from '../log/log.ts'

/** Sees what is flushed by a Picket that runs beside it; never writes. */
export interface LogReader extends Pick<Log, 'partitions' | 'bounds' | 'read'> {
  /** Places found damaged so far, where records may be missing; bounded. `torn` is the end of a write under way or cut short by a crash. */
  readonly damaged: readonly LogDamage[]
  close(): Promise<void>
}

export interface LogDamage {
  readonly what: string
  readonly file: string
  /** Bytes from its start. */
  readonly at: number
  readonly detail: string
}
