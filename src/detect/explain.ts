/** Says in one sentence what is odd, in the metric's unit and against which band; asked only when an incident opens or rises. */
import { type Cause, SEVERITIES, type Vote } from '../core/incident.ts'
import type { Explanation, Round, Words } from './detector.ts'
import { chart } from './detectors/chart.ts'
import { newFields, shape } from './detectors/shape.ts'
import type { Seat } from './engine.ts'
import { GATE_SEEN, seriesGate } from './gate.ts'
import { rounded } from './incidents.ts'
import type { RoundColumns } from './rounds.ts'
import type { State } from './state.ts'

/** Most votes an incident carries. */
const VOTES = 8
/** A detector has a vote when it is at least this surprised. */
const VOTES_FROM = 2

export interface Account {
  readonly summary: string
  readonly votes: readonly Vote[]
}

/** A vote, with its detector's own words for it. */
interface Said {
  readonly vote: Vote
  readonly tell: Explanation['tell']
}

/** What the detectors of one cause say of message `m`, the most surprised first. */
export function explainMessage(state: State, seats: readonly Seat[], cause: Cause, round: RoundColumns, m: number): Account {
  const said: Said[] = []
  for (const { detector, rows, out, ground } of seats) {
    if (detector.cause !== cause) continue
    const vote = (metric: string, at: number) => {
      if (!(out[at]! >= VOTES_FROM)) return
      const { observed, low, high, tell } = detector.explain(round, rows, at, ground)
      said.push({ vote: { detector: detector.name, metric, surprise: rounded(out[at]!), observed, expected: [low, high] }, tell })
    }
    const leaders = detector.leaders && out[m]! >= VOTES_FROM ? detector.leaders(round, rows, m, ground) : []
    for (const { reading, observed, low, high, tell } of leaders) {
      const metric = state.metricOf(round.series[reading]!)
      said.push({ vote: { detector: detector.name, metric, surprise: rounded(out[m]!), observed, expected: [low, high] }, tell })
    }
    if (leaders.length > 0) continue
    if (detector.scope === 'device') vote('', m)
    else {
      for (let i = round.start[m]!; i < round.start[m]! + round.count[m]!; i++)
        if (hasSay(state, cause, round, m, i)) vote(state.metricOf(round.series[i]!), i)
    }
  }
  // Stable: of equal surprises of one metric the detector first in the row speaks.
  said.sort(({ vote: a }, { vote: b }) => b.surprise - a.surprise || (a.metric < b.metric ? -1 : a.metric > b.metric ? 1 : 0))
  const summary = cause === 'shape' ? shapeSentence(state, seats, round, m) : sentence(state, cause, round.device[m]!, said)
  return { summary, votes: said.slice(0, VOTES).map(({ vote }) => vote) }
}

/** A series that still warms up has no vote either. Its gate has counted this reading by now, where it may teach. */
function hasSay(state: State, cause: Cause, round: RoundColumns, m: number, i: number): boolean {
  if (cause !== 'telemetry') return true
  const gate = state.tables.series.view(seriesGate.name)!
  return gate.float32[round.series[i]! * gate.stride32 + gate.at32 + GATE_SEEN]! - round.teaches[m]! >= round.warmup[m]!
}

export function explainCrowded(state: State): Account {
  const { metricsPerDevice, newSeriesPerMinute } = state.settings.limits
  return { summary: `sends metrics beyond its limit of ${metricsPerDevice} in all and ${newSeriesPerMinute} new ones a minute; the rest is left out`, votes: [] }
}

function sentence(state: State, cause: Cause, device: number, said: readonly Said[]): string {
  const first = said[0]?.vote
  if (!first) return `${cause} is odd for longer than by chance`
  if (cause === 'silence') return `silent for ${number(first.observed)} s, expected at most ${number(first.expected[1] ?? 0)} s`
  if (cause === 'rate') return rateSentence(first)
  if (cause === 'clock') return clockSentence(first)
  if (first.detector === chart.name) return chartSentence(state, device, said.filter(({ vote }) => vote.detector === chart.name))
  const unit = state.settingsOf(device).metrics[first.metric]?.unit ?? ''
  const others = new Set(said.map(({ vote }) => vote.metric)).size - 1
  const more = others > 0 ? `; ${others} more odd at once` : ''
  const words = wordsOf(unit, first)
  const told = said[0]!.tell?.(words) ?? `is ${words.about(first.observed)}, ${cause === 'limit' ? 'allowed is' : 'expected'} ${band(first.expected, stepOf(first))}`
  return `${first.metric} ${told}${more}`
}

