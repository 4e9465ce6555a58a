/** One partition without a log: records in one at a time, revisions out; every record settled at once. */
import type { Cause, Incident } from '../../src/core/incident.ts'
import type { Settings } from '../../src/core/settings.ts'
import { level } from '../../src/detect/detectors/level.ts'
import { type Made, PartitionState } from '../../src/detect/partition.ts'
import type { Control } from '../../src/log/control.ts'
import type { Frame } from '../../src/log/frame.ts'
import { configOf, frameOf, INCARNATION, type Sent, START, tickOf, type Value } from './fleet.ts'

export class Bench {
  readonly partition = new PartitionState({ incarnation: INCARNATION, partition: 0 }, () => {})
  readonly made: Made[] = []
  /** ms since `START`. */
  now = 0
  offset = 0
  #ticks = 0

  constructor(settings: Settings) {
    this.take(configOf(1, settings))
  }

  /** One record, at the present time. */
  take(record: Frame | Control): Made[] {
    const { partition } = this
    partition.advance(START + this.now)
    if ('body' in record) partition.control(record, this.offset)
    else partition.frame(record, this.offset)
    partition.settle()
    this.offset++
    const made = partition.takeMade()
    this.made.push(...made)
    return made
  }

  send(device: string, metrics: Readonly<Record<string, Value>>, fields: Partial<Sent> = {}, source?: string): Made[] {
    const arrival = START + this.now
    return this.take(frameOf([{ device, metrics, arrival, payload: this.offset + 1, ...fields }], source))
  }

  /** Seconds go by, each with a tick of the sources as given. */
  tick(seconds: number, sources?: Parameters<typeof tickOf>[1]): Made[] {
    const made: Made[] = []
    for (let i = 0; i < seconds; i++) {
      this.now += 1_000
      made.push(...this.take(tickOf(`tick-${this.#ticks++}`, sources)))
    }
    return made
  }

  open(device: string, cause: Cause): Incident | undefined {
    const last = this.made.findLast(({ incident }) => incident.device === device && incident.cause === cause)?.incident
    return last?.state === 'open' ? last : undefined
  }

  opened(cause: Cause): Incident[] {
    return this.made.filter(({ incident }) => incident.cause === cause && incident.revision === 1).map(({ incident }) => incident)
  }

  view(device: string) {
    return this.partition.device(device)
  }

  /** What the level of a series has learnt. */
  baseline(device: string, metric: string): number[] {
    const { tables } = this.partition.state!
    const rows = tables.series.view(level.name)!
    const present = level.fields.present.filter(({ type }) => type === 'float32').length
    const width = level.fields.baseline.reduce((sum, field) => sum + field.width, 0)
    const at = tables.series.row(`${device}\u0000${metric}`)! * rows.stride32 + rows.at32 + present
    return [...rows.float32.subarray(at, at + width)]
  }
}
