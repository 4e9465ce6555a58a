/** The journal, on a disk in memory whose process can be killed and whose clock is moved by hand, keeps the contract of the log port. */
import { openJournal } from '../../../src/log/journal/journal.ts'
import type { Journal } from '../../../src/log/journal/journal.ts'
import type { Log, Topic } from '../../../src/log/log.ts'
import { systemRandom } from '../../../src/ops/random.ts'
import { ManualClock, settle } from '../../clock.ts'
import { logContract } from '../../contract/log.ts'
import type { LogHarness, OpenOptions } from '../../contract/log.ts'
import { Disk } from './disk.ts'

const TURNS_A_STEP = 8

class JournalHarness implements LogHarness {
  readonly processes = 'one'
  readonly #clock = new ManualClock()
  readonly #disk = new Disk()
  readonly #mounts = new Map<Log, { end(): void }>()

  async open(options: OpenOptions = {}): Promise<Log> {
    const mount = this.#disk.mount()
    const { partitions = 2, key = 'device' } = options
    const segmentBytes = { bulk: 16 * 1024, ledger: 16 * 1024 }
    const log = await openJournal({ path: '/disk', files: mount, partitions, key, clock: this.#clock, random: systemRandom, segmentBytes, recentBytes: 8 * 1024, chunkBytes: 2_048, reserveBytes: 64 * 1024 })
    this.#mounts.set(log, mount)
    return log
  }

  async crash(log: Log): Promise<void> {
    this.#mounts.get(log)?.end()
    this.#disk.cutPower('nothing')
  }

  async advance(ms: number): Promise<void> {
    for (let turn = 0; turn < TURNS_A_STEP; turn++) await settle()
    await this.#clock.advance(ms)
    for (let turn = 0; turn < TURNS_A_STEP; turn++) await settle()
  }

  stall(): () => void {
    return this.#disk.stall()
  }

  trim(log: Log, topic: Topic, partition: number, before: number): Promise<void> {
    return (log as Journal).trim(topic, partition, before)
  }

  async recreate(): Promise<void> {
    for (const name of this.#disk.names()) if (name.startsWith('bulk-')) this.#disk.remove(name)
  }

  async close(): Promise<void> {
    for (const mount of this.#mounts.values()) mount.end()
  }
}

logContract('journal', async () => new JournalHarness())
