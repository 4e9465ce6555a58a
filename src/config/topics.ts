/** The topics of a source as they are written → as ingest takes them. */
import { TIME_FIELDS, type TopicEntry } from '../core/topic-rule.ts'
import type { TopicText } from './schema.ts'

export function topicsOf(topics: readonly (string | TopicText)[]): readonly TopicEntry[] {
  return topics.map((topic) => {
    if (typeof topic === 'string') return topic
    const { pattern, codec, time, device, class: template } = topic
    const fields = time?.field === undefined ? TIME_FIELDS : [time.field]
    return { pattern, codec, time: time && { fields, unit: time.unit ?? 'auto' }, device, class: template }
  })
}
