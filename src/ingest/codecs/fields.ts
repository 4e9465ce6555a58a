/** A value of a payload as a reading's field: which kind it is of. */
import { hashText } from '../../core/hash.ts'
import { KIND_BOOLEAN, KIND_CATEGORY, KIND_MISSING, KIND_NUMBER } from '../../core/message.ts'
import type { Field } from '../../core/message.ts'
import { quoted, Refusal } from '../refusal.ts'

/** A value that is one reading. */
export type Plain = number | boolean | string | null

export function isPlain(value: unknown): value is Plain {
  return value === null || typeof value !== 'object'
}

/** Throws a Refusal for a number beyond float64. */
export function fieldOf(metric: string, value: Plain): Field {
  if (typeof value === 'number') return numberField(metric, value)
  if (typeof value === 'string') return categoryField(metric, value)
  if (value === null) return { metric, kind: KIND_MISSING, value: 0, text: '' }
  return { metric, kind: KIND_BOOLEAN, value: value ? 1 : 0, text: '' }
}

/** JSON has no infinity, but 1e999 is read as one. −0 becomes 0, so that equal values have equal bits. */
export function numberField(metric: string, value: number): Field {
  if (!Number.isFinite(value)) throw new Refusal('not_finite', `metric ${quoted(metric)} is beyond ±1.8e308`)
  return { metric, kind: KIND_NUMBER, value: value + 0, text: '' }
}

export function categoryField(metric: string, text: string): Field {
  return { metric, kind: KIND_CATEGORY, value: hashText(text), text }
}