/** By the hour where a minute brings less than one message. */
function rateSentence({ observed, expected: [low, high] }: Vote): string {
  const { per, times } = Math.max(observed, high!) < 1 ? { per: 'an hour', times: 60 } : { per: 'a minute', times: 1 }
  return `sends ${number(times * observed)} messages ${per}, expected ${band([low === null ? null : times * low, times * high!])}`
}

function clockSentence({ observed, expected }: Vote): string {
  return `its clock is ${number(Math.abs(observed))} s ${observed < 0 ? 'behind' : 'ahead of'} arrival, expected ${band(expected)} s`
}

/** What leads, each by itself: what no other metric says is that they never were so at the same time. */
function chartSentence(state: State, device: number, said: readonly Said[]): string {
  const names = said.map(({ vote }) => vote.metric)
  // The message brings none of those that lead.
  if (names[0] === '') return 'its metrics move together as they never did'
  const parts = said.map(({ vote, tell }) => {
    const words = wordsOf(state.settingsOf(device).metrics[vote.metric]?.unit ?? '', vote)
    return `${vote.metric} ${tell?.(words) ?? `averages ${words.about(vote.observed)}, expected ${band(vote.expected, stepOf(vote))}`}`
  })
  if (names.length < 2) return said[0]!.tell ? parts[0]! : `${parts[0]!}, beside the other metrics`
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)!} move together as they never did: ${parts.join('; ')}`
}

/** Names of new fields in a sentence. */
const NAMED = 3

function shapeSentence(state: State, seats: readonly Seat[], round: Round, m: number): string {
  const { rows } = seats.find(({ detector }) => detector === shape)!
  const { added, changed } = newFields(round, rows, m)
  const of = added.length > 0 ? added : changed
  if (of.length === 0) return 'sends fields together that it never sent so'
  const names = of.slice(0, NAMED).map((series) => `\`${state.metricOf(series)}\``)
  const all = of.length > NAMED ? `${names.join(', ')} and ${of.length - NAMED} more` : names.join(', ')
  return added.length > 0 ? `sends ${all} that it never sent` : `sends ${all} as another kind of value than ever`
}

function wordsOf(unit: string, vote: Vote): Words {
  const suffix = unit && ` ${unit}`
  const step = stepOf(vote)
  return {
    about: (value) => `${number(value, step)}${suffix}`,
    exactly: (value) => `${value}${suffix}`,
    between: (low, high) => band([low, high], step),
  }
}

function band([low, high]: Vote['expected'], step = 0): string {
  if (low === null) return `at most ${number(high ?? Infinity, step)}`
  if (high === null) return `at least ${number(low, step)}`
  return `${number(low, step)} to ${number(high, step)}`
}

/** What a sentence must tell apart: the ends of the band, and what was observed from the nearer one; 0 where there is nothing to tell. */
function stepOf({ observed, expected: [low, high] }: Vote): number {
  const steps = [low === null || high === null ? 0 : high - low, low === null ? 0 : low - observed, high === null ? 0 : observed - high]
  const least = Math.min(...steps.filter((step) => step > 0))
  return least < Infinity ? least : 0
}

const DIGITS = 4
const DIGITS_MOST = 10

/** Four significant digits: enough to see it, short enough to read; more where `step` would be lost in them. */
function number(value: number, step = 0): string {
  const needed = step > 0 && value !== 0 ? Math.ceil(Math.log10(Math.abs(value) / step)) + 1 : 0
  return String(Number(value.toPrecision(Math.min(DIGITS_MOST, Math.max(DIGITS, needed)))))
}

/** Index into SEVERITIES of what the config says a breach of this metric's limit is. */
export function limitSeverity(state: State, device: number, metric: string): number {
  return SEVERITIES.indexOf(state.settingsOf(device).metrics[metric]?.severity ?? 'major')
}
