/** Where a topic's messages go: device, metric and partition, worked out once a topic. */
import { partitionOf } from '../core/hash.ts'
import type { FrameDevice } from '../log/frame.ts'
import type { TopicPatterns } from './topic-pattern.ts'

export interface Route {
  readonly device: FrameDevice
  /** Equal for devices of equal name and labels. */
  readonly deviceKey: string
  /** null: the payload names its metrics. */
  readonly metric: string | null
  readonly partition: number
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
    const { device, labels, metric } = meaning
    const route: Route = {
      device: { name: device, labels },
      deviceKey: JSON.stringify([device, labels]),
      metric,
      partition: partitionOf(device, this.partitions),
    }
    if (this.known.size >= TOPICS_KEPT) this.known.clear()
    this.known.set(topic, route)
    return route
  }
}
