/** The kill switch: whether devices may be quarantined at all, by config and by request, and how it is said when that changes. */
import type { Request } from '../core/request.ts'
import type { ResponsePolicy } from '../core/settings.ts'
import { decided } from './deciding.ts'
import type { Deciding } from './deciding.ts'
import { releaseByPerson } from './leases.ts'
import { sayNotice } from './notifications.ts'
import { isQuarantine } from './outbox.ts'
import type { EnforcementRow, ResponderState } from './state.ts'

/** Releases decided in one commit. */
const RELEASED_AT_ONCE = 100
const CONFIG_REASON = 'respond.enforcement in the config is off'
const NEVER_ASKED: EnforcementRow = { asked: 'on', reason: '', by: '', since: null, told: 'on', releases: false }

/** What is in force now. An `off` counts from when it is read, before it is decided and durable: to hold back is never wrong. */
export class Switch {
  private readonly policy: () => ResponsePolicy
  private readonly state: ResponderState
  /** The last `off` heard and not decided, and its offset. */
  private waiting: { readonly offset: number; readonly request: Request } | null = null
  private durable: 'on' | 'off' = 'off'

  /** `policy`: as it is at the moment. */
  constructor(policy: () => ResponsePolicy, state: ResponderState) {
    this.policy = policy
    this.state = state
  }

  /** For decisions, which become durable together with what is in force. */
  isOn(): boolean {
    return !this.waiting && inForce(this.policy(), this.state) === 'on'
  }

  /** For effects: an `on` counts once it is durable. */
  mayLeave(): boolean {
    return this.isOn() && this.durable === 'on'
  }

  /** An `off` stands at this offset of the requests. */
  heard(offset: number, request: Request): void {
    if (!this.waiting || offset > this.waiting.offset) this.waiting = { offset, request }
  }

  /** An `off` that is obeyed already and not decided yet; null: there is none. */
  get undecided(): Request | null {
    return this.waiting?.request ?? null
  }

  /** What is in force is durable, and all requests before this offset are decided. */
  committed(next: number): void {
    if (this.waiting && this.waiting.offset < next) this.waiting = null
    this.durable = inForce(this.policy(), this.state)
  }
}

function inForce(policy: ResponsePolicy, state: ResponderState): 'on' | 'off' {
  return policy.enforcement === 'off' ? 'off' : (state.enforcement?.asked ?? 'on')
}

/** What a person wants it to be. */
export function decideEnforcement(on: Deciding, request: Request): void {
  const row = on.state.enforcement ?? NEVER_ASKED
  const { state: asked = 'off', release = false, reason, by } = request
  if (asked === 'on' && on.policy.enforcement === 'off')
    return decided(on, { device: '', incident: '', action: 'enforcement on', reason: `${CONFIG_REASON}; request ${request.id} by ${by || 'unknown'}`, outcome: 'refused' })
  // Off once more takes nothing back of what is wanted already.
  const releases = asked === 'off' && (release || row.releases)
  on.state.setEnforcement({ ...row, asked, reason, by, releases })
  decided(on, { device: '', incident: '', action: `enforcement ${asked}`, reason: `${release ? 'and end every quarantine: ' : ''}${reason} (asked by ${by || 'unknown'})` })
  sayChange(on, request.id, { reason, by })
  if (releases) on.alarm('releases', on.now())
}

/** At takeover and reload: the config may say other than when people were last told. */
export function decideSwitchAtStart(on: Deciding): void {
  const row = on.state.enforcement ?? NEVER_ASKED
  const state = inForce(on.policy, on.state)
  if (state !== row.told) {
    const reason = state === 'off' ? CONFIG_REASON : 'the config no longer says off'
    decided(on, { device: '', incident: '', action: `enforcement ${state}`, reason })
    sayChange(on, `start ${on.now()}`, { reason, by: '' })
  } else if (state === 'off') on.tell('warn', { since: row.since, by: row.by }, `enforcement is off, no further device is quarantined: ${reasonOf(on, row)}`)
  if (row.releases) on.alarm('releases', on.now())
}

/** Nothing where it is what people were told already. `id`: of what brought it about; `why`: its own words. */
function sayChange(on: Deciding, id: string, why: { readonly reason: string; readonly by: string }): void {
  const row = on.state.enforcement ?? NEVER_ASKED
  const state = inForce(on.policy, on.state)
  if (state === row.told) return
  const at = on.now()
  on.state.setEnforcement({ ...row, told: state, since: at })
  sayNotice(on, id, { kind: 'enforcement', state, at, ...why })
  if (state === 'off') on.tell('warn', { by: why.by }, `enforcement is off, no further device is quarantined: ${why.reason}`)
  else on.tell('info', { by: why.by }, `enforcement is on again: ${why.reason}`)
  if (state === 'on') resume(on)
}

function reasonOf(on: Deciding, row: EnforcementRow): string {
  return on.policy.enforcement === 'off' ? CONFIG_REASON : row.reason
}

/** What waited while it was off: commands of leases that have not ended, their desired states, and what was held back. */
function resume(on: Deciding): void {
  for (const entry of on.state.outbox.values()) if (isQuarantine(entry)) on.afterCommit(() => on.start(entry))
  on.alarm('assert', on.now())
  on.alarm('waiting', on.now())
}

/** Ends quarantines until there is none, as long as that is still wanted. */
export function decideReleases(on: Deciding): void {
  const row = on.state.enforcement
  if (!row?.releases) return
  const active = on.state.leases.values().filter(({ state }) => state === 'active').slice(0, RELEASED_AT_ONCE)
  for (const { lease } of active)
    releaseByPerson(on, lease.device, { id: `${lease.incident || lease.generation} off`, incident: lease.incident, reason: `enforcement is off: ${row.reason} (asked by ${row.by || 'unknown'})`, since: null })
  if (active.length > 0) on.alarm('releases', on.now())
  else on.state.setEnforcement({ ...row, releases: false })
}
