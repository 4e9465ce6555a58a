/** The topics of a source as they are written → as ingest takes them. */
import { TIME_FIELDS, type TopicEntry, type TopicRule } from '../core/topic-rule.ts'
import type { TopicText } from './schema.ts'

type TimeText = NonNullable<TopicText['time']>

function timeOf({ field, property, unit = 'auto' }: TimeText): NonNullable<TopicRule['time']> {
  if (property !== undefined) return { fields: [], unit, property }
  return { fields: field === undefined ? TIME_FIELDS : [field], unit }
}

export function topicsOf(topics: readonly (string | TopicText)[]): readonly TopicEntry[] {
  return topics.map((topic) => {
    if (typeof topic === 'string') return topic
    const { pattern, codec, time, device, class: template } = topic
    return { pattern, codec, time: time && timeOf(time), device, class: template }
  })
}
