/** The operating errors of the whole pipeline: adapters throw them, `app.ts` and the tasks alone decide by `retriable`. */

const ERROR_CODES = [
  'BAD_CONFIG', // the user's file or flags: names key, value, what is allowed
  'BAD_RECORD', // a record in the log that can't be decoded
  'CLOSED', // the adapter was closed under the caller
  'DISK_FULL',
  'FENCED', // another owner took over: stop, discard, join anew
  'IN_DOUBT', // a commit whose fate is unknown: fence again and read the header
  'IO', // the disk or the network said no; may work later
  'LOCKED', // another process holds the data folder, or it was taken away from under this one
  'PARTITIONS_CHANGED', // the log was made with other partitions or another key
  'RECREATED', // the topic is not the one the state was made from
  'REFUSED', // a message or request that breaks a stated limit
  'UNAUTHORIZED',
  'UNAVAILABLE', // a peer can't be reached now
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

/** Codes after which the same call may succeed. All else is a dead letter or a stop. */
const RETRIABLE: ReadonlySet<ErrorCode> = new Set(['DISK_FULL', 'FENCED', 'IN_DOUBT', 'IO', 'RECREATED', 'UNAVAILABLE'])

/** An operating error. `message` names what, where, and what was expected; it is shown to people as it is. */
export class PipelineError extends Error {
  readonly code: ErrorCode
  readonly retriable: boolean

  constructor(code: ErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'PipelineError'
    this.code = code
    this.retriable = RETRIABLE.has(code)
  }
}

/** True for a `PipelineError` of one of `codes`. */
export function isPipelineError(error: unknown, ...codes: ErrorCode[]): error is PipelineError {
  return error instanceof PipelineError && (codes.length === 0 || codes.includes(error.code))
}

/** The text of anything thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
