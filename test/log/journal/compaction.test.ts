/** The ledger stays small however long it runs: what goes, what stays, and who reads meanwhile. */
import { describe, expect, it } from 'vitest'
import { openJournalReader } from '../../../src/log/journal/reader.ts'
import type { Journal } from '../../../src/log/journal/journal.ts'
import type { Write } from '../../../src/log/log.ts'
import { settle } from '../../clock.ts'
import { COLD, commits, cut, expectState, incidentsTo, ledgers, writesOf } from './commits.ts'
import { Disk } from './disk.ts'
import { all, append, dice, Lines, openOn, own, put, rest, text, values } from './rig.ts'

const SMALL = { segmentBytes: { bulk: 65_536, ledger: 4_096, archive: 2_048 } }

/** Counts the files removed, and those removed before the removal of one of their kind was sure to survive a power cut. */
function watched(disk: Disk): { removed: number; unsure: number } {
  const counts = { removed: 0, unsure: 0 }
  const open = new Set<string>()
  disk.fault = (operation, name) => {
    if (operation === 'syncFolder') open.clear()
    if (operation !== 'unlink') return undefined
    const kind = name.split('-')[0]!
    if (open.has(kind)) counts.unsure++
    open.add(kind)
    counts.removed++
    return undefined
  }
  return counts
}

