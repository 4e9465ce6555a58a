/** What a journal finds after its newest file was cut, its power lost, its process killed: the last whole group, and nothing half. */
import { describe, expect, it } from 'vitest'
import { encodeStart, fileName } from '../../../src/log/journal/segment.ts'
import type { Write } from '../../../src/log/log.ts'
import { Disk } from './disk.ts'
import { all, append, dice, openOn, own, put, record, rest, values } from './rig.ts'
import type { Owner } from './rig.ts'

const cut = (next: number) => ({ next: new Map([['readings/0', next]]), incarnation: 'i' })
/** No pages ride on each other: each commit writes all of these. */
const PAGES = 4

/** Commits states 1 to `count`, each with an incident, after a frame each; gives the owner. */
async function commits(disk: Disk, count: number) {
  const { journal, end } = await openOn(disk)
  const owner = await own(journal, 0)
  for (let n = 1; n <= count; n++) {
    await append(journal, 'readings', 0, `frame ${n}`)
    await append(journal, 'incidents', 0, `incident ${n}`)
    await owner.owned.commit(statesOf(n), cut(n))
  }
  return { journal, owner, end }
}

function statesOf(n: number): Write[] {
  return Array.from({ length: PAGES }, (_, page) => put('state', 0, `series/${page}`, `${page} at ${n} ${'x'.repeat(60)}`))
}

/** Which of the states 0 to … the rows are, −1 for a mixture. */
function stateOf({ rows, restored }: Owner): number {
  if (rows.size === 0) return restored.next.size === 0 ? 0 : -1
  const states = [...rows].map(([key, value]) => (key.slice(7) === value.split(' ')[0] ? Number(value.split(' ')[2]) : -1))
  return rows.size === PAGES && states.every((n) => n === states[0] && n === restored.next.get('readings/0')) ? states[0]! : -1
}

describe('the newest file cut at every byte of its last groups', () => {
  it('of the ledger: state and incidents are those of the last whole group', async () => {
    const disk = new Disk()
    const { end } = await commits(disk, 3)
    end()
    const name = disk.names().findLast((one) => one.startsWith('ledger'))!
    const bytes = disk.bytes(name)
    const seen = new Set<number>()
    for (let length = bytes.length; length > bytes.length - 1_600; length--) {
      const copy = disk.copy()
      copy.put(name, bytes.subarray(0, length))
      const { journal, damages } = await openOn(copy)
      const owner = await own(journal, 0)
      const state = stateOf(owner)
      expect(state, `cut at ${length}`).toBeGreaterThanOrEqual(0)
      const incidents = await values(journal, 'incidents', 0)
      expect(incidents).toEqual(Array.from({ length: incidents.length }, (_, n) => `incident ${n + 1}`))
      expect([state, state + 1], `cut at ${length}`).toContain(incidents.length)
      expect(await values(journal, 'readings', 0)).toEqual(['frame 1', 'frame 2', 'frame 3'])
      for (const { what } of damages) expect(['torn', 'group', 'marker']).toContain(what)
      seen.add(state)
    }
    expect(seen.size).toBeGreaterThan(2)
  }, 60_000)

  it('of the bulk file: readings end with the last whole group, and go on behind it', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk)
    for (let n = 0; n < 8; n++) await append(journal, 'readings', n % 2, `a${n}`, `b${n}`)
    end()
    const name = disk.names().find((one) => one.startsWith('bulk'))!
    const bytes = disk.bytes(name)
    const seen = new Set<number>()
    for (let length = bytes.length; length > bytes.length - 1_024; length--) {
      const copy = disk.copy()
      copy.put(name, bytes.subarray(0, length))
      const { journal: again } = await openOn(copy)
      const kept = [...(await values(again, 'readings', 0)), ...(await values(again, 'readings', 1))].length
      expect(kept % 2, `cut at ${length}`).toBe(0)
      await append(again, 'readings', 0, 'next')
      const { records, lost } = await all(again, 'readings', 0)
      expect(lost).toBe(0)
      expect(records.at(-1)!.offset).toBe(records.length - 1)
      seen.add(kept)
    }
    expect(seen.size).toBeGreaterThan(3)
  }, 60_000)
})

