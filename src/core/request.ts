/** What a person asks of respond: made by the API, kept in the `requests` topic, obeyed once. Additions only. */
import { errorText, PipelineError } from './errors.ts'

const REQUEST_KINDS = ['quarantine', 'release', 'acknowledge'] as const
export type RequestKind = (typeof REQUEST_KINDS)[number]

export interface Request {
  /** Chosen by who asks (a repeat under the same id acts once); 1 to 64 characters. */
  readonly id: string
  readonly kind: RequestKind
  /** 1 to 1,024 characters. */
  readonly device: string
  /** Length of a quarantine, ms, 1 s to 30 days; null: the usual one, and always null for the other kinds. */
  readonly forMs: number | null
  /** The incident that is acknowledged; '' for the other kinds. */
  readonly incident: string
  /** Up to 512 characters. */
  readonly reason: string
  /** Who asks, up to 100 characters. */
  readonly by: string
  /** ms since epoch. */
  readonly at: number
}

const QUARANTINE_MS_MIN = 1_000
const QUARANTINE_MS_MAX = 30 * 86_400_000

/** A request out of whatever was sent. Throws REFUSED, naming the field and what was expected. */
export function checkRequest(value: unknown): Request {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw refused('request', 'a JSON object', value)
  const fields = value as Record<string, unknown>
  const kind = fields['kind']
  if (!REQUEST_KINDS.includes(kind as RequestKind)) throw refused('kind', `one of ${REQUEST_KINDS.join(', ')}`, kind)
  return {
    id: text(fields, 'id', 1, 64),
    kind: kind as RequestKind,
    device: text(fields, 'device', 1, 1024),
    forMs: kind === 'quarantine' ? length(fields['forMs']) : null,
    incident: kind === 'acknowledge' ? text(fields, 'incident', 1, 64) : '',
    reason: text(fields, 'reason', 0, 512),
    by: text(fields, 'by', 0, 100),
    at: time(fields['at']),
  }
}

function text(fields: Record<string, unknown>, name: string, min: number, max: number): string {
  const value = fields[name] ?? ''
  if (typeof value !== 'string' || value.length < min || value.length > max) throw refused(name, `a text of ${min} to ${max} characters`, value)
  return value
}

function length(value: unknown): number | null {
  if (value === null || value === undefined) return null
  if (typeof value !== 'number' || !(value >= QUARANTINE_MS_MIN && value <= QUARANTINE_MS_MAX))
    throw refused('forMs', `${QUARANTINE_MS_MIN} to ${QUARANTINE_MS_MAX} ms`, value)
  return value
}

function time(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw refused('at', 'ms since epoch', value)
  return value
}

function refused(field: string, expected: string, value: unknown): PipelineError {
  const shown = (JSON.stringify(value) ?? 'nothing').slice(0, 80)
  return new PipelineError('REFUSED', `request: ${field} must be ${expected}, got ${shown}`)
}

export function encodeRequest(request: Request): Buffer {
  return Buffer.from(JSON.stringify(request), 'utf8')
}

/** Throws BAD_RECORD. */
export function decodeRequest(bytes: Uint8Array): Request {
  try {
    return checkRequest(JSON.parse(Buffer.from(bytes).toString('utf8')))
  } catch (cause) {
    throw new PipelineError('BAD_RECORD', `unreadable request: ${errorText(cause)}`, { cause })
  }
}
