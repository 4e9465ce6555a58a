/** Power lost while the ledger is compacted: between any two steps of it nothing that was committed is lost. */
import { describe, expect, it } from 'vitest'
import type { Journal } from '../../../src/log/journal/journal.ts'
import { cut, expectState, incidentsTo, writesOf } from './commits.ts'
import { Disk } from './disk.ts'
import { all, append, dice, openOn, own, record, rest, values } from './rig.ts'
import type { Owner } from './rig.ts'

describe('power lost while the ledger is compacted', () => {
  it('between any two steps leaves the last commit and every incident, and nothing to report but the torn end', async () => {
    for (let seed = 1; seed <= 150; seed++) {
      const die = dice(seed)
      const disk = new Disk()
      const chunkBytes = seed % 2 ? 200 : 65_536
      const options = { segmentBytes: { bulk: 4_096, ledger: 2_048, archive: 1_024 }, chunkBytes, riderBytes: seed % 3 ? 4_096 : 0 }
      let committed = 0
      const torn = new Set<string>()
      for (let start = 0; start < 4; start++) {
        const about = `seed ${seed} start ${start}`
        const newest = newestOf(disk)
        const { journal, damages, end } = await openOn(disk, options)
        const owner = await own(journal, 0)
        const at = expectState(owner, about)
        expect(at, about).toBeGreaterThanOrEqual(committed)
        const incidents = await values(journal, 'incidents', 0)
        expect(incidents, about).toEqual(incidentsTo(at))
        const readings = await all(journal, 'readings', 0)
        expect([readings.lost, readings.records.length >= at], about).toEqual([0, true])
        for (const name of newest) torn.add(name)
        expect(damages.filter(({ file }) => !torn.has(file)), about).toEqual([])
        // A torn chunk can't be told from a damaged one: the commit before it is then written anew, and that is said.
        if (chunkBytes > 200) expect(damages.map(({ what }) => what), about).not.toContain('state')
        await cutShort({ disk, journal, owner, end, at, die, onCommit: (n) => (committed = n) })
        disk.cutPower(die)
      }
    }
  }, 60_000)
})

describe('frames that ride in the ledger', () => {
  it('come back where their way to the bulk file was torn in the middle, and what is sound behind them with them', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk, { riderBytes: 200 })
    for (const text of ['a', 'b']) {
      void journal.append('readings', 0, [record(text)])
      await append(journal, 'incidents', 0, `incident ${text}`)
    }
    await append(journal, 'readings', 0, 'c'.repeat(300))
    end()
    const name = disk.names().find((one) => one.startsWith('bulk'))!
    const bytes = disk.bytes(name)
    const first = bytes.indexOf('PKJ1', 64 + 48) // behind what the file starts with
    bytes.fill(0, first, first + 48)
    disk.put(name, bytes)
    const { journal: again } = await openOn(disk)
    expect((await values(again, 'readings', 0)).map((value) => value[0])).toEqual(['a', 'b', 'c'])
  })
})

/** Where what was being written may be torn: the last two files of each kind, as a new one is named before the old one is sure to be sealed. */
function newestOf(disk: Disk): string[] {
  const kinds = new Set(disk.names().map((name) => name.split('-')[0]!))
  return [...kinds].flatMap((kind) => disk.names().filter((name) => name.startsWith(`${kind}-`)).slice(-2))
}

interface Run {
  readonly disk: Disk
  readonly journal: Journal
  readonly owner: Owner
  readonly end: () => void
  readonly at: number
  readonly die: () => number
  readonly onCommit: (n: number) => void
}

/** Commits, with frames between, until the process is gone at a step of the disk that the die names. */
async function cutShort({ disk, journal, owner, end, at, die, onCommit }: Run): Promise<void> {
  const stopAt = 20 + Math.floor(die() * 400)
  let steps = 0
  const stopped = new Promise<void>((resolve) => {
    disk.fault = () => {
      if (++steps < stopAt) return undefined
      end()
      resolve()
      return undefined
    }
  })
  const work = async () => {
    for (let n = at + 1; n <= at + 40; n++) {
      await journal.append('readings', 0, [record(`frame ${n}`)])
      await owner.owned.commit(writesOf(n), cut(n))
      onCommit(n)
      await rest()
    }
  }
  await Promise.race([work(), stopped.then(rest)])
  disk.fault = () => undefined
  end()
}
