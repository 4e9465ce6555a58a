/** What must hold after every run, whatever went wrong in it; asked of the log and the far end, and of nothing in between. */
import { governorHeld, switchObeyed } from './required-bounds.ts'
import { deliveredAsTold, eachAnomalyOnce, shownAsTold } from './required-incidents.ts'
import { lastAsLogged } from './required-last.ts'
import { ackedStand } from './required-messages.ts'
import { ledgerSound, quarantinesAsExpected, respondAtRest } from './required-response.ts'
import { rowsAsReplayed } from './required-rows.ts'
import type { Outcome } from './simulation.ts'

/** Each says the first thing it finds broken, or null. */
export type Requirement = (outcome: Outcome) => string | null | Promise<string | null>

const REQUIREMENTS: readonly (readonly [string, Requirement])[] = [
  ['nothing happened that never may', ({ problems }) => problems[0] ?? null],
  ['every acknowledged message stands in the log', ackedStand],
  ['the log tells of each injected anomaly once, and of no other', eachAnomalyOnce],
  ['the webhook was told what the log tells', deliveredAsTold],
  ['every API shows what the log tells', shownAsTold],
  ['the ledger is one sound chain', ledgerSound],
  ['respond is at rest: no lease, no outbox, nothing open', respondAtRest],
  ['the quarantines are those the policy asks for', quarantinesAsExpected],
  ['the governor’s bounds were never exceeded', governorHeld],
  ['no quarantine left while enforcement was off', switchObeyed],
  ['rows hold the newest readings', lastAsLogged],
  ['rows and incidents are those of a run without a crash', rowsAsReplayed],
]

export async function firstBroken(outcome: Outcome): Promise<string | null> {
  for (const [name, requirement] of REQUIREMENTS) {
    const broken = await requirement(outcome)
    if (broken !== null) return `${name}: ${broken}`
  }
  return null
}

/** The dumped partitions of a topic. */
export function partitionsOf({ logs, options }: Outcome, topic: string) {
  return Array.from({ length: options.partitions }, (_, partition) => logs.get(`${topic}/${partition}`)!)
}
