/** How a partition is taken over by detect: pages back into rows, what the incidents partition already holds, and what is still open, said to its readers. */
import type { Position } from '../core/position.ts'
import { comparePositions } from '../core/position.ts'
import { isPipelineError } from '../core/errors.ts'
import { FRAME_MESSAGES } from '../log/frame.ts'
import { type Appended, type Log, offsetKey, type Partition, type Restored } from '../log/log.ts'
import { decodePage, type Page } from '../log/page.ts'
import { type ConfigInForce, decodeIncidentRecord, encodeIncidentRecord } from '../log/revision.ts'

const READ_AT_ONCE = 1000

export interface TakenOver {
  readonly restored: Restored
  readonly pages: readonly Page[]
  /** Keys of the pages in the log. */
  readonly keys: readonly string[]
  /** The state can't be used: a page is damaged, or it was made from another topic. Why, or null. */
  readonly unusable: string | null
}

/** Reads the state back. A page that can't be read makes all of it unusable: rows of different cuts must never meet. */
export async function takeOver(owned: Partition): Promise<TakenOver> {
  const pages: Page[] = []
  const keys: string[] = []
  let unusable: string | null = null
  const restored = await owned.restore((key, value) => {
    keys.push(key)
    try {
      pages.push(decodePage(value))
    } catch (error) {
      if (!isPipelineError(error, 'BAD_RECORD')) throw error
      unusable = error.message
    }
  })
  if (restored.recreated) unusable = `readings/${owned.number} ends before the place its state stands at: the topic was recreated`
  return { restored, pages, keys, unusable }
}

export interface IncidentsEnd {
  /** Offset one past the last record. */
  readonly next: number
  /** The furthest place a revision since `from` was made at. */
  readonly furthest: Position | null
}

/** What the incidents partition holds from `from` on: written by owners that came further than the state did. */
export async function readIncidentsEnd(log: Log, partition: number, { from, incarnation }: { from: number; incarnation: string }): Promise<IncidentsEnd> {
  let furthest: Position | null = null
  let next = from
  for (;;) {
    const slice = await log.read('incidents', partition, next, READ_AT_ONCE)
    if (!slice) return { next, furthest }
    for (const { value } of slice.records) {
      const position = value && revisionPosition(value, incarnation)
      if (position && (!furthest || comparePositions(position, furthest) > 0)) furthest = position
    }
    next = slice.next
  }
}

/** Before any place: passed as soon as the topic's incarnation is known. */
const BEFORE_ALL: Position = { offset: -1, index: 0 }

/** Null for any other record, and for one that can't be read: its readers skip it too. One of a former topic has no place in this one. */
function revisionPosition(value: Uint8Array, incarnation: string): Position | null {
  try {
    const record = decodeIncidentRecord(value)
    if (record.kind !== 'revision') return null
    return record.stamp.incarnation === incarnation ? record.stamp.position : BEFORE_ALL
  } catch (error) {
    if (!isPipelineError(error, 'BAD_RECORD')) throw error
    return null
  }
}

/** How things stand at `cut`, the next offset of the readings. */
export interface Stand {
  readonly incarnation: string
  readonly epoch: number
  readonly cut: number
  readonly ids: readonly string[]
  readonly config: ConfigInForce | null
}

/** Tells readers which config is in force and what is open: what else they hold open from before the cut was superseded. */
export function sayOpen(log: Log, partition: number, { incarnation, epoch, cut, ids, config }: Stand): Promise<Appended> {
  const position = { offset: cut - 1, index: FRAME_MESSAGES }
  const value = encodeIncidentRecord({ kind: 'opened', stamp: { incarnation, epoch, position, n: 0 }, ids, config })
  return log.append('incidents', partition, [{ key: '', value }])
}

/** Where the state's owner stood: in the readings, and in the incidents it had written. */
export function placesOf(restored: Restored, partition: number): { readings: number | undefined; incidents: number | undefined } {
  return { readings: restored.next.get(offsetKey('readings', partition)), incidents: restored.next.get(offsetKey('incidents', partition)) }
}
