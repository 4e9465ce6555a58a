/** Silences: begun and ended by people, or by their time; and what people are owed when one is over. */
import type { Incident } from '../core/incident.ts'
import type { Request } from '../core/request.ts'
import { decideChange } from './decisions.ts'
import { decided } from './deciding.ts'
import type { Deciding } from './deciding.ts'
import { fits, matchText, mutedBy } from './muters.ts'
import { tellPeople } from './notifications.ts'
import type { SilenceRow } from './state.ts'

/** Incidents looked at again in one commit. */
const TOLD_AT_ONCE = 100

/** `since`: append time of the request, from which the silence counts, whenever it is read. */
export function decideSilence(on: Deciding, { id, match = {}, forMs, reason, by }: Request, since: number): void {
  const silence: SilenceRow = { id, match, reason, by, at: since, until: since + (forMs ?? 0) }
  const about = { device: match.device ?? '', incident: '', action: 'silence' }
  const says = `${matchText(match)}, until ${new Date(silence.until).toISOString()}: ${reason} (asked by ${by || 'unknown'}); silence ${id}`
  if (silence.until <= on.now()) return decided(on, { ...about, reason: `it is over before it was read; ${says}`, outcome: 'held' })
  if (on.state.silences.size >= on.limits.silences)
    return decided(on, { ...about, reason: `${on.limits.silences} silences are in force already; ${says}`, outcome: 'refused' })
  on.state.silences.set(id, silence)
  on.alarm(`silence/${id}`, silence.until)
  decided(on, { ...about, reason: says })
  on.tell('info', { silence: id, by }, `silenced: ${says}`)
}

export function decideUnsilence(on: Deciding, { id, silence = '', reason, by }: Request): void {
  const row = on.state.silences.get(silence)
  const about = { device: row?.match.device ?? '', incident: '', action: 'unsilence' }
  if (!row || row.until <= on.now()) return decided(on, { ...about, reason: `no silence ${silence} is in force; request ${id} by ${by || 'unknown'}`, outcome: 'held' })
  on.state.silences.set(silence, { ...row, until: on.now() })
  decided(on, { ...about, reason: `silence ${silence}: ${reason || 'ended'} (asked by ${by || 'unknown'})` })
  decideSilenceEnd(on, silence)
}

/** Its time is over: people are told of what fits it and is still open, and what they are owed, so many at a time. */
export function decideSilenceEnd(on: Deciding, id: string): void {
  const silence = on.state.silences.get(id)
  if (!silence) return
  const key = `silence/${id}`
  if (on.now() < silence.until) return on.alarm(key, silence.until)
  if (!on.isAbreast()) return
  if (tellOpen(on, silence) + payOwed(on, silence) > 0) return on.alarm(key, on.now())
  on.state.silences.delete(id)
  on.alarm(key, null)
  on.state.record({ at: on.now(), kind: 'note', device: silence.match.device ?? '', incident: '', action: 'silence over', reason: `${matchText(silence.match)}; silence ${id}` })
  on.tell('info', { silence: id }, `a silence is over: ${matchText(silence.match)}`)
}

function tellOpen(on: Deciding, { id, match, until }: SilenceRow): number {
  const silences = on.state.silences.values()
  const isDue = (told: number) => told < until
  const isFree = (incident: Incident) => fits(match, incident) && mutedBy(silences, incident, on.now()).length === 0
  const now = some(on.state.incidents.values(), ({ incident, told }) => isDue(told?.at ?? 0) && isFree(incident))
  for (const row of now) decideChange(on, { ...row, kind: 'updated' }, { since: null, closesLater: false, silencedBy: [], after: id })
  return now.length
}

function payOwed(on: Deciding, { match }: SilenceRow): number {
  const silences = on.state.silences.values()
  const now = some(on.state.owed.values(), ({ incident }) => fits(match, incident) && mutedBy(silences, incident, on.now()).length === 0)
  for (const { incident } of now) {
    tellPeople(on, incident, { response: undefined, after: '' })
    on.state.owed.delete(incident.id)
  }
  return now.length
}

/** The first that are due: with many open, each look costs all the silences. */
function some<T>(rows: readonly T[], isDue: (row: T) => boolean): T[] {
  const found: T[] = []
  for (const row of rows) {
    if (found.length === TOLD_AT_ONCE) break
    if (isDue(row)) found.push(row)
  }
  return found
}
