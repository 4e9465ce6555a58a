/** A partition on the memory log with detect working on it: what the tests of the task append to, crash, and look into. */
import { createDetect, type Detect } from '../../src/detect/detect.ts'
import type { CheckpointPace } from '../../src/detect/task.ts'
import { type Control, encodeControl } from '../../src/log/control.ts'
import { encodeFrame, type Frame } from '../../src/log/frame.ts'
import { decodeHeader } from '../../src/log/header.ts'
import type { Topic } from '../../src/log/log.ts'
import { type ClusterOptions, type Faults, MemoryCluster, type MemoryLog } from '../../src/log/memory.ts'
import { decodeIncidentRecord, type IncidentRecord } from '../../src/log/revision.ts'
import { ManualClock } from '../clock.ts'
import { rowsOf } from '../rows.ts'
import { Counts, frameOf, Lines, type Sent, START } from './fleet.ts'

/** No checkpoint but where one must be. */
export const NEVER: CheckpointPace = { everyMs: 1e12, bytes: 1e12 }
/** One after each slice. */
export const ALWAYS: CheckpointPace = { everyMs: 0, bytes: 0 }

export interface Worker {
  readonly log: MemoryLog
  readonly detect: Detect
  readonly lines: Lines
  readonly counts: Counts
  readonly stop: AbortController
  failure: unknown
}

export class Stage {
  readonly clock = new ManualClock(START)
  readonly faults: Faults = {}
  readonly cluster: MemoryCluster
  readonly writer: MemoryLog

  constructor(options: Partial<ClusterOptions> = {}) {
    this.cluster = new MemoryCluster({ clock: this.clock, faults: this.faults, takeoverMs: 5, ...options })
    this.writer = this.cluster.connect({ name: 'writer' })
  }

  /** One record each. */
  async append(...records: (Frame | Control | Buffer)[]): Promise<void> {
    for (const record of records) {
      const value = Buffer.isBuffer(record) ? record : 'body' in record ? encodeControl(record) : encodeFrame(record)
      await this.writer.append('readings', 0, [{ key: '', value }])
    }
  }

  send(device: string, metrics: Sent['metrics'], fields: Partial<Sent> = {}): Promise<void> {
    return this.append(frameOf([{ device, metrics, arrival: this.clock.now(), ...fields }]))
  }

  /** A process that works on the partition from now on. */
  async work(pace: CheckpointPace = ALWAYS): Promise<Worker> {
    const log = this.cluster.connect()
    const lines = new Lines()
    const counts = new Counts()
    const detect = createDetect({ log, clock: this.clock, metrics: counts, logger: lines }, pace)
    const worker: Worker = { log, detect, lines, counts, stop: new AbortController(), failure: undefined }
    detect.run(worker.stop.signal).catch((error: unknown) => {
      worker.failure = error
    })
    await this.clock.advance(10)
    return worker
  }

  async crash(worker: Worker): Promise<void> {
    worker.log.crash()
    await this.clock.advance(10)
  }

  async end(worker: Worker): Promise<void> {
    worker.stop.abort()
    await this.clock.advance(10)
    await worker.log.close()
  }

  incidents(): IncidentRecord[] {
    return this.cluster.dump('incidents', 0).map(({ value }) => decodeIncidentRecord(value!))
  }

  /** `opened` with its ids, or a revision's device, cause and number, each with its epoch. */
  story(): string[] {
    return this.incidents().map((record) => {
      const { epoch } = record.stamp
      if (record.kind === 'opened') return `${epoch} opened ${record.ids.length}`
      const { device, cause, revision, state } = record.incident
      return `${epoch} ${device} ${cause} ${revision} ${state}`
    })
  }

  rows(): Map<string, string> {
    return rowsOf(this.cluster.dump('state', 0))
  }

  header() {
    return decodeHeader(this.cluster.dump('state', 0).findLast(({ key }) => key === 'header')!.value!)
  }

  keys(topic: Topic): string[] {
    const live = new Map(this.cluster.dump(topic, 0).map(({ key, value }) => [key, value]))
    return [...live].flatMap(([key, value]) => (value === null ? [] : [key]))
  }
}
