/** The verbs' way to a running Picket: HTTP, its refusals as messages that say what to do next. */
import { errorText } from '../core/errors.ts'
import { Failure } from './io.ts'
import type { CliIo } from './io.ts'

/** A running Picket answers within this, or not at all. */
const TIMEOUT_MS = 30_000
/** Rows asked for at a time: the API's most. */
const PAGE_ROWS = 1000

export interface ApiClient {
  /** Throws Failure. */
  get<T>(path: string): Promise<T>
  post<T>(path: string, body: Readonly<Record<string, unknown>>): Promise<T>
  delete<T>(path: string): Promise<T>
  /** All rows of a list, page by page. `path` with its own query, `key` names the list in the answer. */
  list<T extends { readonly id: string }>(path: string, query: Readonly<Record<string, string>>, key: string): AsyncGenerator<T>
}

/** `url` without a slash at its end. */
export function apiClient(io: Pick<CliIo, 'fetch'>, url: string): ApiClient {
  const ask = async <T>(path: string, init: RequestInit): Promise<T> => {
    const answer = await io.fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) }).catch((error: unknown) => {
      throw new Failure(noAnswer(url, error), { cause: error })
    })
    const body = await answer.json().catch(() => null) as unknown
    if (answer.ok && body !== null) return body as T
    throw new Failure(refusalOf(body) ?? `${url}${path} answered ${answer.status}, not as Picket does; does --url name the right address?`)
  }
  const get = <T>(path: string) => ask<T>(path, {})
  return {
    get,
    post: (path, body) => ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    delete: (path) => ask(path, { method: 'DELETE' }),
    list: (path, query, key) => pages(get, path, query, key),
  }
}

async function* pages<T extends { readonly id: string }>(
  get: ApiClient['get'],
  path: string,
  query: Readonly<Record<string, string>>,
  key: string,
): AsyncGenerator<T> {
  let after: string | null = null
  for (;;) {
    const search: URLSearchParams = new URLSearchParams({ ...query, limit: String(PAGE_ROWS), ...(after === null ? {} : { after }) })
    const answer: Readonly<Record<string, unknown>> = await get(`${path}?${search}`)
    const rows = answer[key]
    if (!Array.isArray(rows)) throw new Failure(`the answer to ${path} has no list of ${key}; is another version of Picket running?`)
    yield* rows as T[]
    const last = rows[PAGE_ROWS - 1] as T | undefined
    if (!last || last.id === after) return
    after = last.id
  }
}

function noAnswer(url: string, error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ECONNREFUSED') return `no Picket answers at ${url}; start it with npm start, or give --url`
  if (cause instanceof Error && cause.name === 'TimeoutError') return `no answer from ${url} within ${TIMEOUT_MS / 1000} s; see its log, or ${url}/readyz`
  return `${url} can't be reached: ${errorText(cause)}; give --url`
}

function refusalOf(body: unknown): string | null {
  const error = body !== null && typeof body === 'object' && 'error' in body ? body.error : null
  return error !== null && typeof error === 'object' && 'message' in error ? String(error.message) : null
}
