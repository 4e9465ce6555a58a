/** A notifier by HTTP: each revision POSTed as {id, incident, …}, or those of a device together; each notice as {id, notice}; signed when a secret is set. */
import { createHmac } from 'node:crypto'
import { errorText } from '../core/errors.ts'
import type { Clock } from '../ops/clock.ts'
import type { Notifier, Outcome } from './notifier.ts'

export interface WebhookOptions {
  readonly name: string
  readonly url: string
  /** Key of the HMAC in `X-Picket-Signature`; null: unsigned. */
  readonly secret: string | null
  /** As `Notifier.gatherMs`. */
  readonly gatherMs?: number
  readonly fetch: typeof globalThis.fetch
  readonly clock: Clock
}

/** From the call to the answer's headers. */
const TIMEOUT_MS = 10_000
/** 4xx answers that may be others later: too slow, too many. */
const PASSING: ReadonlySet<number> = new Set([408, 429])

/** 2xx is done; 408, 429, 5xx and what the network does, again later; anything else, redirects too, failed: they are never followed. */
export function createWebhook(options: WebhookOptions): Notifier {
  return {
    name: options.name,
    gatherMs: options.gatherMs ?? 0,
    notify: (notification) => post(options, JSON.stringify(notification)),
    say: (id, notice) => post(options, JSON.stringify({ id, notice })),
  }
}

async function post({ url, secret, fetch, clock }: WebhookOptions, body: string): Promise<Outcome> {
  const timeout = new AbortController()
  const cancel = clock.after(TIMEOUT_MS, () => timeout.abort(new Error(`no answer within ${TIMEOUT_MS} ms`)))
  try {
    const headers = { 'content-type': 'application/json', 'user-agent': 'picket', ...signature(secret, body) }
    const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal: timeout.signal })
    await response.body?.cancel()
    return outcomeOf(response.status)
  } catch (error) {
    // The URL may hold a secret, and what is told stands in the ledger and the log.
    return { status: 'retry', detail: reasonOf(error).replaceAll(url, '(the URL)') }
  } finally {
    cancel()
  }
}

function signature(secret: string | null, body: string): Record<string, string> {
  return secret === null ? {} : { 'x-picket-signature': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}` }
}

function outcomeOf(status: number): Outcome {
  const detail = `HTTP ${status}`
  if (status >= 200 && status < 300) return { status: 'done', detail }
  return { status: status >= 500 || PASSING.has(status) ? 'retry' : 'failed', detail }
}

/** `fetch` says "fetch failed"; what failed is its cause. */
function reasonOf(error: unknown): string {
  return error instanceof Error && error.cause !== undefined ? `${error.message}: ${errorText(error.cause)}` : errorText(error)
}
