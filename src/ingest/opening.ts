/** Before the first message: every readings partition gets its first config record, or tells which incarnation of the topic it is. */
import { PipelineError } from '../core/errors.ts'
import { idOf } from '../core/hash.ts'
import type { Settings } from '../core/settings.ts'
import { encodeControl } from '../log/control.ts'
import type { Bounds, Log } from '../log/log.ts'
import { oldestControl } from '../log/oldest-control.ts'
import type { Clock } from '../ops/clock.ts'
import type { Random } from '../ops/random.ts'

export interface OpeningOptions {
  readonly log: Log
  readonly clock: Clock
  readonly random: Random
  readonly settings: Settings
  readonly settingsHash: string
}

/** Records looked through at once. */
const STEP = 256
/** Steps from the newest record back: ticks come once a second, so this is many minutes of the fullest partition. */
const STEPS_BACK = 64
/** Steps from the oldest record on. */
const STEPS_ON = 4

/**
 * The incarnation of each readings partition, by number. Writes config version 1, durable, into those without records; they take over the
 * incarnation the others have, or a fresh one. Throws BAD_RECORD where a partition has records and none that names it, IO, DISK_FULL.
 */
export async function openReadings(options: OpeningOptions): Promise<readonly string[]> {
  const { log, random } = options
  const found: (string | null)[] = []
  for (let partition = 0; partition < log.partitions; partition++) {
    const bounds = await log.bounds('readings', partition)
    found.push(bounds.low === bounds.high ? null : await learnIncarnation(log, partition, bounds))
  }
  const incarnation = found.find((one) => one !== null) ?? random.id()
  return Promise.all(found.map((one, partition) => one ?? writeFirstConfig(options, partition, incarnation)))
}

/** The incarnation the partition has then: another process may have found it empty too, and the record that came first counts. */
async function writeFirstConfig(options: OpeningOptions, partition: number, incarnation: string): Promise<string> {
  const { log, clock, settings, settingsHash } = options
  const id = idOf('config', incarnation, partition, 1)
  const value = encodeControl({ id, incarnation, at: clock.now(), body: { kind: 'config', version: 1, hash: settingsHash, settings } })
  const appended = await log.append('readings', partition, [{ key: '', value }])
  await appended.flushed
  return learnIncarnation(log, partition, await log.bounds('readings', partition))
}

/** By the oldest control record kept, as everybody else does; where the oldest are frames alone, by the newest. */
async function learnIncarnation(log: Log, partition: number, bounds: Bounds): Promise<string> {
  const oldest = await oldestControl(log, partition, { from: bounds.low, most: STEPS_ON * STEP })
  if (oldest) return oldest.incarnation
  let end = bounds.high
  for (let step = 0; step < STEPS_BACK && end > bounds.low; step++) {
    const start = Math.max(bounds.low, end - STEP)
    const found = await oldestControl(log, partition, { from: start, most: end - start })
    if (found) return found.incarnation
    end = start
  }
  throw new PipelineError(
    'BAD_RECORD',
    `readings/${partition} holds ${bounds.high - bounds.low} records, but no tick or config in its newest ${STEPS_BACK * STEP} ` +
      `and oldest ${STEPS_ON * STEP} that names the topic's incarnation: it was not written by picket, or is damaged`,
  )
}
