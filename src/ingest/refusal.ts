/** A message that can't be taken as readings: why, as a dead letter's reason and for people. */
import { PipelineError } from '../core/errors.ts'

/** Closed: each is a label of `picket_dead_letters_total` and the `reason` of a dead letter. Additions only. */
const REFUSAL_REASONS = [
  'array', // a list where none is read, or one with something else than samples or plain values in it
  'device', // the payload does not say which device it is of
  'duplicate_metric', // two fields come to one metric: {"a.b": 1, "a": {"b": 2}}
  'encoding', // not UTF-8
  'event_time', // the field of the event time holds none
  'identity', // of a device that who published it may not speak for
  'not_finite', // a number beyond float64
  'not_json', // no JSON text, or not a JSON number
  'not_object', // JSON, but neither an object nor a number
  'payload_size',
  'topic', // fits no pattern of its source
  'name', // of device, label or metric: empty, too long, control characters, `__proto__`
  'too_deep',
  'too_many_fields',
  'too_many_samples',
] as const
export type RefusalReason = (typeof REFUSAL_REASONS)[number]

/** Of a stranger's text, UTF-16 units. */
const TEXT_SHOWN = 64
/** Of a parser's words, which end with the place of the slip. */
const WORDS_SHOWN = 160

/** Thrown by codecs and topic patterns; `ingest.ts` makes a dead letter of it. */
export class Refusal extends PipelineError {
  readonly reason: RefusalReason

  /** `text` names what, where, and what was expected. */
  constructor(reason: RefusalReason, text: string) {
    super('REFUSED', text)
    this.name = 'Refusal'
    this.reason = reason
  }
}

/** A stranger's text as a field of a log line, which is escaped there: cut. */
export function shortened(text: string, most = TEXT_SHOWN): string {
  return text.length > most ? `${text.slice(0, most)}…` : text
}

/** A stranger's text for a message to people: quoted, control characters escaped, cut. */
export function quoted(text: string): string {
  const cut = JSON.stringify(shortened(text))
  return cut.replace(/[\u007f-\u009f]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`)
}

/** A parser's words with a stranger's text in them, which quote it already: control characters escaped, cut. */
export function plain(text: string): string {
  return shortened(text, WORDS_SHOWN).replace(/\p{Cc}/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Control characters, lone surrogates (UTF-8 can't hold them) and U+FFFD, what bytes that are not UTF-8 were read as. */
const UNFIT = /[\p{Cc}\p{Cs}\ufffd]/u

/** Throws the refusal of a name that must not come in. `longest` counts UTF-16 units. */
export function checkName(what: string, name: string, longest: number): void {
  if (name === '') throw new Refusal('name', `${what} is empty, expected 1 to ${longest} characters`)
  if (name.length > longest)
    throw new Refusal('name', `${what} ${quoted(name)} has ${name.length} characters, at most ${longest} are allowed`)
  if (UNFIT.test(name)) throw new Refusal('name', `${what} ${quoted(name)} holds a control character or bytes that are not UTF-8`)
  // A reader that keeps names as keys of a plain object would lose or poison it.
  if (name === '__proto__') throw new Refusal('name', `${what} may not be named __proto__`)
}
