/** The memory log: the contract of the log port, and the faults it can be told to have. */
import { logContract } from '../contract/log.ts'
import type { LogHarness } from '../contract/log.ts'
import { MemoryCluster } from '../../src/log/memory.ts'
import type { MemoryLog } from '../../src/log/memory.ts'
import { ManualClock } from '../clock.ts'

function memoryHarness(visible: 'appended' | 'flushed'): LogHarness {
  const clock = new ManualClock()
  let cluster: MemoryCluster | undefined
  const open: LogHarness['open'] = async ({ partitions = 2, key = 'device' } = {}) => {
    cluster ??= new MemoryCluster({ clock, partitions, key, visible })
    return cluster.connect({ partitions, key })
  }
  const harness: LogHarness = {
    processes: 'many',
    open,
    crash: async (log) => (log as MemoryLog).crash(),
    advance: (ms) => clock.advance(ms),
    trim: async (_, topic, partition, before) => cluster!.trim(topic, partition, before),
    recreate: async () => cluster!.recreate('readings'),
    close: async () => {},
  }
  return visible === 'appended' ? { ...harness, stall: (log) => (log as MemoryLog).stall() } : harness
}

logContract('memory, visible when appended', async () => memoryHarness('appended'))
logContract('memory, visible when flushed', async () => memoryHarness('flushed'))
