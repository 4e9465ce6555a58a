/** The bodies of what operators ask, read and checked. */
import { duration } from '../config/notation.ts'
import { checkMatch } from '../core/request.ts'
import type { SilenceMatch } from '../core/standing.ts'
import { badRequest, echoed } from './answers.ts'
import { MAX_REASON, readBody, readFlag, readText } from './parse.ts'

/** Each throws 400, or REFUSED, which is answered as one. */
export function readQuarantine(body: unknown): { readonly forMs: number; readonly reason: string; readonly force: boolean } {
  const { for: length, reason, force } = readBody(body, ['for', 'reason'], ['force'])
  return { forMs: readLength(length), reason: readReason(reason), force: readFlag(force, 'body: force') }
}

export function readRelease(body: unknown): { readonly reason: string } {
  return { reason: readReason(readBody(body, ['reason']).reason) }
}

export function readEnforcement(body: unknown): { readonly state: 'on' | 'off'; readonly reason: string; readonly release: boolean } {
  const { state, reason, release } = readBody(body, ['state', 'reason'], ['release'])
  if (state !== 'on' && state !== 'off') throw badRequest(`body: state is ${shown(state)}, expected "on" or "off"`)
  const ends = readFlag(release, 'body: release')
  if (ends && state === 'on') throw badRequest('body: release goes with state "off" only')
  return { state, reason: readReason(reason), release: ends }
}

export function readSilence(body: unknown): { readonly match: SilenceMatch; readonly forMs: number; readonly reason: string } {
  const { match, for: length, reason } = readBody(body, ['match', 'for', 'reason'])
  return { match: checkMatch(match), forMs: readLength(length), reason: readReason(reason) }
}

function readReason(value: unknown): string {
  return readText(value, 'body: reason', MAX_REASON)
}

const LENGTH = duration('1s', '30d')

/** ms. */
function readLength(value: unknown): number {
  const length = LENGTH.safeParse(value)
  if (!length.success) throw badRequest(`body: for is ${shown(value)}, expected ${length.error.issues[0]?.message}`)
  return length.data
}

function shown(value: unknown): string {
  return echoed(JSON.stringify(value) ?? 'missing')
}
