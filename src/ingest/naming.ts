/** How the devices of a topic are called: its templates, filled in from the topic's parts and the payload's fields. */
import { PipelineError } from '../core/errors.ts'
import { templatePieces } from '../core/topic-rule.ts'
import type { TemplatePiece } from '../core/topic-rule.ts'
import { checkName, quoted } from './refusal.ts'

export interface Named {
  readonly device: string
  /** All named parts but `device` and `metric`, and the class. */
  readonly labels: Readonly<Record<string, string>>
}

/** The topic's parts, as text. */
type Parts = ReadonlyMap<string, string>

export class Naming {
  /** Fields of the payload that the templates need, each once. */
  readonly fields: readonly string[]
  /** Whether the topic alone says the device. */
  readonly isByTopic: boolean
  readonly #device: readonly TemplatePiece[]
  readonly #class: readonly TemplatePiece[] | null
  readonly #nameLength: number

  /** Templates; `of.class` null: the topic's part {class}. Throws BAD_CONFIG for a brace that belongs to no part or field. */
  constructor(of: { readonly device: string; readonly class: string | null }, nameLength: number) {
    this.#device = piecesOf('device', of.device)
    this.#class = of.class === null ? null : piecesOf('class', of.class)
    this.#nameLength = nameLength
    this.isByTopic = this.#device.every(({ kind }) => kind !== 'field')
    this.fields = [...new Set([...this.#device, ...(this.#class ?? [])].flatMap(({ kind, text }) => (kind === 'field' ? [text] : [])))]
  }

  /** Only where the topic alone says it. Throws a Refusal. */
  deviceByTopic(parts: Parts): string {
    return this.#fill('device', this.#device, parts, [])
  }

  /** `said`: what the payload says in `fields`, in their order. Throws a Refusal. */
  nameOf(parts: Parts, said: readonly string[]): Named {
    const labels: Record<string, string> = {}
    for (const [part, value] of parts) if (part !== 'device' && part !== 'metric') labels[part] = value
    if (this.#class !== null) labels['class'] = this.#fill('class', this.#class, parts, said)
    return { device: this.#fill('device', this.#device, parts, said), labels }
  }

  #fill(what: string, pieces: readonly TemplatePiece[], parts: Parts, said: readonly string[]): string {
    const text = pieces.map((piece) => this.#textOf(piece, parts, said)).join('')
    checkName(what, text, this.#nameLength)
    return text
  }

  #textOf({ kind, text }: TemplatePiece, parts: Parts, said: readonly string[]): string {
    if (kind === 'text') return text
    if (kind === 'part') return parts.get(text) ?? ''
    const value = said[this.fields.indexOf(text)] ?? ''
    checkName(`field ${quoted(text)}`, value, this.#nameLength)
    return value
  }
}

function piecesOf(what: string, template: string): readonly TemplatePiece[] {
  const pieces = templatePieces(template)
  if (!pieces.some(({ kind, text }) => kind === 'text' && /[{}]/.test(text))) return pieces
  const text = `${what} template ${quoted(template)} has a brace that is no part such as {site} and no {payload.field}`
  throw new PipelineError('BAD_CONFIG', text)
}
