/** Chooses the codec of a payload: from bytes to samples, or the refusal that becomes a dead letter. */
import { isUtf8 } from 'node:buffer'
import type { Field } from '../../core/message.ts'
import type { IngestLimits } from '../limits.ts'
import { Refusal } from '../refusal.ts'
import { categoryField } from './fields.ts'
import { decodeJson } from './json.ts'
import { decodeNumber } from './number.ts'
import { NO_NAMES } from './payload-plan.ts'
import type { PayloadPlan, PayloadSample } from './payload-plan.ts'

/** The first byte of a JSON number after white space. */
const NUMBER_START = /^[ \t\r\n]*[-0-9]/
/** Name of the metric of a payload that is one value, where the topic gives none. */
const SINGLE_METRIC = 'value'

type Samples = readonly PayloadSample[]

/** `metric`: from the topic, or null. At least one sample, in the payload's order. Throws a Refusal. */
export function decodePayload(payload: Uint8Array, metric: string | null, plan: PayloadPlan, limits: IngestLimits): Samples {
  if (payload.length > limits.payloadBytes)
    throw new Refusal('payload_size', `payload has ${payload.length} bytes, at most ${limits.payloadBytes} are allowed`)
  if (!isUtf8(payload)) throw new Refusal('encoding', 'payload is not UTF-8, the only encoding that is read')
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8')
  const startsNumber = (plan.codec === 'auto' || plan.codec === 'plain') && NUMBER_START.test(text)
  if (plan.codec === 'text' || (plan.codec === 'plain' && !startsNumber)) return single(categoryField(metric ?? SINGLE_METRIC, text), plan)
  return plan.codec === 'number' || startsNumber ? single(decodeNumber(text, metric ?? SINGLE_METRIC), plan) : decodeJson(text, metric, plan, limits)
}

function single(field: Field, { nameFields }: PayloadPlan): Samples {
  if (nameFields.length > 0) throw new Refusal('device', `payload is one value, expected a JSON object with field ${nameFields.join(', ')}`)
  return [{ time: null, fields: [field], names: NO_NAMES }]
}
