/** The journal read beside the process that writes it. */
import { describe, expect, it } from 'vitest'
import { openJournalReader } from '../../../src/log/journal/reader.ts'
import { Disk, failure } from './disk.ts'
import { all, append, openOn, own, put, record, rest, values } from './rig.ts'

const cut = (next: number) => ({ next: new Map([['readings/0', next]]), incarnation: '' })

describe('a reader', () => {
  it('sees what is flushed: frames that ride in the ledger, incidents, the live state', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk)
    await append(journal, 'readings', 0, 'in the bulk file')
    const { owned } = await own(journal, 0)
    await owned.commit([put('state', 0, 'a', '1'), put('state', 0, 'b', '1')], cut(1))
    await owned.commit([put('state', 0, 'a', '2'), put('state', 0, 'b', null)], cut(2))
    void journal.append('readings', 0, [record('riding')])
    await append(journal, 'incidents', 0, 'incident')
    const reader = await openJournalReader('', disk.mount())
    expect(reader.partitions).toBe(2)
    expect(await values(reader, 'readings', 0)).toEqual(['in the bulk file', 'riding'])
    expect(await values(reader, 'incidents', 0)).toEqual(['incident'])
    expect((await all(reader, 'state', 0)).records.map(({ key }) => key)).toEqual(['a', 'header'])
    expect(reader.damaged).toEqual([])
  })

  it('follows: over the end of a file, and riders that move', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, { segmentBytes: { bulk: 2_048, ledger: 2_048 } })
    await append(journal, 'actions', 0, 'x')
    const reader = await openJournalReader('', disk.mount())
    const seen: string[] = []
    let from = 0
    for (let n = 0; n < 60; n++) {
      void journal.append('readings', 0, [record(`${n}`.padEnd(100))])
      if (n % 3 === 0) void journal.append('incidents', 0, [record(`${n}`.padEnd(100))])
      await journal.flushed()
      for (let slice = await reader.read('readings', 0, from, 10); slice; slice = await reader.read('readings', 0, from, 10)) {
        expect(slice.lost).toBe(0)
        seen.push(...slice.records.map(({ value }) => Buffer.from(value!).toString().trim()))
        from = slice.next
      }
      expect(seen.length).toBe(n + 1)
    }
    expect(seen).toEqual(Array.from({ length: 60 }, (_, n) => `${n}`))
    expect((await values(reader, 'incidents', 0)).length).toBe(20)
    expect(reader.damaged).toEqual([])
  })

  it('does not see what is not in the files, nor half a group', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk)
    await append(journal, 'incidents', 0, 'a')
    const name = disk.names().find((one) => one.startsWith('ledger'))!
    const before = disk.bytes(name).length
    await append(journal, 'incidents', 0, 'b')
    const copy = disk.copy()
    copy.put(name, disk.bytes(name).subarray(0, before + 40))
    const reader = await openJournalReader('', copy.mount())
    expect(await values(reader, 'incidents', 0)).toEqual(['a'])
    copy.put(name, disk.bytes(name))
    expect(await values(reader, 'incidents', 0)).toEqual(['a', 'b'])
  })

  it('sees a commit in chunks once its last chunk is there', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, { chunkBytes: 1_000 })
    const { owned } = await own(journal, 0)
    await append(journal, 'actions', 0, 'x')
    const reader = await openJournalReader('', disk.mount())
    const pages = async () => (await all(reader, 'state', 0)).records.filter(({ key }) => key !== 'header').length
    const seen = new Set<number>()
    const commit = owned.commit(Array.from({ length: 40 }, (_, n) => put('state', 0, `page/${n}`, 'x'.repeat(200))), cut(1))
    for (let turn = 0; turn < 30; turn++) seen.add(await pages())
    await commit
    seen.add(await pages())
    expect([...seen]).toEqual([0, 40])
  })

  it('goes on where retention has taken the files it stood in, and says what is lost', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, { segmentBytes: { bulk: 2_048, ledger: 2_048 }, riderBytes: 0 })
    for (let n = 0; n < 40; n++) await append(journal, 'readings', 0, `${n}`.padEnd(200))
    await append(journal, 'actions', 0, 'x')
    const reader = await openJournalReader('', disk.mount())
    expect((await reader.read('readings', 0, 0, 2))!.next).toBe(2)
    await journal.trim('readings', 0, 30)
    await append(journal, 'readings', 0, 'last')
    const slice = await reader.read('readings', 0, 2, 100)
    const { low } = await journal.bounds('readings', 0)
    expect(slice).toMatchObject({ lost: low - 2, next: 41 })
  })

  it('looks again when a file goes between the list of the folder and its reading', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk)
    await append(journal, 'incidents', 0, 'a')
    let gone = 3
    disk.fault = (operation, name) => (operation === 'open' && name.startsWith('ledger') && gone-- > 0 ? failure('ENOENT', name) : undefined)
    const reader = await openJournalReader('', disk.mount())
    expect([await values(reader, 'incidents', 0), reader.damaged, gone < 0]).toEqual([['a'], [], true])
  })

  it('starts over where every file it knew is gone, and shows no key that was deleted in them', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, { segmentBytes: { bulk: 4_096, ledger: 4_096 } })
    const { owned } = await own(journal, 0)
    await owned.commit([put('state', 0, 'gone', '1')], cut(1))
    const reader = await openJournalReader('', disk.mount())
    expect((await all(reader, 'state', 0)).records.map(({ key }) => key)).toContain('gone')
    await owned.commit([put('state', 0, 'gone', null)], cut(1))
    for (let n = 0; n < 60; n++) {
      await owned.commit([put('state', 0, 'hot', `${n}`.padEnd(300))], cut(1))
      await rest()
    }
    expect(disk.names().filter((name) => name.startsWith('ledger')).length).toBeLessThan(6)
    expect((await all(reader, 'state', 0)).records.map(({ key }) => key).toSorted()).toEqual(['header', 'hot'])
    expect(reader.damaged).toEqual([])
  })

  it('of a folder without a log says so', async () => {
    await expect(openJournalReader('', new Disk().mount())).rejects.toMatchObject({ code: 'BAD_CONFIG' })
    await expect(openJournalReader('/nowhere/at/all')).rejects.toMatchObject({ code: 'BAD_CONFIG', message: expect.stringContaining('/nowhere/at/all') })
  })
})
