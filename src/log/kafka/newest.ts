/** Reads a compacted partition whole and gives the newest value of each key that lives, once. */
import { PipelineError } from '../../core/errors.ts'
import type { StoredRecord, Topic } from '../log.ts'
import type { Feeds } from './feeds.ts'

/** Values are held while all that was read is no more than this; a larger state is read twice instead, and held never. */
const HELD_BYTES = 64 * 1024 * 1024

export interface NewestOptions {
  readonly feeds: Pick<Feeds, 'readAll'>
  readonly topic: Topic
  readonly partition: number
  readonly signal: AbortSignal
  /** Left out: 64 MiB. */
  readonly heldBytes?: number
}

interface Live {
  readonly offset: number
  /** null while values are not held. */
  value: Uint8Array | null
}

/** Nobody else may write to the partition meanwhile. Throws what reading throws. */
export async function readNewest(options: NewestOptions, each: (key: string, value: Uint8Array) => void): Promise<void> {
  const { feeds, topic, partition, signal, heldBytes = HELD_BYTES } = options
  const live = new Map<string, Live>()
  let isHeld = true
  let bytes = 0
  const index = ({ key, value, offset }: StoredRecord) => {
    if (value === null) live.delete(key)
    else live.set(key, { offset, value: isHeld ? value : null })
    bytes += value?.length ?? 0
    if (!isHeld || bytes <= heldBytes) return
    isHeld = false
    for (const one of live.values()) one.value = null
  }
  await feeds.readAll(topic, partition, index, signal)
  checkWhole(options)
  if (isHeld) {
    for (const [key, { value }] of live) if (value) each(key, value)
    return
  }
  const give = ({ key, value, offset }: StoredRecord) => {
    if (value === null || live.get(key)?.offset !== offset) return
    live.delete(key)
    each(key, value)
  }
  await feeds.readAll(topic, partition, give, signal)
  checkWhole(options)
  if (live.size > 0) throw new PipelineError('IO', `${live.size} keys of ${topic}/${partition} were gone when it was read the second time`)
}

function checkWhole({ topic, partition, signal }: NewestOptions): void {
  if (signal.aborted) throw new PipelineError('CLOSED', `${topic}/${partition} was left while it was read`)
}
