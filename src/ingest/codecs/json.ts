/** Codec: a JSON object, each field a metric, nested objects by dotted names; `ts` is the event time. */
import { KIND_BOOLEAN, KIND_CATEGORY, KIND_MISSING, KIND_NUMBER } from '../../core/message.ts'
import type { Field, Sample } from '../../core/message.ts'
import { hashText } from '../../core/hash.ts'
import { errorText } from '../../core/errors.ts'
import { checkName, plain, quoted, Refusal } from '../refusal.ts'
import type { IngestLimits } from '../limits.ts'
import { eventTime } from './event-time.ts'

/** Key of the event time, in the outermost object alone. */
const TIME = 'ts'
/** Under a topic that names a metric, the field that is the metric itself. */
const VALUE = 'value'

/** Reads `text`. With `metric`, field `value` becomes that metric and any other `metric.field`. Throws a Refusal. */
export function decodeJson(text: string, metric: string | null, limits: IngestLimits): Sample {
  const root = parse(text)
  if (root === null || typeof root !== 'object')
    throw new Refusal('not_object', `payload is ${root === null ? 'null' : `a ${typeof root}`}, expected a JSON object or a number`)
  if (Array.isArray(root)) throw new Refusal('array', 'payload is a list, expected a JSON object or a number')
  const fields = new Map<string, Field>()
  let time: number | null = null
  for (const [key, value] of Object.entries(root)) {
    if (key === TIME) time = value === null ? null : eventTime(value)
    else addFields(fields, metric === null ? key : key === VALUE ? metric : `${metric}.${key}`, key, value, 1, limits)
  }
  return { time, fields: [...fields.values()] }
}

function parse(text: string): unknown {
  if (text.startsWith('\ufeff')) throw new Refusal('not_json', 'payload begins with a byte order mark (BOM), expected JSON without one')
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Refusal('not_json', `payload is no JSON: ${plain(errorText(error))}`)
  }
}

/** `key` is the last part of `name`. `depth` of the object the value stands in, from 1. */
function addFields(fields: Map<string, Field>, name: string, key: string, value: unknown, depth: number, limits: IngestLimits): void {
  checkName('field name', key, limits.nameLength)
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    if (depth >= limits.nesting)
      throw new Refusal('too_deep', `field ${quoted(name)} is an object ${depth + 1} deep, at most ${limits.nesting} are allowed`)
    for (const [inner, innerValue] of Object.entries(value)) addFields(fields, `${name}.${inner}`, inner, innerValue, depth + 1, limits)
    return
  }
  if (name !== key) checkName('metric', name, limits.nameLength)
  if (fields.has(name)) throw new Refusal('duplicate_metric', `two fields are named ${quoted(name)} when nested names are joined by dots`)
  if (fields.size >= limits.fields) throw new Refusal('too_many_fields', `payload has more than ${limits.fields} fields`)
  fields.set(name, fieldOf(name, value))
}

function fieldOf(metric: string, value: unknown): Field {
  switch (typeof value) {
    case 'number':
      return numberField(metric, value)
    case 'boolean':
      return { metric, kind: KIND_BOOLEAN, value: value ? 1 : 0, text: '' }
    case 'string':
      return { metric, kind: KIND_CATEGORY, value: hashText(value), text: value }
    default:
      if (value === null) return { metric, kind: KIND_MISSING, value: 0, text: '' }
      throw new Refusal('array', `field ${quoted(metric)} is a list, expected a number, true, false, text, null or an object`)
  }
}

/** JSON has no infinity, but 1e999 is read as one. −0 becomes 0, so that equal values have equal bits. */
export function numberField(metric: string, value: number): Field {
  if (!Number.isFinite(value)) throw new Refusal('not_finite', `metric ${quoted(metric)} is beyond ±1.8e308`)
  return { metric, kind: KIND_NUMBER, value: value + 0, text: '' }
}
