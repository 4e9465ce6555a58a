/** The detect role: a task a partition, and what people may ask of them. */
import type { DeviceView } from '../core/device.ts'
import { errorText } from '../core/errors.ts'
import type { Log, Partition } from '../log/log.ts'
import type { Clock } from '../ops/clock.ts'
import type { Logger } from '../ops/logger.ts'
import type { Metrics } from '../ops/metrics.ts'
import { makeDetectGauges } from './gauges.ts'
import { makeDetectMeters } from './meters.ts'
import { type CheckpointPace, type DetectTask, openTask } from './task.ts'

export interface DetectPorts {
  readonly log: Log
  readonly clock: Clock
  readonly metrics: Metrics
  readonly logger: Logger
  /** Of this process, as the log knows it; left out: it owns all that anybody does. */
  readonly name?: string
}

/** A partition of the readings that another process works through. */
export interface Elsewhere {
  readonly partition: number
  readonly holder: string
}

export interface Page {
  /** 1 to 1,000. */
  readonly limit: number
  /** The last id of the page before. */
  readonly after: string | null
}

export interface Detect {
  /** Owns and works through partitions until `signal` aborts; rejects with what can't be retried. */
  run(signal: AbortSignal): Promise<void>
  /** Devices by id, in code unit order. */
  list(page: Page): DeviceView[]
  get(id: string): DeviceView | null
  /** Where each of its partitions is: the offset of the next record to be scored. */
  places(): { readonly partition: number; readonly next: number }[]
  /** The partitions whose devices nobody is known to show, each with why: not owned yet. */
  missing(): string[]
  /** Those that others own. */
  elsewhere(): readonly Elsewhere[]
  /** Whether it works through the partition. */
  owns(partition: number): boolean
  /** Why it is not ready; empty when it is. */
  reasons(): string[]
  /** Sets the gauges: lag, rows, bytes. Called before each scrape. */
  measure(): Promise<void>
}

export function createDetect(ports: DetectPorts, pace: CheckpointPace): Detect {
  const tasks = new Map<number, DetectTask>()
  /** What the last takeover of a partition failed by. */
  const failures = new Map<number, string>()
  const meters = makeDetectMeters(ports.metrics, ports.logger)
  const gauges = makeDetectGauges(ports.metrics, ports.log)
  const letGo = (number: number, task: DetectTask) => {
    if (tasks.get(number) !== task) return
    tasks.delete(number)
    gauges.letGo(number)
  }
  const open = async (owned: Partition) => {
    tasks.delete(owned.number)
    const opened = await openTask(owned, { ...ports, meters }, pace).catch((error: unknown) => {
      failures.set(owned.number, errorText(error))
      throw error
    })
    failures.delete(owned.number)
    tasks.set(owned.number, opened.task)
    owned.signal.addEventListener('abort', () => letGo(owned.number, opened.task), { once: true })
    if (owned.signal.aborted) letGo(owned.number, opened.task)
    return opened
  }
  const elsewhere = () => {
    const others: Elsewhere[] = []
    for (let partition = 0; partition < ports.log.partitions; partition++) {
      const holder = tasks.has(partition) || ports.name === undefined ? null : ports.log.holder(`readings/${partition}`)
      if (holder !== null && holder !== ports.name) others.push({ partition, holder })
    }
    return others
  }
  const missing = () => {
    const reasons = []
    const others = new Set(elsewhere().map(({ partition }) => partition))
    for (let p = 0; p < ports.log.partitions; p++) {
      const failure = failures.get(p)
      if (!tasks.has(p) && !others.has(p)) reasons.push(`readings/${p} is not owned yet${failure === undefined ? '' : `: ${failure}`}`)
    }
    return reasons
  }
  return {
    async run(signal) {
      await ports.log.consume(open, signal)
    },
    list({ limit, after }) {
      const names = [...tasks.values()].flatMap((task) => [...task.partition.deviceNames()])
      const wanted = names.filter((name) => after === null || name > after).sort(byCodeUnit)
      return wanted.slice(0, limit).flatMap((name) => find(tasks, name) ?? [])
    },
    get: (id) => find(tasks, id),
    places: () => [...tasks].map(([partition, { next }]) => ({ partition, next })),
    missing,
    elsewhere,
    owns: (partition) => tasks.has(partition),
    reasons() {
      const reasons = missing()
      for (const [p, task] of tasks) if (!task.partition.facts.config) reasons.push(`no configuration in readings/${p}`)
      return reasons
    },
    measure: () => gauges.measure(tasks),
  }
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function find(tasks: ReadonlyMap<number, DetectTask>, id: string): DeviceView | null {
  for (const task of tasks.values()) {
    const view = task.partition.device(id)
    if (view) return view
  }
  return null
}
