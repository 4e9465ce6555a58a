/** What Picket's topics, groups and transactional ids are called in Kafka. */
import type { Topic } from '../log.ts'

/** One partition without records: who is assigned it leads. */
export const LEADERS = 'leaders'

export function topicName(prefix: string, topic: Topic | typeof LEADERS): string {
  return `${prefix}${topic}`
}

/** Of the owners of the readings. */
export function detectGroup(prefix: string): string {
  return `${prefix}detect`
}

export function leaderGroup(prefix: string, name: string): string {
  return `${prefix}leader-${name}`
}

export function detectTransactionalId(prefix: string, partition: number): string {
  return `${prefix}detect-${partition}`
}

export function leaderTransactionalId(prefix: string, name: string): string {
  return `${prefix}leader-${name}`
}
