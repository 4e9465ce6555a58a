/** Port: how people hear of an incident. `webhook.ts` stands behind it. */
import type { Incident } from '../core/incident.ts'

export interface Notification {
  /** The receiver's key against repeats: the same in every retry. */
  readonly id: string
  readonly incident: Incident
}

/** What an effect came to. `retry`: not now, perhaps later. */
export type Outcome =
  | { readonly status: 'done'; readonly detail: string }
  | { readonly status: 'failed'; readonly detail: string }
  | { readonly status: 'retry'; readonly detail: string }

export interface Notifier {
  readonly name: string
  /** At least once; never rejects: an error is an outcome. Bounded in time by its own timeout. */
  notify(notification: Notification): Promise<Outcome>
}