describe('the ledger', () => {
  it('stays small and keeps state, incidents, actions and requests, over starts', async () => {
    const disk = new Disk()
    for (let start = 0; start < 3; start++) {
      const { journal, damages, end } = await openOn(disk, SMALL)
      const owner = await own(journal, 0)
      const at = expectState(owner)
      expect(at).toBe(start * 100)
      await append(journal, 'actions', 0, `action ${start}`)
      await append(journal, 'requests', 1, `request ${start}`)
      await commits(owner, at + 1, at + 100)
      expect(journal.stats().bytes.ledger).toBeLessThan(5 * 4_096)
      expect(await values(journal, 'incidents', 0)).toEqual(incidentsTo(at + 100))
      expect(await values(journal, 'actions', 0)).toEqual([...Array(start + 1).keys()].map((n) => `action ${n}`))
      expect(await values(journal, 'requests', 1)).toEqual([...Array(start + 1).keys()].map((n) => `request ${n}`))
      expect(damages).toEqual([])
      end()
    }
    expect(ledgers(disk)[0]).not.toBe('ledger-0000000001.seg')
  })

  it('keeps offsets and times of what it moved, and reads it in any cut', async () => {
    const disk = new Disk()
    const { journal, clock } = await openOn(disk, SMALL)
    const owner = await own(journal, 0)
    for (let n = 1; n <= 60; n++) {
      await commits(owner, n, n)
      await clock.advance(10)
    }
    const { records } = await all(journal, 'incidents', 0)
    expect(records.map(({ offset, time }) => [offset, time])).toEqual(Array.from({ length: 60 }, (_, n) => [n, 1_700_000_000_000 + n * 10]))
    for (const limit of [1, 7]) {
      const seen: string[] = []
      for (let from = 0, slice = await journal.read('incidents', 0, 0, limit); slice; slice = await journal.read('incidents', 0, from, limit)) {
        expect([slice.lost, slice.records[0]!.offset]).toEqual([0, from])
        seen.push(...slice.records.map(({ value }) => text(value)))
        from = slice.next
      }
      expect(seen).toEqual(incidentsTo(60))
    }
  })

  it('leaves a file whose commit is not finished, and compacts it after', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, { ...SMALL, chunkBytes: 500 })
    const owner = await own(journal, 0)
    await commits(owner, 1, 3)
    let draw: () => void = () => undefined
    const drawn = new Promise<void>((resolve) => (draw = resolve))
    function* slow(): Iterable<Write> {
      for (let n = 0; n < 60; n++) {
        yield put('state', 0, `slow/${n}`, 'y'.repeat(300))
        if (n === 20) draw()
      }
    }
    const commit = owner.owned.commit(slow(), cut(4))
    await drawn
    for (let n = 0; n < 60; n++) await append(journal, 'incidents', 1, 'z'.repeat(300))
    await commit
    for (let n = 0; n < 60; n++) {
      await append(journal, 'incidents', 1, 'z'.repeat(300))
      await owner.owned.commit([], cut(4))
      await rest()
    }
    const { journal: again, damages } = await openOn(disk.copy(), SMALL)
    const { rows } = await own(again, 0)
    expect([...rows.keys()].filter((key) => key.startsWith('slow/')).length).toBe(60)
    expect(damages).toEqual([])
  })

  it('takes a file half of whose commit is in the next one, without a report of damage at the next start', async () => {
    const disk = new Disk()
    const options = { ...SMALL, chunkBytes: 500 }
    const { journal, end } = await openOn(disk, options)
    const owner = await own(journal, 0)
    const pages = (n: number) => Array.from({ length: 30 }, (_, page) => put('state', 0, `page/${page}`, `${n} ${'x'.repeat(300)}`))
    for (let n = 1; n <= 12; n++) {
      await owner.owned.commit(pages(n), cut(n))
      await rest()
      const { journal: again, damages } = await openOn(disk.copy(), options)
      const { rows, restored } = await own(again, 0)
      expect([restored.next.get('readings/0'), rows.size, [...rows.values()].every((value) => value.startsWith(`${n} `))]).toEqual([n, 30, true])
      expect(damages).toEqual([])
    }
    expect(Number(ledgers(disk)[0]!.slice(7, 17))).toBeGreaterThan(10)
    end()
  })

  it('is compacted in an idle state too, after a minute', async () => {
    const disk = new Disk()
    const { journal, clock } = await openOn(disk, SMALL)
    const idle = await own(journal, 'leases')
    await idle.owned.commit([put('leases', 0, 'lease/a', 'until then')], cut(0))
    for (let n = 0; n < 40; n++) await append(journal, 'incidents', 0, 'x'.repeat(500))
    await rest()
    const before = ledgers(disk).length
    await clock.advance(61_000)
    const removals = watched(disk)
    for (let n = 0; n < 10; n++) {
      await append(journal, 'incidents', 0, 'x')
      await rest()
    }
    expect([before > 4, ledgers(disk).length, removals.unsure]).toEqual([true, 3, 0])
    const { journal: again } = await openOn(disk.copy(), SMALL)
    expect([...(await own(again, 'leases')).rows]).toEqual([['lease/a', 'until then']])
  })

  it('keeps the state as it was one commit ago: the newest page damaged costs one commit', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk, SMALL)
    await commits(await own(journal, 0), 1, 80)
    await append(journal, 'requests', 1, 'so that the commit is not the last group')
    end()
    const name = ledgers(disk).findLast((one) => disk.bytes(one).includes('80 xxx'))!
    const bytes = disk.bytes(name)
    bytes[bytes.indexOf('80 xxx')]! ^= 4
    disk.put(name, bytes)
    const { journal: again, damages } = await openOn(disk, SMALL)
    expect(expectState(await own(again, 0))).toBe(79)
    expect(damages.map(({ what }) => what)).toContain('state')
  })

  it('keeps more of it as long as the files are there: a state goes back to its own last sound commit', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk, SMALL)
    const { owned } = await own(journal, 'leases')
    for (const n of [1, 2]) await owned.commit([put('leases', 0, 'lease/a', `until ${n}`)], { next: new Map(), incarnation: `${n}` })
    for (let n = 0; n < 40; n++) await append(journal, 'incidents', 0, 'x'.repeat(500))
    await rest()
    end()
    expect([ledgers(disk)[0], ledgers(disk).filter((name) => disk.bytes(name).includes('until 2')).length > 1]).toEqual(['ledger-0000000001.seg', true])
    for (const name of ledgers(disk)) {
      const bytes = disk.bytes(name)
      if (bytes.includes('until 2')) bytes[bytes.indexOf('until 2')]! ^= 4
      disk.put(name, bytes)
    }
    const { rows, restored } = await own((await openOn(disk, SMALL)).journal, 'leases')
    expect([[...rows], restored.incarnation]).toEqual([[['lease/a', 'until 1']], '1'])
  })

  it('has what was committed last, however commits and compaction meet', async () => {
    const disk = new Disk()
    const files = disk.mount()
    const openFile = files.open.bind(files)
    files.open = async (name, mode) => {
      const file = await openFile(name, mode)
      const write = file.write.bind(file)
      // Between the look at what is live and its copying some commits come.
      if (name.startsWith('incidents')) file.write = async (bytes, at) => settle().then(() => write(bytes, at))
      return file
    }
    const { journal } = await openOn(disk, { ...SMALL, files })
    const { owned } = await own(journal, 0)
    const wanted = new Map<string, string>()
    const rowsOf = async (log: Journal) => new Map((await all(log, 'state', 0)).records.filter(({ key }) => key !== 'header').map(({ key, value }) => [key, text(value)]))
    const die = dice(5)
    for (let n = 1; n <= 400; n++) {
      const key = `page/${Math.floor(die() * 30)}`
      const value = die() < 0.2 ? null : `${n}`.padEnd(100)
      if (value === null) wanted.delete(key)
      else wanted.set(key, value)
      await owned.commit([put('state', 0, key, value), put('incidents', 0, '', 'i'.repeat(50))], cut(n))
      if (n % 4 === 0) await settle()
      if (n % 8 === 0) expect(await rowsOf(journal)).toEqual(wanted)
    }
    files.end()
    expect(ledgers(disk)[0]).not.toBe('ledger-0000000001.seg')
    expect(await rowsOf((await openOn(disk, SMALL)).journal)).toEqual(wanted)
  })

  it('removes one file for sure before it removes the next', async () => {
    const disk = new Disk()
    const removals = watched(disk)
    const { journal } = await openOn(disk, { segmentBytes: { bulk: 2_048, ledger: 2_048 }, retentionBytes: 10_000, riderBytes: 0 })
    const owner = await own(journal, 0)
    for (let n = 1; n <= 60; n++) {
      await append(journal, 'readings', 0, 'x'.repeat(300))
      await commits(owner, n, n)
    }
    await journal.trim('readings', 0, 55)
    expect(removals).toMatchObject({ unsure: 0 })
    expect(removals.removed).toBeGreaterThan(20)
  })

  it('starts empty, never half, where the state one commit ago is no longer whole', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk, SMALL)
    await commits(await own(journal, 0), 1, 80)
    end()
    for (const name of ledgers(disk)) {
      const bytes = disk.bytes(name)
      for (let at = bytes.indexOf('cold 1'); at >= 0; at = bytes.indexOf('cold 1', at + 1)) bytes[at]! ^= 4
      disk.put(name, bytes)
    }
    const { journal: again, damages } = await openOn(disk, SMALL)
    const { rows, restored } = await own(again, 0)
    expect([rows.size, restored.next.size, restored.epoch > 1]).toEqual([0, 0, true])
    expect(damages.map(({ what }) => what)).toContain('state')
  })

  it('has archives in which a damaged record costs that record, the newest too', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk, { segmentBytes: { bulk: 65_536, ledger: 4_096, archive: 65_536 } })
    await commits(await own(journal, 0), 1, 80)
    end()
    const [name] = disk.names().filter((one) => one.startsWith('incidents'))
    const bytes = disk.bytes(name!)
    const newest = Array.from({ length: 80 }, (_, n) => `incident ${n + 1}`).findLast((one) => bytes.includes(one))!
    bytes[bytes.indexOf(newest)]! ^= 1
    disk.put(name!, bytes)
    const { journal: again, damages } = await openOn(disk)
    expect(await values(again, 'incidents', 0)).toEqual(incidentsTo(80).filter((one) => one !== newest))
    expect(new Set(damages.map(({ what, file }) => `${what} ${file}`))).toEqual(new Set([`entry ${name}`]))
  })

  it('stops, and says so, when a live page rots while the log is open', async () => {
    const disk = new Disk()
    const logger = new Lines()
    const { journal } = await openOn(disk, { ...SMALL, logger })
    const owner = await own(journal, 0)
    await commits(owner, 1, 1)
    const { content } = disk.inode(ledgers(disk)[0]!)
    content[content.indexOf('cold 1')]! ^= 1
    await commits(owner, 2, 60)
    expect(ledgers(disk)[0]).toBe('ledger-0000000001.seg')
    expect(logger.of('error')).toEqual([expect.stringContaining('/disk/ledger-0000000001.seg was damaged')])
  })

  it('says so when a line that goes to its archive rots while the log is open, once', async () => {
    const disk = new Disk()
    const { journal, damages } = await openOn(disk, SMALL)
    const owner = await own(journal, 0)
    await commits(owner, 1, 2)
    const name = ledgers(disk)[0]!
    const { content } = disk.inode(name)
    content[content.indexOf('incident 2')]! ^= 1
    await commits(owner, 3, 60)
    expect(ledgers(disk)).not.toContain(name)
    expect(damages).toEqual([{ what: 'entry', file: name, at: expect.any(Number), detail: expect.stringMatching(/^incidents\/0 offset 1 \(group \d+\) is damaged and skipped$/) }])
  })

  it('goes on after a disk that was full, and after errors', async () => {
    const disk = new Disk()
    const { journal, clock } = await openOn(disk, SMALL)
    const owner = await own(journal, 0)
    await commits(owner, 1, 5)
    disk.fault = (operation, name) => (operation === 'unlink' || (operation === 'write' && name.startsWith('incidents')) ? Object.assign(new Error('EIO'), { code: 'EIO' }) : undefined)
    await commits(owner, 6, 40)
    expect(ledgers(disk)[0]).toBe('ledger-0000000001.seg')
    disk.fault = () => undefined
    await clock.advance(2_000)
    await commits(owner, 41, 120)
    expect(journal.stats().bytes.ledger).toBeLessThan(5 * 4_096)
    expect(await values(journal, 'incidents', 0)).toEqual(incidentsTo(120))
  })

  it('ends with the journal: what is closed in the middle of it opens whole', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, SMALL)
    const owner = await own(journal, 0)
    for (let n = 1; n <= 40; n++) await owner.owned.commit(writesOf(n), cut(n))
    await journal.close()
    const { journal: again, damages } = await openOn(disk, SMALL)
    expect(expectState(await own(again, 0))).toBe(40)
    expect([await values(again, 'incidents', 0), damages]).toEqual([incidentsTo(40), []])
  })
})

