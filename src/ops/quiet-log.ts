/** Log lines that a flood of troubles can't turn into a flood of lines: each trouble is told at once, then at most once a period, and its end. */
import type { Clock } from './clock.ts'
import type { LogFields, Logger } from './logger.ts'

export interface QuietLogOptions {
  readonly logger: Pick<Logger, 'info' | 'warn'>
  readonly clock: Pick<Clock, 'monotonic'>
  /** So long a trouble is not told again, ms. Default 1 s. */
  readonly quietMs?: number
}

const QUIET_MS = 1000

interface Told {
  at: number
  leftOut: number
  isOver: boolean
}

/** `trouble`s come from closed lists, which bounds what is remembered. In each line `leftOut`: warnings of it since the last that were left out. */
export class QuietLog {
  private readonly options: QuietLogOptions
  private readonly told = new Map<string, Told>()

  constructor(options: QuietLogOptions) {
    this.options = options
  }

  warn(trouble: string, fields: LogFields, message: string): void {
    const { logger, clock, quietMs = QUIET_MS } = this.options
    const now = clock.monotonic()
    const last = this.told.get(trouble)
    if (last && now - last.at < quietMs) {
      last.leftOut++
      return
    }
    logger.warn({ ...fields, leftOut: last?.leftOut ?? 0 }, message)
    this.told.set(trouble, { at: now, leftOut: 0, isOver: false })
  }

  /** Nothing where no warning was told since it was over the last time. */
  over(trouble: string, fields: LogFields, message: string): void {
    const last = this.told.get(trouble)
    if (!last || last.isOver) return
    last.isOver = true
    this.options.logger.info({ ...fields, leftOut: last.leftOut }, message)
  }
}
