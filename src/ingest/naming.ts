/** How the devices of a topic are called: its templates, filled in from the topic's parts, the payload's fields and the message's user properties. */
import { PipelineError } from '../core/errors.ts'
import { templatePieces } from '../core/topic-rule.ts'
import type { TemplatePiece } from '../core/topic-rule.ts'
import { checkName, quoted, Refusal } from './refusal.ts'

export interface Named {
  readonly device: string
  /** All named parts but `device` and `metric`, and the class. */
  readonly labels: Readonly<Record<string, string>>
}

/** The topic's parts, as text. */
type Parts = ReadonlyMap<string, string>
/** User properties of the message (MQTT 5). */
export type Properties = ReadonlyMap<string, string>
const NO_PROPERTIES: Properties = new Map()

/** What a template is filled in from. */
interface Said {
  readonly parts: Parts
  /** What the payload says in `Naming.fields`, in their order. */
  readonly fields: readonly string[]
  readonly properties: Properties
}

export class Naming {
  /** Fields of the payload that the templates need, each once. */
  readonly fields: readonly string[]
  /** Whether the topic alone says the device. */
  readonly isByTopic: boolean
  /** Whether device and class may differ between messages of one topic. */
  readonly isByMessage: boolean
  readonly #device: readonly TemplatePiece[]
  readonly #class: readonly TemplatePiece[] | null
  readonly #nameLength: number

  /** Templates; `of.class` null: the topic's part {class}. Throws BAD_CONFIG for a brace that belongs to no part or field. */
  constructor(of: { readonly device: string; readonly class: string | null }, nameLength: number) {
    this.#device = piecesOf('device', of.device)
    this.#class = of.class === null ? null : piecesOf('class', of.class)
    this.#nameLength = nameLength
    this.isByTopic = this.#device.every(isOfTopic)
    this.isByMessage = ![...this.#device, ...(this.#class ?? [])].every(isOfTopic)
    this.fields = [...new Set([...this.#device, ...(this.#class ?? [])].flatMap(({ kind, text }) => (kind === 'field' ? [text] : [])))]
  }

  /** Only where the topic alone says it. Throws a Refusal. */
  deviceByTopic(parts: Parts): string {
    return this.#fill('device', this.#device, { parts, fields: [], properties: NO_PROPERTIES })
  }

  /** `fields`: what the payload says in those of `this.fields`, in their order. Throws a Refusal. */
  nameOf(parts: Parts, fields: readonly string[], properties: Properties = NO_PROPERTIES): Named {
    const said = { parts, fields, properties }
    const labels: Record<string, string> = {}
    for (const [part, value] of parts) if (part !== 'device' && part !== 'metric') labels[part] = value
    if (this.#class !== null) labels['class'] = this.#fill('class', this.#class, said)
    return { device: this.#fill('device', this.#device, said), labels }
  }

  #fill(what: string, pieces: readonly TemplatePiece[], said: Said): string {
    const text = pieces.map((piece) => this.#textOf(piece, said)).join('')
    checkName(what, text, this.#nameLength)
    return text
  }

  #textOf({ kind, text }: TemplatePiece, { parts, fields, properties }: Said): string {
    if (kind === 'text') return text
    if (kind === 'part') return parts.get(text) ?? ''
    if (kind === 'property') return this.#property(text, properties)
    const value = fields[this.fields.indexOf(text)] ?? ''
    checkName(`field ${quoted(text)}`, value, this.#nameLength)
    return value
  }

  #property(name: string, properties: Properties): string {
    const value = properties.get(name)
    if (value === undefined)
      throw new Refusal('device', `user property ${quoted(name)}, which names the device or its class, is missing, expected text`)
    checkName(`user property ${quoted(name)}`, value, this.#nameLength)
    return value
  }
}

function isOfTopic({ kind }: TemplatePiece): boolean {
  return kind === 'text' || kind === 'part'
}

function piecesOf(what: string, template: string): readonly TemplatePiece[] {
  const pieces = templatePieces(template)
  if (!pieces.some(({ kind, text }) => kind === 'text' && /[{}]/.test(text))) return pieces
  const text = `${what} template ${quoted(template)} has a brace that is no part such as {site}, no {payload.field} and no {property.name}`
  throw new PipelineError('BAD_CONFIG', text)
}
