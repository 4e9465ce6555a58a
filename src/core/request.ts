/** What a person asks of respond: made by the API, kept in the `requests` topic, obeyed once. Additions only. */
import { errorText, PipelineError } from './errors.ts'
import { CAUSES } from './incident.ts'
import type { Cause } from './incident.ts'
import type { SilenceMatch } from './standing.ts'

const REQUEST_KINDS = ['quarantine', 'release', 'acknowledge', 'enforcement', 'silence', 'unsilence'] as const
export type RequestKind = (typeof REQUEST_KINDS)[number]
/** Kinds that are about no one device. They all go into one partition, so that they keep their order. */
const ABOUT_NO_DEVICE: ReadonlySet<RequestKind> = new Set(['enforcement', 'silence', 'unsilence'])
export const FLEET_PARTITION = 0

export interface Request {
  /** Chosen by who asks (a repeat under the same id acts once); 1 to 64 characters. */
  readonly id: string
  readonly kind: RequestKind
  /** 1 to 1,024 characters; '' for the kinds that are about no one device. */
  readonly device: string
  /** Length of a quarantine or silence, ms, 1 s to 30 days; null: the usual one of a quarantine, and always null for the other kinds. */
  readonly forMs: number | null
  /** The incident that is acknowledged; '' for the other kinds. */
  readonly incident: string
  /** Up to 512 characters. */
  readonly reason: string
  /** Who asks, up to 100 characters. */
  readonly by: string
  /** ms since epoch. */
  readonly at: number
  /** Of a quarantine: also where as many devices are quarantined at once as may be. */
  readonly force?: boolean
  /** Of `enforcement`: what it shall be. */
  readonly state?: 'on' | 'off'
  /** Of `enforcement` to off: also ends every quarantine. */
  readonly release?: boolean
  /** Of a silence. */
  readonly match?: SilenceMatch
  /** Id of the silence that `unsilence` ends. */
  readonly silence?: string
}

const LENGTH_MS_MIN = 1_000
const LENGTH_MS_MAX = 30 * 86_400_000
const MATCH_KEYS = ['device', 'class', 'cause', 'labels'] as const
const LABELS_MOST = 8
const TEXT_MOST = 1024

/** A request out of whatever was sent. Throws REFUSED, naming the field and what was expected. */
export function checkRequest(value: unknown): Request {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw refused('request', 'a JSON object', value)
  const fields = value as Record<string, unknown>
  const kind = REQUEST_KINDS.find((known) => known === fields['kind'])
  if (kind === undefined) throw refused('kind', `one of ${REQUEST_KINDS.join(', ')}`, fields['kind'])
  return {
    id: text(fields, 'id', 1, 64),
    kind,
    device: ABOUT_NO_DEVICE.has(kind) ? '' : text(fields, 'device', 1, TEXT_MOST),
    forMs: kind === 'quarantine' || kind === 'silence' ? length(fields['forMs'], { mayLack: kind === 'quarantine' }) : null,
    incident: kind === 'acknowledge' ? text(fields, 'incident', 1, 64) : '',
    reason: text(fields, 'reason', 0, 512),
    by: text(fields, 'by', 0, 100),
    at: time(fields['at']),
    ...(kind === 'quarantine' && flag(fields, 'force') ? { force: true } : {}),
    ...(kind === 'enforcement' ? { state: state(fields['state']), release: flag(fields, 'release') } : {}),
    ...(kind === 'silence' ? { match: checkMatch(fields['match']) } : {}),
    ...(kind === 'unsilence' ? { silence: text(fields, 'silence', 1, 64) } : {}),
  }
}

/** Throws REFUSED. */
export function checkMatch(value: unknown): SilenceMatch {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw refused('match', `an object of ${MATCH_KEYS.join(', ')}`, value)
  const fields = value as Record<string, unknown>
  const keys = Object.keys(fields)
  const unknown = keys.find((key) => !(MATCH_KEYS as readonly string[]).includes(key))
  if (unknown !== undefined) throw refused('match', `an object of ${MATCH_KEYS.join(', ')}`, unknown)
  if (keys.length === 0) throw refused('match', `at least one of ${MATCH_KEYS.join(', ')}`, value)
  const cause = CAUSES.find((known) => known === fields['cause'])
  if ('cause' in fields && cause === undefined) throw refused('match.cause', `one of ${CAUSES.join(', ')}`, fields['cause'])
  return {
    ...('device' in fields ? { device: text(fields, 'device', 1, TEXT_MOST) } : {}),
    ...('class' in fields ? { class: text(fields, 'class', 1, TEXT_MOST) } : {}),
    ...('cause' in fields ? { cause: cause as Cause } : {}),
    ...('labels' in fields ? { labels: checkLabels(fields['labels']) } : {}),
  }
}

function checkLabels(value: unknown): Record<string, string> {
  const expected = `1 to ${LABELS_MOST} labels, each a text of 1 to ${TEXT_MOST} characters`
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw refused('match.labels', expected, value)
  const labels = Object.entries(value as Record<string, unknown>)
  const isGood = ([name, label]: [string, unknown]) => name !== '' && name.length <= 128 && typeof label === 'string' && label !== '' && label.length <= TEXT_MOST
  if (labels.length < 1 || labels.length > LABELS_MOST || !labels.every(isGood)) throw refused('match.labels', expected, value)
  return Object.fromEntries(labels) as Record<string, string>
}

function text(fields: Record<string, unknown>, name: string, min: number, max: number): string {
  const value = fields[name] ?? ''
  if (typeof value !== 'string' || value.length < min || value.length > max) throw refused(name, `a text of ${min} to ${max} characters`, value)
  return value
}

function flag(fields: Record<string, unknown>, name: string): boolean {
  const value = fields[name] ?? false
  if (typeof value !== 'boolean') throw refused(name, 'true or false', value)
  return value
}

function state(value: unknown): 'on' | 'off' {
  if (value !== 'on' && value !== 'off') throw refused('state', 'on or off', value)
  return value
}

function length(value: unknown, { mayLack }: { readonly mayLack: boolean }): number | null {
  if (mayLack && (value === null || value === undefined)) return null
  if (typeof value !== 'number' || !(value >= LENGTH_MS_MIN && value <= LENGTH_MS_MAX))
    throw refused('forMs', `${LENGTH_MS_MIN} to ${LENGTH_MS_MAX} ms`, value)
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
