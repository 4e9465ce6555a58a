/** The log that a run left in Kafka, as the acceptance reads it. */
import { decodeRecord } from '../../src/cli/log-decode.ts'
import { openKafka } from '../../src/log/kafka/kafka.ts'
import type { Log } from '../../src/log/log.ts'
import { systemClock } from '../../src/ops/clock.ts'
import type { Metrics } from '../../src/ops/metrics.ts'
import { systemRandom } from '../../src/ops/random.ts'
import type { Takeover } from './disturbances.ts'
import { recordsOf } from './rows.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const instrument = { add() {}, set() {}, observe() {} }
const unmeasured: Metrics = { counter: () => instrument, gauge: () => instrument, histogram: () => instrument }
/** A takeover's standstill begins within it. */
const FOLLOWS_MS = 30_000

export function openLog({ brokers, prefix, partitions }: { readonly brokers: readonly string[]; readonly prefix: string; readonly partitions: number }): Promise<Log> {
  const ports = { clock: systemClock, random: systemRandom, logger: quiet, metrics: unmeasured }
  const topics = { replication: 3, minInSync: 2, retention: { bytes: null, ageMs: null }, partitions, key: '{device}' }
  return openKafka({ ...ports, ...topics, brokers, prefix, name: 'acceptance', compression: 'lz4', tls: null, sasl: null })
}

/** Append times of the frames, ms since epoch, a partition. */
export type FrameTimes = readonly (readonly number[])[]

/** Every acked `device:time` is there, and none twice unless the repeat is flagged. */
export async function requireReadings(log: Log, acked: ReadonlySet<string>, require: (holds: boolean, what: string) => void): Promise<FrameTimes> {
  const seen = new Set<string>()
  const counts = { doubled: 0, flagged: 0, gaps: 0 }
  const times: number[][] = []
  for (let p = 0; p < log.partitions; p++) {
    const own: number[] = []
    let next = 0
    for (const record of await recordsOf(log, 'readings', p)) {
      if (record.offset !== next) counts.gaps++
      next = record.offset + 1
      for (const message of decodeRecord('readings', p, record)) {
        if (!('metrics' in message)) continue // a control record
        const key = `${message.device}:${message.time}`
        if (seen.has(key)) counts[(message.flags as string[]).includes('dup') ? 'flagged' : 'doubled']++
        seen.add(key)
        if (own.at(-1) !== record.time) own.push(record.time)
      }
    }
    times.push(own)
  }
  const lost = [...acked].filter((key) => !seen.has(key))
  require(lost.length === 0, `all ${acked.size} messages that devices had acknowledged are in the log (${lost.length} missing: ${lost.slice(0, 3).join(', ')})`)
  require(counts.doubled === 0, `none is there twice unless flagged as a duplicate (${counts.doubled} are; ${counts.flagged} flagged)`)
  require(counts.gaps === 0, `the offsets of the readings have no gap (${counts.gaps})`)
  return times
}

/** The longest time that some partition took no frame, after each disturbance. */
export function standstills(frames: FrameTimes, takeovers: readonly Takeover[]): { readonly what: string; readonly ms: number }[] {
  return takeovers.map(({ what, at }, i) => {
    const end = Math.min(at + FOLLOWS_MS, takeovers[i + 1]?.at ?? Infinity)
    const longest = frames.map((times) => {
      const within = times.filter((time) => time > at - 1000 && time < end)
      return within.reduce((most, time, k) => Math.max(most, k === 0 ? 0 : time - within[k - 1]!), 0)
    })
    return { what, ms: Math.max(...longest) }
  })
}