describe('power lost in the middle of work', () => {
  it('keeps all that was flushed, a whole number of commits, and no incident before its frame', async () => {
    for (let seed = 1; seed <= 120; seed++) {
      const die = dice(seed)
      const disk = new Disk()
      const small = { segmentBytes: { bulk: 2_048, ledger: 2_048 }, chunkBytes: seed % 2 ? 150 : 65_536, riderBytes: seed % 3 ? 4_096 : 0 }
      let flushed = 0
      let committed = 0
      for (let start = 0; start < 3; start++) {
        const { journal, end } = await openOn(disk, small)
        const { records: found, lost } = await all(journal, 'readings', 0)
        expect(lost, `seed ${seed}`).toBe(0)
        expect(found.length, `seed ${seed}`).toBeGreaterThanOrEqual(flushed)
        const owner = await own(journal, 0)
        const state = stateOf(owner)
        expect(state, `seed ${seed} start ${start}`).toBeGreaterThanOrEqual(committed)
        expect(found.length, `seed ${seed}`).toBeGreaterThanOrEqual(state)
        const base = found.length
        const stopAt = Math.floor(die() * 40)
        let steps = 0
        const stepped = new Promise<void>((resolve) => {
          disk.fault = () => {
            if (++steps === stopAt) resolve()
            if (steps < stopAt) return undefined
            end()
            return undefined
          }
          if (stopAt === 0) resolve()
        })
        const work = async () => {
          for (let n = base + 1; n <= base + 10; n++) {
            const { flushed: done } = await journal.append('readings', 0, [record(`frame ${n}`)])
            void done.then(() => (flushed = Math.max(flushed, n)))
            await journal.append('incidents', 0, [record(`incident ${n}`)])
            await owner.owned.commit(statesOf(n), cut(n))
            committed = n
          }
        }
        await Promise.race([work(), stepped.then(rest)])
        disk.fault = () => undefined
        end()
        disk.cutPower(die)
      }
    }
  }, 60_000)

  it('a file that was begun but not yet named is thrown away', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk)
    await append(journal, 'readings', 0, 'a')
    end()
    disk.put('ledger-0000000007.seg.tmp', Buffer.from('half a file'))
    const { journal: again } = await openOn(disk)
    expect(disk.names()).not.toContain('ledger-0000000007.seg.tmp')
    expect(await values(again, 'readings', 0)).toEqual(['a'])
  })
})

describe('the number of a group', () => {
  it('begins anew after 2³², which no start and no compaction minds', async () => {
    const disk = new Disk()
    const start = { previous: null, group: 2 ** 32 - 20, tracks: [], bulkGone: false, layout: { partitions: 2, key: 'device' } }
    for (const journal of ['bulk', 'ledger'] as const) disk.put(fileName(journal, 1), encodeStart(1, start))
    const options = { segmentBytes: { bulk: 65_536, ledger: 2_048 }, chunkBytes: 200 }
    let at = 0
    for (let round = 0; round < 4; round++) {
      const { journal, damages, end } = await openOn(disk, options)
      const owner = await own(journal, 0)
      expect([stateOf(owner), damages]).toEqual([at, []])
      for (let n = at + 1; n <= at + 12; n++) {
        await append(journal, 'incidents', 0, `incident ${n}`)
        await owner.owned.commit(statesOf(n), cut(n))
        await rest()
      }
      at += 12
      end()
    }
    expect(await values((await openOn(disk, options)).journal, 'incidents', 0)).toEqual(Array.from({ length: at }, (_, n) => `incident ${n + 1}`))
  })
})

