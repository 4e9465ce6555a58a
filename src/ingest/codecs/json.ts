/** Codec: a JSON object is a sample, each field a metric, nested ones by dotted names; a list of objects is as many samples. */
import type { Field } from '../../core/message.ts'
import { errorText } from '../../core/errors.ts'
import { checkName, plain, quoted, Refusal } from '../refusal.ts'
import type { IngestLimits } from '../limits.ts'
import { eventTime } from './event-time.ts'
import { fieldOf, isPlain } from './fields.ts'
import type { Plain } from './fields.ts'
import { NO_NAMES } from './payload-plan.ts'
import type { PayloadPlan, PayloadSample } from './payload-plan.ts'

type JsonObject = Readonly<Record<string, unknown>>
type Samples = readonly PayloadSample[]

/** Under a topic that names a metric, the field that is the metric itself. */
const VALUE = 'value'
/** Where a sample has nothing else to say, the object its metrics are in: `{ts, values: {…}}`. */
const VALUES = 'values'

/** At least one sample. With `metric`, field `value` becomes that metric and any other `metric.field`. Throws a Refusal. */
export function decodeJson(text: string, metric: string | null, plan: PayloadPlan, limits: IngestLimits): Samples {
  const root = parse(text)
  if (isObject(root)) return [sampleOf(root, metric, plan, limits)]
  if (Array.isArray(root)) return samplesOf(root, metric, plan, limits)
  if (metric !== null && isPlain(root) && plan.nameFields.length === 0)
    return [{ time: null, fields: [fieldOf(metric, root)], names: NO_NAMES }]
  throw new Refusal('not_object', `payload is ${kindOf(root)}, expected a JSON object, a list of them or a number`)
}

function parse(text: string): unknown {
  if (text.startsWith('\ufeff')) throw new Refusal('not_json', 'payload begins with a byte order mark (BOM), expected JSON without one')
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Refusal('not_json', `payload is no JSON: ${plain(errorText(error))}`)
  }
}

function samplesOf(list: readonly unknown[], metric: string | null, plan: PayloadPlan, limits: IngestLimits): Samples {
  const { length } = list
  if (length === 0) throw new Refusal('array', 'payload is an empty list, expected one of JSON objects, each a sample')
  if (length > limits.samples) throw new Refusal('too_many_samples', `payload has ${length} samples, at most ${limits.samples} are allowed`)
  return list.map((one, i) => {
    const which = `sample ${i + 1} of ${length}`
    if (!isObject(one)) throw new Refusal('array', `${which} is ${kindOf(one)}, expected a JSON object`)
    try {
      return sampleOf(one, metric, plan, limits)
    } catch (error) {
      if (error instanceof Refusal) throw new Refusal(error.reason, `${which}: ${error.message}`)
      throw error
    }
  })
}

function sampleOf(root: JsonObject, metric: string | null, plan: PayloadPlan, limits: IngestLimits): PayloadSample {
  const timeField = timeFieldOf(root, plan.timeFields)
  const claimed = timeField === null ? null : valueAt(root, timeField)
  const time = timeField === null || claimed === null ? null : eventTime(timeField, claimed, plan.timeUnit)
  const names = plan.nameFields.length === 0 ? NO_NAMES : plan.nameFields.map((field) => nameAt(root, field))
  const fields = new FieldReader(metric, limits).read(root, timeField, plan.nameFields)
  return { time, fields, names }
}

/** An absent one is null, and so is one that is there and null: then the time of arrival counts. */
function timeFieldOf(root: JsonObject, candidates: readonly string[]): string | null {
  for (const name of candidates) if (valueAt(root, name) !== undefined) return name
  return null
}

/** By its whole name or, at each of its dots, in the object of the first part; undefined where there is none. */
function valueAt(object: JsonObject, name: string): unknown {
  if (Object.hasOwn(object, name)) return object[name]
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const first = name.slice(0, dot)
    const inner = Object.hasOwn(object, first) ? object[first] : undefined
    const found = isObject(inner) ? valueAt(inner, name.slice(dot + 1)) : undefined
    if (found !== undefined) return found
  }
  return undefined
}

