/** Where a topic's messages go: how they are read, and device and partition of their samples; worked out once a topic where it says so. */
import { partitionOf } from '../core/hash.ts'
import type { FrameDevice } from '../log/frame.ts'
import type { PayloadPlan } from './codecs/payload-plan.ts'
import type { Properties } from './naming.ts'
import type { TopicMeaning, TopicPatterns } from './topic-pattern.ts'

/** Of a device. */
export interface Place {
  readonly device: FrameDevice
  /** Equal for devices of equal name and labels. */
  readonly deviceKey: string
  readonly partition: number
}

export interface Route {
  /** null: the payload names its metrics. */
  readonly metric: string | null
  readonly plan: PayloadPlan
  /** Of a sample that says `names` in the plan's `nameFields`, in a message with these user properties. Throws a Refusal. */
  placeOf(names: readonly string[], properties?: Properties): Place
}

/** Topics kept at hand; beyond, all are forgotten and worked out anew. */
const TOPICS_KEPT = 65_536

/** The routes of one source's topics. */
export class Routes {
  private readonly patterns: TopicPatterns
  private readonly partitions: number
  private readonly known = new Map<string, Route>()

  constructor(patterns: TopicPatterns, partitions: number) {
    this.patterns = patterns
    this.partitions = partitions
  }

  /** What the topics are tried against, as MQTT filters. */
  get filters(): readonly string[] {
    return this.patterns.filters
  }

  /** null when no pattern fits. Throws a Refusal for a topic with an unfit name. */
  find(topic: string): Route | null {
    const known = this.known.get(topic)
    if (known) return known
    const meaning = this.patterns.meaning(topic)
    if (!meaning) return null
    const route = this.routeOf(meaning)
    if (this.known.size >= TOPICS_KEPT) this.known.clear()
    this.known.set(topic, route)
    return route
  }

  private routeOf(meaning: TopicMeaning): Route {
    const { metric, plan } = meaning
    const placeOf = (names: readonly string[], properties?: Properties) => {
      const { device, labels } = meaning.nameOf(names, properties)
      const deviceKey = JSON.stringify([device, labels])
      return { device: { name: device, labels }, deviceKey, partition: partitionOf(device, this.partitions) }
    }
    if (meaning.isByMessage) return { metric, plan, placeOf }
    const place = placeOf([])
    return { metric, plan, placeOf: () => place }
  }
}