describe('bulk files that somebody deleted', () => {
  it('leave an empty topic, over two starts, whatever the ledger knew of them', async () => {
    const disk = new Disk()
    const first = await openOn(disk)
    await append(first.journal, 'readings', 0, 'a', 'b', 'c')
    void first.journal.append('readings', 0, [record('riding')])
    await append(first.journal, 'incidents', 0, 'incident')
    first.end()
    for (const name of disk.names()) if (name.startsWith('bulk')) disk.remove(name)
    const second = await openOn(disk)
    expect(await second.journal.bounds('readings', 0)).toEqual({ low: 0, high: 0 })
    await append(second.journal, 'readings', 0, 'new')
    second.end()
    const { journal, damages } = await openOn(disk)
    expect(await values(journal, 'readings', 0)).toEqual(['new'])
    expect(await values(journal, 'incidents', 0)).toEqual(['incident'])
    expect(damages).toEqual([])
  })
})

describe('a commit over several files', () => {
  const pages = (n: number, count: number) => Array.from({ length: count }, (_, page) => put('state', 0, `series/${page}`, `${n} ${'x'.repeat(500)}`))
  const options = { segmentBytes: { bulk: 65_536, ledger: 4_096 }, chunkBytes: 1_024 }

  it('counts when its marker is there', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk, options)
    const owner = await own(journal, 0)
    await owner.owned.commit(pages(1, 30), cut(1))
    end()
    expect(disk.names().filter((name) => name.startsWith('ledger')).length).toBeGreaterThan(3)
    const { rows, restored } = await own((await openOn(disk, options)).journal, 0)
    expect(rows.size).toBe(30)
    expect(restored.next.get('readings/0')).toBe(1)
  })

  it('may have more writes than a header’s 16 bits count', async () => {
    const disk = new Disk()
    const large = { segmentBytes: { bulk: 1e6, ledger: 2e6 }, chunkBytes: 65_536 }
    const { journal, end } = await openOn(disk, large)
    const owner = await own(journal, 0)
    const count = 70_000
    await owner.owned.commit(Array.from({ length: count }, (_, n) => put('state', 0, `page/${n}`, 'x')), cut(1))
    end()
    const { journal: again, damages } = await openOn(disk, large)
    const { rows, restored } = await own(again, 0)
    expect([rows.size, restored.next.get('readings/0'), damages]).toEqual([count, 1, []])
  }, 60_000)

  it('killed in its third file it never was, and what was appended meanwhile stays', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk, options)
    const owner = await own(journal, 0)
    await owner.owned.commit(pages(1, 30), cut(1))
    const before = disk.names().length
    const commit = owner.owned.commit(pages(2, 30), cut(2))
    commit.catch(() => undefined)
    for (let n = 0; disk.names().length < before + 3; n++) await append(journal, 'incidents', 0, `incident ${n}`)
    const incidents = await values(journal, 'incidents', 0)
    end()
    const { journal: again, damages } = await openOn(disk, options)
    const { rows, restored } = await own(again, 0)
    expect([...rows.values()].every((value) => value.startsWith('1 '))).toBe(true)
    expect([rows.size, restored.next.get('readings/0')]).toEqual([30, 1])
    expect(await values(again, 'incidents', 0)).toEqual(incidents)
    expect(damages).toEqual([])
  })

  it('what is committed after it was killed holds, over another start', async () => {
    const disk = new Disk()
    const first = await openOn(disk, options)
    const owner = await own(first.journal, 0)
    await owner.owned.commit(pages(1, 30), cut(1))
    const before = disk.names().length
    owner.owned.commit(pages(2, 30), cut(2)).catch(() => undefined)
    for (let n = 0; disk.names().length < before + 3; n++) await append(first.journal, 'incidents', 0, `${n}`)
    first.end()
    const second = await openOn(disk, options)
    await (await own(second.journal, 0)).owned.commit(pages(3, 10), cut(3))
    second.end()
    const { rows, restored } = await own((await openOn(disk, options)).journal, 0)
    expect([...rows.values()].map((value) => value[0]).toSorted()).toEqual([...Array(20).fill('1'), ...Array(10).fill('3')])
    expect(restored.next.get('readings/0')).toBe(3)
  })
})