function nameAt(root: JsonObject, field: string): string {
  const value = valueAt(root, field)
  if (typeof value === 'string') return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value)
  const found = value === undefined ? 'missing' : kindOf(value)
  throw new Refusal('device', `field ${quoted(field)}, which names the device or its class, is ${found}, expected text or a whole number`)
}

/** One sample's fields. Names of its own that say time, device or class are no metrics. */
class FieldReader {
  readonly #metric: string | null
  readonly #limits: IngestLimits
  readonly #fields: Field[] = []
  /** Only once names may meet: the keys of one object never do. */
  #seen: Set<string> | null = null
  #timeField: string | null = null
  #nameFields: readonly string[] = NO_NAMES

  constructor(metric: string | null, limits: IngestLimits) {
    this.#metric = metric
    this.#limits = limits
  }

  read(root: JsonObject, timeField: string | null, nameFields: readonly string[]): readonly Field[] {
    this.#timeField = timeField
    this.#nameFields = nameFields
    const values = root[VALUES]
    const wrapped = isObject(values) ? values : null
    for (const key of Object.keys(root)) if (wrapped === null || key !== VALUES) this.#add(key, key, root[key], 1)
    if (wrapped === null) return this.#fields
    if (this.#fields.length > 0) this.#add(VALUES, VALUES, wrapped, 1)
    else this.#unwrap(wrapped)
    return this.#fields
  }

  #unwrap(wrapped: JsonObject): void {
    const inside = (name: string) => (name.startsWith(`${VALUES}.`) ? [name.slice(VALUES.length + 1)] : [])
    this.#timeField = this.#timeField === null ? null : (inside(this.#timeField)[0] ?? null)
    this.#nameFields = this.#nameFields.flatMap(inside)
    for (const key of Object.keys(wrapped)) this.#add(key, key, wrapped[key], 1)
  }

  /** `key` is the last part of `path`. `depth` of the object the value stands in, from 1. */
  #add(path: string, key: string, value: unknown, depth: number): void {
    if (path === this.#timeField || this.#nameFields.includes(path)) return
    checkName('field name', key, this.#limits.nameLength)
    if (isPlain(value)) return this.#addPlain(path, key, value)
    this.#seen ??= new Set(this.#fields.map(({ metric }) => metric))
    if (Array.isArray(value)) return this.#addList(path, value)
    const { nesting } = this.#limits
    if (depth >= nesting)
      throw new Refusal('too_deep', `field ${quoted(path)} is an object ${depth + 1} deep, at most ${nesting} are allowed`)
    const object = value as JsonObject
    for (const inner of Object.keys(object)) this.#add(`${path}.${inner}`, inner, object[inner], depth + 1)
  }

  #addList(path: string, list: readonly unknown[]): void {
    list.forEach((value, i) => {
      const expected = 'expected numbers, true, false, text or null'
      if (!isPlain(value)) throw new Refusal('array', `field ${quoted(path)} is a list with ${kindOf(value)} in it, ${expected}`)
      this.#addPlain(`${path}.${i}`, '', value)
    })
  }

  #addPlain(path: string, key: string, value: Plain): void {
    const { fields, nameLength } = this.#limits
    const name = this.#metric === null ? path : path === VALUE ? this.#metric : `${this.#metric}.${path}`
    if (name !== key) checkName('metric', name, nameLength)
    if (this.#fields.length >= fields) throw new Refusal('too_many_fields', `payload has more than ${fields} fields`)
    if (this.#seen !== null) {
      if (this.#seen.has(name))
        throw new Refusal('duplicate_metric', `two fields are named ${quoted(name)} when nested names are joined by dots`)
      this.#seen.add(name)
    }
    this.#fields.push(fieldOf(name, value))
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function kindOf(value: unknown): string {
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'an object'
  return typeof value === 'string' ? 'text' : 'a number'
}
