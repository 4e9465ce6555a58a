/** Control records: what stands among the frames of a readings partition without being one; ingest and respond write them, detect obeys. */
import { completeSettings, type Settings } from '../core/settings.ts'
import { PipelineError } from '../core/errors.ts'
import { loadSchema } from './schema.ts'

export interface SourceState {
  readonly name: string
  /** ms since epoch; null while not connected. */
  readonly connectedSince: number | null
  /** Older messages are still coming in. */
  readonly backlog: boolean
}

export type ControlBody =
  | { readonly kind: 'tick'; readonly writer: string; readonly sources: readonly SourceState[] }
  | { readonly kind: 'config'; readonly version: number; readonly hash: string; readonly settings: Settings }
  | { readonly kind: 'quarantine'; readonly device: string; readonly generation: number; /** ms; null: released */ readonly until: number | null }
  | { readonly kind: 'verdict'; readonly incident: string; readonly device: string; readonly verdict: string }
  | { readonly kind: 'reset'; readonly device: string; /** null: all of the device */ readonly metric: string | null }
  | { readonly kind: 'model'; readonly name: string; readonly version: number; readonly bytes: Uint8Array }

export interface Control {
  /** Tasks keep the last ids and skip repeats. */
  readonly id: string
  readonly incarnation: string
  /** Writer's clock, ms since epoch. */
  readonly at: number
  readonly body: ControlBody
}

const NAMES = { tick: 'Tick', config: 'Config', quarantine: 'Quarantine', verdict: 'Verdict', reset: 'Reset', model: 'Model' } as const
const KINDS = new Map(Object.entries(NAMES).map(([kind, name]) => [`picket.${name}`, kind as keyof typeof NAMES]))

interface ControlRecord {
  id: string
  incarnation: string
  at: number
  body: Record<string, Record<string, unknown>>
}

const schema = loadSchema<ControlRecord>('control.avsc')

export function encodeControl(control: Control): Buffer {
  const { kind, ...fields } = control.body
  const body = control.body.kind === 'config' ? { ...fields, settings: canonicalJson(control.body.settings) } : fields
  return schema.encode({ id: control.id, incarnation: control.incarnation, at: control.at, body: { [`picket.${NAMES[kind]}`]: body } })
}

export function isControl(bytes: Uint8Array): boolean {
  return schema.recognises(bytes)
}

/** Throws BAD_RECORD. */
export function decodeControl(bytes: Uint8Array): Control {
  const record = schema.decode(bytes)
  const [name, fields] = Object.entries(record.body)[0] ?? ['', {}]
  const kind = KINDS.get(name)
  if (!kind) throw new PipelineError('BAD_RECORD', `control record of unknown kind ${name}`)
  const body = kind === 'config' ? { ...fields, settings: parseSettings(String(fields['settings'])) } : { ...fields }
  return { id: record.id, incarnation: record.incarnation, at: record.at, body: { kind, ...body } as unknown as ControlBody }
}

function parseSettings(text: string): Settings {
  try {
    return completeSettings(JSON.parse(text) as Settings)
  } catch (cause) {
    throw new PipelineError('BAD_RECORD', 'config record without readable settings', { cause })
  }
}

/** JSON with keys in code unit order, so that equal settings have equal text and hash. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  )
}
