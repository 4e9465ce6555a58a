/** Whether another process knows a device, asked over its API. */
import type { AskOwner } from './elsewhere.ts'

/** Who asks has a person waiting, ms. */
const TIMEOUT_MS = 2_000

/** `token`: what its requests bear, as ours; null: nothing. */
export function askOverHttp(fetch_: typeof fetch, token: string | null): AskOwner {
  return async (owner, device) => {
    const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` }
    try {
      const answer = await fetch_(`http://${owner}/api/v1/devices/${encodeURIComponent(device)}`, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) })
      await answer.body?.cancel()
      return answer.ok ? true : answer.status === 404 ? false : null
    } catch {
      return null // it can't be asked, which the answer to the person says
    }
  }
}
