/** Port: how people hear of an incident, and of what respond itself does. `webhook.ts` stands behind it. */
import type { Cause, Incident, Severity } from '../core/incident.ts'

/** What is open about the incident's device: people's one thread about it. */
export interface Group {
  /** The same for all of a device's incidents, always. */
  readonly id: string
  readonly device: string
  /** Open after this revision, the first opened first; at most 50. */
  readonly open: readonly { readonly id: string; readonly cause: Cause; readonly severity: Severity }[]
}

/** What people should know of the response: said once, with the first revision it is true of. */
export interface Response {
  readonly quarantine: 'held'
  /** Why. */
  readonly reason: string
}

export interface Notification {
  /** The receiver's key against repeats: the same in every retry. */
  readonly id: string
  /** The newest revision. */
  readonly incident: Incident
  /** All the revisions it tells of, the oldest first; left out unless the notifier gathers them. */
  readonly incidents?: readonly Incident[]
  readonly group?: Group
  readonly response?: Response
}

/** Something to be said that is about no incident. */
export interface Notice {
  readonly kind: 'enforcement'
  readonly state: 'on' | 'off'
  readonly reason: string
  /** Who asked; '' when the config says it. */
  readonly by: string
  /** ms since epoch. */
  readonly at: number
}

/** What an effect came to. `retry`: not now, perhaps later. */
export type Outcome =
  | { readonly status: 'done'; readonly detail: string }
  | { readonly status: 'failed'; readonly detail: string }
  | { readonly status: 'retry'; readonly detail: string }

export interface Notifier {
  readonly name: string
  /** Revisions of one device within so long go as one notification, ms; 0 or left out: each by itself. */
  readonly gatherMs?: number
  /** At least once; never rejects: an error is an outcome. Bounded in time by its own timeout. */
  notify(notification: Notification): Promise<Outcome>
  /** The same for a notice. `id` is the receiver's key against repeats. */
  say(id: string, notice: Notice): Promise<Outcome>
}
