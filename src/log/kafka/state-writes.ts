/** Draws the writes of a commit and cuts them into sends: each of one partition, in the order they were drawn, bounded in bytes. */
import { assert } from '../../core/assert.ts'
import { COMPACTED, offsetKey } from '../log.ts'
import type { LogRecord, Topic, Write } from '../log.ts'
import type { Batch } from './sending.ts'
import { recordBytes, SEND_BYTES, SEND_RECORDS } from './sending.ts'

/** Most bytes drawn and not yet sent, over all partitions. */
const HELD_BYTES = 4 * SEND_BYTES

interface Filling {
  readonly topic: Topic
  readonly partition: number
  readonly records: LogRecord[]
  bytes: number
}

/** Gives batches to be sent together, no partition twice; what is left comes last. Drawing goes on only after the last were taken. */
export function* cutWrites(writes: Iterable<Write>): Generator<readonly Batch[]> {
  const filling = new Map<string, Filling>()
  let held = 0
  for (const write of writes) {
    check(write)
    const { topic, partition } = write
    const place = offsetKey(topic, partition)
    const bytes = recordBytes(write)
    const full = filling.get(place)
    if (full && (full.bytes + bytes > SEND_BYTES || full.records.length >= SEND_RECORDS)) {
      filling.delete(place)
      held -= full.bytes
      yield [full]
    }
    const batch = filling.get(place) ?? { topic, partition, records: [], bytes: 0 }
    batch.records.push({ key: write.key, value: write.value })
    batch.bytes += bytes
    filling.set(place, batch)
    held += bytes
    if (held > HELD_BYTES) {
      const all = [...filling.values()]
      filling.clear()
      held = 0
      yield all
    }
  }
  if (filling.size > 0) yield [...filling.values()]
}

/** A transaction in `readings` would hold back every reader of them while it is open, for its whole time when its owner dies in it. */
function check({ topic, value }: Write): void {
  assert(topic !== 'readings', 'a commit writes nothing to readings: append it')
  assert(value !== null || COMPACTED.has(topic), `${topic} keeps every record: there is nothing to delete`)
}
