/** What the log says of notifiers: that one fails, at most once a minute, and that it works again. */
import type { LogFields } from '../ops/logger.ts'

const QUIET_MS = 60_000

interface Said {
  /** When it was last said that it fails; by a clock that only goes on, ms. */
  at: number
  /** Failures since, that were not said. */
  leftOut: number
  /** It was said that it fails, and not that it works again. */
  isFailing: boolean
}

export interface NotifierLine {
  readonly level: 'info' | 'warn'
  readonly fields: LogFields
  readonly message: string
}

/** Bounded by the notifiers, and by what becomes of a notification. */
export class NotifierLines {
  private readonly said = new Map<string, Said>()

  /** `what`: what became of the notification; `reason`: why. Null: nothing is to be said now. */
  failed(notifier: string, what: 'retry' | 'failed' | 'dropped', reason: string, now: number): NotifierLine | null {
    const key = `${what}/${notifier}`
    const last = this.said.get(key)
    if (last && now - last.at < QUIET_MS) {
      last.leftOut++
      return null
    }
    this.said.set(key, { at: now, leftOut: 0, isFailing: true })
    return { level: 'warn', fields: { notifier, outcome: what, leftOut: last?.leftOut ?? 0 }, message: `${MESSAGES[what]}: ${reason}` }
  }

  worked(notifier: string): NotifierLine | null {
    const last = this.said.get(`retry/${notifier}`)
    if (!last?.isFailing) return null
    last.isFailing = false
    return { level: 'info', fields: { notifier, leftOut: last.leftOut }, message: 'a notifier works again' }
  }
}

const MESSAGES = {
  retry: 'a notifier fails, it is tried again',
  failed: 'a notification is given up',
  dropped: 'a notification is dropped',
} as const
