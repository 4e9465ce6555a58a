/** A folder of spoilt files: the journal and its readers open it and report what is wrong, or refuse it by name; never a crash or a hang. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../../src/core/errors.ts'
import { openJournalReader } from '../../../src/log/journal/reader.ts'
import { TOPICS } from '../../../src/log/log.ts'
import type { Topic } from '../../../src/log/log.ts'
import { Disk } from './disk.ts'
import { bytesOf, evil, mutated, whole } from './garbage.ts'
import type { Die } from './garbage.ts'
import { append, dice, openOn, own, put, rest } from './rig.ts'

/** Each opened twice; the parsers below have their hundred thousands in garbage.test.ts. */
const FOLDERS = 150

describe('a folder of any bytes', () => {
  /** A journal with files of each kind, some of it compacted. */
  async function sound(): Promise<Disk> {
    const disk = new Disk()
    const { journal } = await openOn(disk, { segmentBytes: { bulk: 2_048, ledger: 2_048 }, chunkBytes: 400 })
    const { owned } = await own(journal, 0)
    for (let n = 0; n < 30; n++) {
      await append(journal, 'readings', n % 2, `frame ${n}`)
      await owned.commit([put('state', 0, 'a', `${n}`.padEnd(150)), put('state', 0, `b${n}`, 'b'.repeat(100)), put('incidents', 0, '', 'incident')], { next: new Map(), incarnation: 'i' })
      await rest()
    }
    return disk
  }

  function spoil(die: Die, disk: Disk): void {
    for (const name of disk.names()) {
      const how = whole(die, 6)
      const id = Number(name.slice(-14, -4))
      if (how === 0) disk.remove(name)
      else if (how === 1) disk.put(name, bytesOf(die, 2_000))
      else if (how === 2) disk.put(name, Buffer.concat([disk.bytes(name).subarray(0, 64), ...Array.from({ length: 20 }, () => evil(die, id))]))
      else if (how === 3) disk.put(name, Buffer.concat([disk.bytes(name), ...Array.from({ length: 5 }, () => evil(die, id))]))
      else if (how === 4) disk.put(name, mutated(die, disk.bytes(name)))
    }
  }

  it('opens, for the journal and for a reader, with what is wrong reported, or is refused by name; and then goes on', async () => {
    const intact = await sound()
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 0xffffffff }), async (seed) => {
        const disk = intact.copy()
        spoil(dice(seed), disk)
        await named(readAll(disk.copy()))
        await named(useAll(disk))
      }),
      { numRuns: FOLDERS, endOnFailure: true },
    )
  }, 60_000)
})

async function readAll(disk: Disk): Promise<void> {
  const reader = await openJournalReader('', disk.mount())
  for (const topic of Object.keys(TOPICS) as Topic[]) {
    for (let from = 0, slice = await reader.read(topic, 0, 0, 1_000); slice; slice = await reader.read(topic, 0, from, 1_000)) {
      expect(slice.next).toBeGreaterThan(from)
      from = slice.next
    }
  }
}

async function useAll(disk: Disk): Promise<void> {
  const { journal, end } = await openOn(disk, { segmentBytes: { bulk: 2_048, ledger: 2_048 } })
  await append(journal, 'readings', 0, 'goes on')
  await append(journal, 'incidents', 0, 'goes on')
  await journal.read('incidents', 0, 0, 1_000)
  end()
}

/** Only a pipeline error, which says what is wrong, may come out of it. */
async function named(work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    expect(error.message.length).toBeGreaterThan(10)
  }
}
