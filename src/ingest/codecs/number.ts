/** Codec: a plain number in JSON's notation, the whole payload one reading. */
import type { Field } from '../../core/message.ts'
import { quoted, Refusal } from '../refusal.ts'
import { numberField } from './fields.ts'

/** RFC 8259, section 6, with its white space around. */
const NUMBER = /^[ \t\r\n]*-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[ \t\r\n]*$/

/** Throws a Refusal. */
export function decodeNumber(text: string, metric: string): Field {
  if (!NUMBER.test(text)) throw new Refusal('not_json', `payload ${quoted(text)} is no number in JSON's notation`)
  return numberField(metric, Number(text))
}
