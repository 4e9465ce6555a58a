/** Detect's gauges: what is read of its tasks before each scrape, and what is 0 once another process has a partition. */
import type { Log } from '../log/log.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { DetectTask } from './task.ts'

export interface DetectGauges {
  /** What another process owns now is not shown here as it once was. */
  letGo(partition: number): void
  measure(tasks: ReadonlyMap<number, DetectTask>): Promise<void>
}

export function makeDetectGauges(metrics: Metrics, log: Log): DetectGauges {
  const lag = metrics.gauge('picket_lag_records', 'Records of the readings not yet scored', ['partition'])
  const isOwned = metrics.gauge('picket_partition_owned', '1 where this process scores the partition', ['partition'])
  const series = metrics.gauge('picket_series', 'Series in memory', ['partition'])
  const devices = metrics.gauge('picket_devices', 'Devices in memory', ['partition'])
  const bytes = metrics.gauge('picket_state_bytes', 'Bytes of the rows in use', ['partition'])
  const configVersion = metrics.gauge('picket_config_version', 'Version of the configuration in force in the partition; 0: none, or not owned here', ['partition'])
  const configInfo = makeConfigInfo(metrics)
  return {
    letGo(partition) {
      for (const gauge of [lag, series, devices, bytes, configVersion]) gauge.set(0, { partition: String(partition) })
    },
    async measure(tasks) {
      configInfo([...tasks.values()].flatMap((task) => task.partition.config?.hash ?? []))
      for (let p = 0; p < log.partitions; p++) isOwned.set(tasks.has(p) ? 1 : 0, { partition: String(p) })
      for (const [p, task] of tasks) {
        const { high } = await log.bounds('readings', p)
        const tables = task.partition.state?.tables
        const partition = String(p)
        configVersion.set(task.partition.config?.version ?? 0, { partition })
        lag.set(Math.max(0, high - task.next), { partition })
        series.set(tables?.series.size ?? 0, { partition })
        devices.set(tables?.device.size ?? 0, { partition })
        bytes.set(tables ? Object.values(tables).reduce((sum, table) => sum + table.bytes, 0) : 0, { partition })
      }
    },
  }
}

/** How many partitions obey which settings; a hash that none obeys any more is 0. */
function makeConfigInfo(metrics: Metrics): (hashes: readonly string[]) => void {
  const info = metrics.gauge('picket_config_info', 'Partitions of this process that obey the settings of this hash', ['hash'])
  let before: ReadonlySet<string> = new Set()
  return (hashes) => {
    for (const hash of before) if (!hashes.includes(hash)) info.set(0, { hash })
    before = new Set(hashes)
    for (const hash of before) info.set(hashes.filter((one) => one === hash).length, { hash })
  }
}
