/** Requirement: rows and incidents are a function of the log alone: not of crashes, owners, cuts, nor of exact repeats in it. */
import type { Raw, ToldIncident } from './reader.ts'
import { incidentsOf, stateOf, withoutRepeats } from './reader.ts'
import { replay, type Replayed, rowDifference } from './replay.ts'
import { partitionsOf } from './requirements.ts'
import type { Outcome } from './simulation.ts'

export async function rowsAsReplayed(outcome: Outcome): Promise<string | null> {
  const readings = partitionsOf(outcome, 'readings')
  const inForce: Replayed[] = readings.map((_, partition) => ({
    rows: stateOf(outcome.logs.get(`state/${partition}`)!).rows,
    incidents: incidentsOf(outcome.logs.get(`incidents/${partition}`)!).incidents,
  }))
  const behind = lagging(outcome, readings)
  if (behind !== null) return behind
  const one = await replay(readings, () => 1)
  const rewritten = readings.map((records) => withoutRepeats(records))
  const repeats = rewritten.reduce((sum, { taken }) => sum + taken, 0)
  const all = await replay(rewritten.map(({ records }) => records), (available) => available)
  for (let p = 0; p < readings.length; p++) {
    const broken =
      differs('one record a slice', inForce[p]!, one[p]!, fully) ??
      differs(`everything at once, without ${repeats} repeats`, inForce[p]!, all[p]!, repeats === 0 ? fully : outwardly)
    if (broken !== null) return `partition ${p}, ${broken}`
  }
  return null
}

function lagging(outcome: Outcome, readings: readonly (readonly Raw[])[]): string | null {
  for (const [partition, records] of readings.entries()) {
    const { next } = stateOf(outcome.logs.get(`state/${partition}`)!)
    const end = (records.at(-1)?.offset ?? -1) + 1
    const stands = next[`readings/${partition}`]
    if (stands !== end) return `partition ${partition} ends at ${end}, its state stands at ${stands}`
  }
  return null
}

type Telling = (incidents: ReadonlyMap<string, ToldIncident>) => string[]

/** To the last letter. */
const fully: Telling = (incidents) => [...incidents.values()].flatMap(({ revisions }) => revisions.map(({ text }) => text)).sort()
/** All but ids, which name places, and places move when messages are taken out. */
const outwardly: Telling = (incidents) =>
  [...incidents.values()].map(({ device, cause, openedAt, revisions }) => `${device} ${cause} ${openedAt} ${revisions.length}`).sort()

function differs(how: string, a: Replayed, b: Replayed, telling: Telling): string | null {
  const row = rowDifference(a.rows, b.rows)
  if (row !== null) return `${how}: ${row}`
  const [mine, other] = [telling(a.incidents), telling(b.incidents)]
  const at = mine.findIndex((text, i) => text !== other[i])
  if (at < 0 && mine.length === other.length) return null
  return `${how}: the log tells ${mine[at] ?? 'nothing'}, the run without a crash ${other[at < 0 ? mine.length : at] ?? 'nothing'}`
}
