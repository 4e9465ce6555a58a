/** Log lines a flood of bad messages can't turn into a flood of lines: at most one a second a reason. */
import type { Clock } from '../ops/clock.ts'
import type { LogFields, Logger } from '../ops/logger.ts'

const QUIET_MS = 1000

interface Said {
  at: number
  leftOut: number
}

/** `reason`s come from closed lists, which bounds what is remembered. */
export class QuietLog {
  private readonly logger: Logger
  private readonly clock: Clock
  private readonly said = new Map<string, Said>()

  constructor(logger: Logger, clock: Clock) {
    this.logger = logger
    this.clock = clock
  }

  /** `leftOut` in the line: how many lines of this reason were left out since the last. */
  warn(reason: string, fields: LogFields, message: string): void {
    const now = this.clock.monotonic()
    const last = this.said.get(reason)
    if (last && now - last.at < QUIET_MS) {
      last.leftOut++
      return
    }
    this.logger.warn({ ...fields, reason, leftOut: last?.leftOut ?? 0 }, message)
    this.said.set(reason, { at: now, leftOut: 0 })
  }
}
