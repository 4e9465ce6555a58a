/** Says in one sentence what is odd, in the metric's unit and against which band; asked only when an incident opens or rises. */
import { type Cause, SEVERITIES, type Vote } from '../core/incident.ts'
import type { Explanation, Round } from './detector.ts'
import type { Seat } from './engine.ts'
import { rounded } from './incidents.ts'
import type { State } from './state.ts'

/** Most votes an incident carries. */
const VOTES = 8
/** A detector has a vote when it is at least this surprised. */
const VOTES_FROM = 2

export interface Account {
  readonly summary: string
  readonly votes: readonly Vote[]
}

/** What the detectors of one cause say of message `m`, the most surprised first. */
export function explainMessage(state: State, seats: readonly Seat[], cause: Cause, round: Round, m: number): Account {
  const votes: Vote[] = []
  for (const { detector, rows, out } of seats) {
    if (detector.cause !== cause) continue
    const vote = (metric: string, at: number) => {
      if (!(out[at]! >= VOTES_FROM)) return
      votes.push({ detector: detector.name, metric, surprise: rounded(out[at]!), ...bandOf(detector.explain(round, rows, at)) })
    }
    if (detector.scope === 'device') vote('', m)
    else for (let i = round.start[m]!; i < round.start[m]! + round.count[m]!; i++) vote(state.metricOf(round.series[i]!), i)
  }
  votes.sort((a, b) => b.surprise - a.surprise || (a.metric < b.metric ? -1 : a.metric > b.metric ? 1 : 0))
  votes.splice(VOTES)
  return { summary: sentence(state, cause, round.device[m]!, votes), votes }
}

export function explainCrowded(state: State): Account {
  const { metricsPerDevice, newSeriesPerMinute } = state.settings.limits
  return { summary: `sends metrics beyond its limit of ${metricsPerDevice} in all and ${newSeriesPerMinute} new ones a minute; the rest is left out`, votes: [] }
}

function bandOf({ observed, low, high }: Explanation): Pick<Vote, 'observed' | 'expected'> {
  return { observed, expected: [low, high] }
}

function sentence(state: State, cause: Cause, device: number, votes: readonly Vote[]): string {
  const first = votes[0]
  if (!first) return `${cause} is odd for longer than by chance`
  if (cause === 'silence') return `silent for ${number(first.observed)} s, expected at most ${number(first.expected[1] ?? 0)} s`
  const unit = state.settingsOf(device).metrics[first.metric]?.unit ?? ''
  const value = `${first.metric} is ${number(first.observed)}${unit && ` ${unit}`}`
  const more = votes.length > 1 ? `; ${votes.length - 1} more odd at once` : ''
  return `${value}, ${cause === 'limit' ? 'allowed is' : 'expected'} ${band(first.expected)}${more}`
}

function band([low, high]: Vote['expected']): string {
  if (low === null) return `at most ${number(high ?? Infinity)}`
  if (high === null) return `at least ${number(low)}`
  return `${number(low)} to ${number(high)}`
}

/** Four significant digits: enough to see it, short enough to read. */
function number(value: number): string {
  return String(Number(value.toPrecision(4)))
}

/** Index into SEVERITIES of what the config says a breach of this metric's limit is. */
export function limitSeverity(state: State, device: number, metric: string): number {
  return SEVERITIES.indexOf(state.settingsOf(device).metrics[metric]?.severity ?? 'major')
}
