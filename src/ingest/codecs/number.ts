/** Codec: a plain number in JSON's notation, the whole payload one reading. */
import type { Sample } from '../../core/message.ts'
import { quoted, Refusal } from '../refusal.ts'
import { numberField } from './json.ts'

/** RFC 8259, section 6, with its white space around. */
const NUMBER = /^[ \t\r\n]*-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[ \t\r\n]*$/

/** Name of the metric where the topic gives none. */
const PLAIN_METRIC = 'value'

/** A sample without event time. Throws a Refusal. */
export function decodeNumber(text: string, metric: string | null): Sample {
  if (!NUMBER.test(text)) throw new Refusal('not_json', `payload ${quoted(text)} is no number in JSON's notation`)
  return { time: null, fields: [numberField(metric ?? PLAIN_METRIC, Number(text))] }
}
