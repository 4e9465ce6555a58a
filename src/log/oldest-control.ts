/** Which topic a readings partition belongs to: by the oldest control record kept in it, so that ingest, detect and respond find the same. */
import { isPipelineError } from '../core/errors.ts'
import { decodeControl, isControl } from './control.ts'
import type { Control } from './control.ts'
import type { Log } from './log.ts'

export interface ControlPlace {
  readonly offset: number
  readonly incarnation: string
}

export interface Stretch {
  /** Offset of its first record; left out: the oldest kept. */
  readonly from?: number
  /** Records looked at. */
  readonly most: number
}

/** Records read at once after the first, which names it as a rule: frames are up to 512 KiB. */
const READ_AT_ONCE = 32

/** What the first readable control record of the stretch says; null when it has none. */
export async function oldestControl(log: Log, partition: number, { from, most }: Stretch): Promise<ControlPlace | null> {
  const start = from ?? (await log.bounds('readings', partition)).low
  const end = start + most
  for (let next = start; next < end; ) {
    const slice = await log.read('readings', partition, next, next === start ? 1 : Math.min(READ_AT_ONCE, end - next))
    if (!slice) return null
    for (const { offset, value } of slice.records) {
      const control = offset < end ? readableControl(value) : null
      if (control) return { offset, incarnation: control.incarnation }
    }
    next = slice.next
  }
  return null
}

/** Null for any other record, and for a damaged one, which detect counts when it comes to it. */
function readableControl(value: Uint8Array | null): Control | null {
  if (!value || !isControl(value)) return null
  try {
    return decodeControl(value)
  } catch (error) {
    if (!isPipelineError(error, 'BAD_RECORD')) throw error
    return null
  }
}
