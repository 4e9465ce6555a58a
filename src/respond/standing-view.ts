/** What the API shows of respond: as it stood after the last commit, so that nothing is shown that may never have been. */
import type { EnforcementView, Silence, Standing } from '../core/standing.ts'
import type { Deciding } from './deciding.ts'
import type { Switch } from './enforcement.ts'
import { begunLately } from './governor.ts'
import { mutedBy } from './muters.ts'

export class StandingView {
  private readonly on: Deciding
  private readonly enforcement: Switch
  private latest: Standing | null = null

  constructor(on: Deciding, enforcement: Switch) {
    this.on = on
    this.enforcement = enforcement
  }

  /** Null before the first commit. */
  get shown(): Standing | null {
    return this.latest && { ...this.latest, enforcement: { ...this.latest.enforcement, state: this.enforcement.mayLeave() ? 'on' : 'off' } }
  }

  /** To be called after each commit. */
  renew(): void {
    const { state, policy, now } = this.on
    const { perMinute, atOnce } = policy.quarantines
    const at = now()
    const silences: readonly Silence[] = state.silences.values().filter(({ until }) => until > at)
    this.latest = {
      enforcement: this.enforcementNow(),
      quarantines: { active: state.leases.size, atOnce, lastMinute: begunLately(this.on), perMinute, waiting: state.incidents.waitingCount },
      silences,
      silencedBy: (incident) => (incident.state === 'open' ? mutedBy(silences, incident, now()) : []),
    }
  }

  private enforcementNow(): EnforcementView {
    const { state, policy } = this.on
    const since = state.enforcement?.since ?? null
    if (policy.enforcement === 'off') return { state: 'off', says: 'config', reason: 'respond.enforcement in the config is off', by: '', since }
    const { reason = '', by = '' } = state.enforcement ?? {}
    return { state: state.enforcement?.asked ?? 'on', says: state.enforcement ? 'request' : 'config', reason, by, since }
  }
}
