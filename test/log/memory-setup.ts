/** A memory log with faults that can be changed while a test runs, and the contract's lab over it. */
import type { Log } from '../../src/log/log.ts'
import { MemoryCluster } from '../../src/log/memory.ts'
import type { ClusterOptions, Faults, MemoryLog } from '../../src/log/memory.ts'
import { ManualClock } from '../clock.ts'
import { Lab, record, text } from '../contract/log/lab.ts'

export function setUp(options: Partial<ClusterOptions> = {}) {
  const clock = new ManualClock()
  const faults: Faults = {}
  const cluster = new MemoryCluster({ clock, faults, ...options })
  const lab = new Lab({
    processes: 'many',
    open: async () => cluster.connect(),
    crash: async (log) => (log as MemoryLog).crash(),
    advance: (ms) => clock.advance(ms),
    trim: async () => {},
    recreate: async () => {},
    close: async () => {},
  })
  const values = () => cluster.dump('readings', 0).map((one) => text(one.value))
  return { clock, faults, cluster, lab, values }
}

export function append(log: Log, ...values: string[]) {
  return log.append('readings', 0, values.map((value) => record('', value)))
}
