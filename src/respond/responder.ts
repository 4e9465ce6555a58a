/** Respond: policy over incidents. Leads by `log.lead('respond', owned => responder.run(owned), signal)`; a leadership is a `Term`. */
import { partitionOf } from '../core/hash.ts'
import type { ResponsePolicy, Settings } from '../core/settings.ts'
import type { ConfigView, Standing } from '../core/standing.ts'
import type { Log, Owned } from '../log/log.ts'
import type { Clock } from '../ops/clock.ts'
import type { Logger } from '../ops/logger.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { Random } from '../ops/random.ts'
import { DEFAULT_LIMITS } from './deciding.ts'
import type { ResponderLimits } from './deciding.ts'
import type { Enforcer } from './enforcer.ts'
import { respondMeters } from './meters.ts'
import type { Meters } from './meters.ts'
import type { Notifier } from './notifier.ts'
import type { Rules } from './rules.ts'
import { Term } from './term.ts'

export interface ResponderOptions {
  readonly log: Log
  readonly clock: Clock
  readonly random: Random
  readonly metrics: Metrics
  readonly logger: Logger
  /** Of this process's file; its hash tells whether the partitions hold another. */
  readonly settings: Settings
  readonly settingsHash: string
  readonly policy: ResponsePolicy
  /** No two of one name. */
  readonly notifiers: readonly Notifier[]
  readonly enforcer: Enforcer
  /** The partition of `readings` a device's control records go to; by default that of its name. */
  readonly partitionFor?: (device: string) => number
  readonly limits?: Partial<ResponderLimits>
}

export interface Responder {
  /** One leadership: until `owned.signal` aborts; rejects with what ended it (FENCED, IN_DOUBT, IO, … : take over anew). */
  run(owned: Owned): Promise<void>
  /** Why not all is well; empty when it is, or another process leads. */
  readiness(): string[]
  /** Null while another process leads, or this one does not know yet. */
  standing(): Standing | null
  /**
   * Puts other rules in force, from the next leadership on where another process leads; `by` stands in the ledger. Resolves once durable, with what is
   * written to the partitions; null: another process leads. Rejects, and keeps the old, while it is not known what the partitions obey, or with what ended the leadership.
   */
  reload(rules: Rules, by: string): Promise<ConfigView | null>
  /** Sets the gauges that are read rather than counted. */
  measure(): Promise<void>
}

export function createResponder(options: ResponderOptions): Responder {
  const { partitions } = options.log
  const meters = respondMeters(options.metrics)
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const partitionFor = options.partitionFor ?? ((device) => partitionOf(device, partitions))
  const { settings, settingsHash, policy, notifiers } = options
  let rules: Rules = { settings, settingsHash, policy, notifiers }
  let term: Term | null = null
  options.enforcer.onAck(async (ack) => {
    if (term) await term.ack(ack)
    else meters.drops.add(1, { stage: 'ack', reason: 'not-leading' })
  })
  return {
    async run(owned) {
      const current = new Term({ ...options, rules, meters, limits, partitionFor, owned })
      term = current
      try {
        await current.run()
      } finally {
        if (term === current) {
          term = null
          letGo(meters, partitions)
        }
      }
    },
    readiness: () => term?.readiness() ?? [],
    standing: () => term?.standing() ?? null,
    async reload(next, by) {
      const view = term ? await term.reload(next, by) : null
      rules = next
      return view
    },
    measure: async () => term?.measure(),
  }
}

/** What another process knows now is not shown here as it once was. */
function letGo({ enforcement, lag, unanswered, waiting, silences, leases, outbox, openIncidents }: Meters, partitions: number): void {
  for (const gauge of [enforcement, unanswered, waiting, silences, leases, outbox, openIncidents]) gauge.set(0)
  for (const topic of ['incidents', 'requests'])
    for (let partition = 0; partition < partitions; partition++) lag.set(0, { topic, partition: String(partition) })
}
