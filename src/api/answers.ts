/** What the API answers when it can't do as asked: every error becomes JSON {error: {code, message}} here. */
import { isPipelineError } from '../core/errors.ts'

export type ApiCode = 'bad_config' | 'bad_request' | 'conflict' | 'host_refused' | 'internal' | 'misdirected' | 'not_found' | 'too_large' | 'unauthorized' | 'unavailable' | 'unsupported_media_type'

/** Thrown by routes; `message` names what is wrong, where, and what was expected. */
export class ApiError extends Error {
  readonly status: number
  readonly code: ApiCode
  /** URL of the process to ask instead; null: none is known, or none is needed. */
  readonly owner: string | null

  constructor(status: number, code: ApiCode, message: string, owner: string | null = null) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.owner = owner
  }
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'bad_request', message)
}

export function unauthorized(message: string): ApiError {
  return new ApiError(401, 'unauthorized', message)
}

export function notFound(message: string): ApiError {
  return new ApiError(404, 'not_found', message)
}

export function conflict(message: string): ApiError {
  return new ApiError(409, 'conflict', message)
}

export function unavailable(message: string): ApiError {
  return new ApiError(503, 'unavailable', `${message}; try again`)
}

const ECHO_MOST = 100

/** A client's text for a message to people: cut where it is long. */
export function echoed(text: string): string {
  return text.length > ECHO_MOST ? `${text.slice(0, ECHO_MOST)}…` : text
}

export interface ErrorAnswer {
  readonly status: number
  readonly body: { readonly error: { readonly code: ApiCode; readonly message: string; readonly owner?: string } }
}

/** The answer to anything thrown on a request's way. `bodyLimit`: bytes. */
export function errorAnswer(error: unknown, bodyLimit: number): ErrorAnswer {
  const known = apiErrorOf(error, bodyLimit)
  const { status, code, message, owner } = known
  return { status, body: { error: { code, message, ...(owner === null ? {} : { owner }) } } }
}

function apiErrorOf(error: unknown, bodyLimit: number): ApiError {
  if (error instanceof ApiError) return error
  if (isPipelineError(error, 'REFUSED')) return badRequest(error.message)
  if (isPipelineError(error, 'BAD_CONFIG')) return new ApiError(422, 'bad_config', error.message)
  if (isPipelineError(error) && (error.retriable || error.code === 'CLOSED')) return unavailable(error.message)
  const { statusCode, message } = frameworkError(error)
  if (statusCode === 413) return new ApiError(413, 'too_large', `body: larger than ${bodyLimit} bytes`)
  if (statusCode === 415) return new ApiError(415, 'unsupported_media_type', 'content-type: expected application/json')
  if (statusCode === 503) return new ApiError(503, 'unavailable', 'Picket is stopping; try again once it is back')
  if (statusCode >= 400 && statusCode < 500) return badRequest(message)
  return new ApiError(500, 'internal', 'something went wrong inside Picket; its log says what')
}

/** Fastify's own errors carry a status; what carries none is ours, and 500. */
function frameworkError(error: unknown): { readonly statusCode: number; readonly message: string } {
  if (!(error instanceof Error)) return { statusCode: 500, message: '' }
  const statusCode = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500
  return { statusCode, message: error.message }
}
