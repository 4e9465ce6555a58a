/** The verbs' way to a running Picket: HTTP, its refusals as messages that say what to do next. */
import { errorText, PipelineError } from '../core/errors.ts'
import { Failure } from './io.ts'
import type { CliIo } from './io.ts'

/** A running Picket answers within this, or not at all. */
const TIMEOUT_MS = 30_000
/** Rows asked for at a time: the API's most. */
const PAGE_ROWS = 1000
/** The answer of a process that does not have what is asked. */
const MISDIRECTED = 421
/** The answer to a reload of a file that is refused. */
const BAD_CONFIG = 422
/** Times a request is sent on: owners may change meanwhile. */
const HOPS = 3

export interface ApiClient {
  /** Throws Failure; BAD_CONFIG where the running Picket refuses its file. */
  get<T>(path: string): Promise<T>
  post<T>(path: string, body: Readonly<Record<string, unknown>>): Promise<T>
  delete<T>(path: string): Promise<T>
  /** All rows of a list, page by page. `path` with its own query, `key` names the list in the answer; `each` sees every answer whole. */
  list<T extends { readonly id: string }>(
    path: string,
    query: Readonly<Record<string, string>>,
    key: string,
    each?: (answer: Readonly<Record<string, unknown>>) => void,
  ): AsyncGenerator<T>
}

/** `url` without a slash at its end. `token`: what requests bear; null: nothing. What another process has is asked of that one, where the answer names it. */
export function apiClient(io: Pick<CliIo, 'fetch'>, url: string, token: string | null = null): ApiClient {
  const askAt = async <T>(at: string, path: string, init: RequestInit, hops: number): Promise<T> => {
    const headers = { ...(init.headers as Record<string, string> | undefined), ...(token === null ? {} : { authorization: `Bearer ${token}` }) }
    const answer = await io.fetch(`${at}${path}`, { ...init, headers, signal: AbortSignal.timeout(TIMEOUT_MS) }).catch((error: unknown) => {
      throw new Failure(at === url ? noAnswer(url, error) : `${at}, which ${url} names for this, can't be reached from here (${codeOf(error)}); give --url`, { cause: error })
    })
    const body = await answer.json().catch(() => null) as unknown
    if (answer.ok && body !== null) return body as T
    const owner = answer.status === MISDIRECTED && hops > 0 ? ownerOf(body) : null
    if (owner !== null && owner !== at) return askAt(owner, path, init, hops - 1)
    if (answer.status === BAD_CONFIG) throw new PipelineError('BAD_CONFIG', refusalOf(body) ?? 'the configuration is refused')
    throw new Failure(refusalOf(body) ?? `${at}${path} answered ${answer.status}, not as Picket does; does --url name the right address?`)
  }
  const ask = <T>(path: string, init: RequestInit): Promise<T> => askAt(url, path, init, HOPS)
  const get = <T>(path: string) => ask<T>(path, {})
  return {
    get,
    post: (path, body) => ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    delete: (path) => ask(path, { method: 'DELETE' }),
    list: (path, query, key, each) => pages(get, path, query, key, each),
  }
}

async function* pages<T extends { readonly id: string }>(
  get: ApiClient['get'],
  path: string,
  query: Readonly<Record<string, string>>,
  key: string,
  each: (answer: Readonly<Record<string, unknown>>) => void = () => undefined,
): AsyncGenerator<T> {
  let after: string | null = null
  for (;;) {
    const search: URLSearchParams = new URLSearchParams({ ...query, limit: String(PAGE_ROWS), ...(after === null ? {} : { after }) })
    const answer: Readonly<Record<string, unknown>> = await get(`${path}?${search}`)
    const rows = answer[key]
    each(answer)
    if (!Array.isArray(rows)) throw new Failure(`the answer to ${path} has no list of ${key}; is another version of Picket running?`)
    yield* rows as T[]
    const last = rows[PAGE_ROWS - 1] as T | undefined
    if (!last || last.id === after) return
    after = last.id
  }
}

function ownerOf(body: unknown): string | null {
  const error = body !== null && typeof body === 'object' && 'error' in body ? body.error : null
  const owner = error !== null && typeof error === 'object' && 'owner' in error ? error.owner : null
  return typeof owner === 'string' && URL.canParse(owner) ? owner : null
}

function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? error.cause : error
}

function codeOf(error: unknown): string {
  const cause = causeOf(error)
  return cause instanceof Error && 'code' in cause ? String(cause.code) : errorText(cause)
}

function noAnswer(url: string, error: unknown): string {
  const cause = causeOf(error)
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ECONNREFUSED') return `no Picket answers at ${url}; start it with npm start, or give --url`
  if (cause instanceof Error && cause.name === 'TimeoutError') return `no answer from ${url} within ${TIMEOUT_MS / 1000} s; see its log, or ${url}/readyz`
  return `${url} can't be reached: ${errorText(cause)}; give --url`
}

function refusalOf(body: unknown): string | null {
  const error = body !== null && typeof body === 'object' && 'error' in body ? body.error : null
  return error !== null && typeof error === 'object' && 'message' in error ? String(error.message) : null
}
