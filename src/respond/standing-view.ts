/** What the API shows of respond: as it stood after the last commit, so that nothing is shown that may never have been. */
import type { EnforcementView, Silence, Standing } from '../core/standing.ts'
import { ConfigProgress } from './config-versions.ts'
import type { Deciding } from './deciding.ts'
import type { Switch } from './enforcement.ts'
import { begunLately } from './governor.ts'
import { mutedBy } from './muters.ts'
import type { ResponderState } from './state.ts'

export class StandingView {
  private readonly on: Deciding
  private readonly enforcement: Switch
  private readonly progress: ConfigProgress
  private latest: Standing | null = null
  private pace: ResponderState['pace'] = []

  constructor(on: Deciding, enforcement: Switch) {
    this.on = on
    this.enforcement = enforcement
    this.progress = new ConfigProgress(on.state, on.partitions)
  }

  /** Null before the first commit. */
  get shown(): Standing | null {
    if (!this.latest) return null
    const { enforcement, quarantines } = this.latest
    const lastMinute = begunLately(this.pace, this.on.now())
    return { ...this.latest, enforcement: this.obeyed(enforcement), quarantines: { ...quarantines, lastMinute } }
  }

  /** To be called after each commit. */
  renew(): void {
    const { state, policy, now } = this.on
    const { perMinute, atOnce } = policy.quarantines
    const at = now()
    const silences: readonly Silence[] = state.silences.values().filter(({ until }) => until > at)
    this.pace = state.pace
    this.latest = {
      config: this.progress.view(),
      enforcement: this.enforcementNow(),
      quarantines: { active: state.leases.size, atOnce, lastMinute: 0, perMinute, waiting: state.incidents.waitingCount },
      silences,
      isQuarantined: (device) => state.leases.has(device),
      silencedBy: (incident) => (incident.state === 'open' ? mutedBy(silences, incident, now()) : []),
    }
  }

  /** An `off` is obeyed before it is decided, and shown with its own words. */
  private obeyed(committed: EnforcementView): EnforcementView {
    const off = this.enforcement.undecided
    if (!off || committed.state === 'off') return committed
    return { state: 'off', says: 'request', reason: off.reason, by: off.by, since: off.at }
  }

  private enforcementNow(): EnforcementView {
    const { state, policy } = this.on
    const since = state.enforcement?.since ?? null
    if (policy.enforcement === 'off') return { state: 'off', says: 'config', reason: 'respond.enforcement in the config is off', by: '', since }
    const { reason = '', by = '' } = state.enforcement ?? {}
    // A row of nobody was made when the config changed.
    return { state: state.enforcement?.asked ?? 'on', says: `${reason}${by}` === '' ? 'config' : 'request', reason, by, since }
  }
}
