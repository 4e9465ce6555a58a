/** What a topic's rule says of its payloads, and what a codec makes of one. */
import type { Sample } from '../../core/message.ts'
import type { ReadAs, TimeUnit } from '../../core/topic-rule.ts'

export interface PayloadPlan {
  readonly codec: ReadAs
  /** Fields that may hold the event time; the first that a sample has is it. */
  readonly timeFields: readonly string[]
  readonly timeUnit: TimeUnit
  /** The user property that is the event time of all samples, instead of any field. */
  readonly timeProperty?: string | undefined
  /** Fields that name the device or its class, each once. */
  readonly nameFields: readonly string[]
}

export interface PayloadSample extends Sample {
  /** What the plan's `nameFields` say, in their order. */
  readonly names: readonly string[]
}

/** Of a sample under a plan without `nameFields`. */
export const NO_NAMES: readonly string[] = []
