/** Records of the incidents topic: a whole revision of an incident, or what an owner found open; detect writes them, respond and the API read. */
import type { Incident } from '../core/incident.ts'
import type { Stamp } from '../core/position.ts'
import { PipelineError } from '../core/errors.ts'
import { loadSchema } from './schema.ts'

export type IncidentRecord =
  /** `arrival`: when the message that made it was received, ms since epoch; delays are counted from there. */
  | { readonly kind: 'revision'; readonly stamp: Stamp; readonly arrival: number; readonly incident: Incident }
  /** `stamp.n` is 0 and without meaning. `config`: what is in force there; null in records of before it was said. */
  | { readonly kind: 'opened'; readonly stamp: Stamp; readonly ids: readonly string[]; readonly config: ConfigInForce | null }

/** The config a partition obeys. */
export interface ConfigInForce {
  readonly version: number
  readonly hash: string
  /** Of its control record in `readings`; −1: not known. */
  readonly offset: number
}

interface Envelope {
  incarnation: string
  epoch: number
  offset: number
  index: number
  body: { 'picket.Revision': { n: number; arrival: number; incident: string } } | { 'picket.StillOpen': StillOpen }
}

interface StillOpen {
  ids: readonly string[]
  config: ConfigInForce | null
}

const schema = loadSchema<Envelope>('revision.avsc', ['revision-1.avsc'])

export function encodeIncidentRecord(record: IncidentRecord): Buffer {
  const { incarnation, epoch, position } = record.stamp
  const body =
    record.kind === 'revision'
      ? { 'picket.Revision': { n: record.stamp.n, arrival: record.arrival, incident: JSON.stringify(record.incident) } }
      : { 'picket.StillOpen': { ids: record.ids, config: record.config } }
  return schema.encode({ incarnation, epoch, offset: position.offset, index: position.index, body })
}

/** Throws BAD_RECORD. */
export function decodeIncidentRecord(bytes: Uint8Array): IncidentRecord {
  const { incarnation, epoch, offset, index, body } = schema.decode(bytes)
  const position = { offset, index }
  if ('picket.StillOpen' in body) {
    const { ids, config } = body['picket.StillOpen']
    return { kind: 'opened', stamp: { incarnation, epoch, position, n: 0 }, ids, config: config && { ...config } }
  }
  const { n, arrival, incident } = body['picket.Revision']
  try {
    return { kind: 'revision', stamp: { incarnation, epoch, position, n }, arrival, incident: JSON.parse(incident) as Incident }
  } catch (cause) {
    throw new PipelineError('BAD_RECORD', 'incident revision without readable body', { cause })
  }
}