describe('who reads while the ledger is compacted', () => {
  it('beside it sees each incident once and a state that was, whatever file goes', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, SMALL)
    const owner = await own(journal, 0)
    const reader = await commits(owner, 1, 2).then(() => openJournalReader('', disk.mount()))
    const seen: string[] = []
    let from = 0
    for (let n = 3; n <= 120; n++) {
      await commits(owner, n, n)
      if (n % 7 > 0) continue
      for (let slice = await reader.read('incidents', 0, from, 3); slice; slice = await reader.read('incidents', 0, from, 3)) {
        expect(slice.lost).toBe(0)
        seen.push(...slice.records.map(({ value }) => text(value)))
        from = slice.next
      }
      const { records } = await all(reader, 'state', 0)
      const keys = new Map(records.map(({ key, value }) => [key, text(value)]))
      expect([...new Set([...keys].filter(([key]) => key.startsWith('hot')).map(([, value]) => Number(value.split(' ')[0])))]).toEqual([n])
      expect([...keys.keys()].filter((key) => key.startsWith('cold')).length).toBe(COLD)
      expect(keys.has('even')).toBe(n % 2 === 0)
    }
    expect(seen).toEqual(incidentsTo(119))
    expect(reader.damaged).toEqual([])
  })

  it('within it gets each live key once, though its file goes under the reading', async () => {
    const disk = new Disk()
    const files = disk.mount()
    const openFile = files.open.bind(files)
    let gate: Promise<void> | null = null
    files.open = async (name, mode) => {
      const wait = gate
      gate = null
      await wait
      return openFile(name, mode)
    }
    const { journal } = await openOn(disk, { ...SMALL, files })
    const owner = await own(journal, 0)
    await commits(owner, 1, 10)
    let go: () => void = () => undefined
    gate = new Promise((resolve) => (go = resolve))
    const read = journal.read('state', 0, 0, 100)
    await rest()
    await commits(owner, 11, 60)
    expect(ledgers(disk)[0]).not.toBe('ledger-0000000001.seg')
    go()
    expect((await read)!.records.filter(({ key }) => key.startsWith('cold')).map(({ value }) => text(value))).toEqual(['cold 0', 'cold 1', 'cold 2'])
  })
})
