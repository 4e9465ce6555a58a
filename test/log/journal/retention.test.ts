/** What of the bulk files retention takes, and what it leaves alone. */
import { describe, expect, it } from 'vitest'
import { Disk } from './disk.ts'
import { all, append, openOn, own, record, rest, values } from './rig.ts'

const SMALL = { segmentBytes: { bulk: 2_048, ledger: 65_536 }, retentionBytes: 10_000, riderBytes: 0 }
const cut = (partition: number, next: number) => ({ next: new Map([[`readings/${partition}`, next]]), incarnation: '' })

async function fill(journal: Parameters<typeof append>[0], partition: number, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await append(journal, 'readings', partition, `${n}`.padEnd(200))
  await rest()
}

describe('retention', () => {
  it('keeps about as many bytes as it may, the newest, and tells readers what is gone', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, SMALL)
    const { owned } = await own(journal, 0)
    for (let n = 0; n < 10; n++) {
      await fill(journal, 0, 10)
      const { high } = await journal.bounds('readings', 0)
      await owned.commit([], cut(0, high))
      await owned.commit([], cut(0, high))
    }
    await fill(journal, 0, 1)
    expect(journal.stats().bytes.bulk).toBeLessThan(10_000 + 4_096)
    const { low, high } = await journal.bounds('readings', 0)
    const { records, lost } = await all(journal, 'readings', 0)
    expect([low > 50, high, records.length, lost]).toEqual([true, 101, high - low, low])
  })

  it('leaves what the checkpoint before the last needs, up to twice the bytes', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, SMALL)
    const { owned } = await own(journal, 0)
    await owned.commit([], cut(0, 5))
    await fill(journal, 0, 50)
    expect((await journal.bounds('readings', 0)).low).toBe(0)
    expect(journal.stats().bytes.bulk).toBeGreaterThan(12_000)
    await fill(journal, 0, 100)
    expect((await journal.bounds('readings', 0)).low).toBeGreaterThan(5)
    expect(journal.stats().bytes.bulk).toBeLessThan(20_000 + 4_096)
  })

  it('takes a file whose newest record is too old, unless the checkpoint before the last needs it, however far the clock has jumped', async () => {
    const disk = new Disk()
    const { journal, clock } = await openOn(disk, { ...SMALL, retentionBytes: 1e9, retentionAgeMs: 10_000 })
    const { owned } = await own(journal, 0)
    await fill(journal, 0, 20)
    const { high: old } = await journal.bounds('readings', 0)
    await clock.advance(11_000)
    await fill(journal, 0, 20)
    expect((await journal.bounds('readings', 0)).low).toBe(0)
    await owned.commit([], cut(0, old))
    await owned.commit([], cut(0, old))
    await fill(journal, 0, 1)
    const { low } = await journal.bounds('readings', 0)
    expect([low > 10, low <= old]).toEqual([true, true])
    clock.step(365 * 86_400_000)
    await fill(journal, 0, 1)
    expect((await journal.bounds('readings', 0)).low).toBe(low)
  })

  it('goes by commits that are durable: one that failed moves nothing', async () => {
    const disk = new Disk()
    const { journal, clock } = await openOn(disk, SMALL)
    await fill(journal, 0, 35)
    const first = await own(journal, 0)
    disk.fault = (operation, name) => (operation === 'write' && name.startsWith('ledger') ? new Error('EIO') : undefined)
    await expect(first.owned.commit([], cut(0, 35))).rejects.toThrow()
    disk.fault = () => undefined
    await first.stop()
    await clock.advance(1_000)
    const second = await own(journal, 0)
    expect(second.restored.next.get('readings/0') ?? 0).toBe(0)
    await fill(journal, 0, 1)
    expect((await journal.bounds('readings', 0)).low).toBe(0)
  })

  it('knows the age of what is there over a start', async () => {
    const disk = new Disk()
    const { journal, clock, end } = await openOn(disk, SMALL)
    await fill(journal, 0, 20)
    const { low: before } = await journal.bounds('readings', 0)
    end()
    const later = await openOn(disk, { ...SMALL, clock, retentionBytes: 1e9, retentionAgeMs: 10_000 })
    const { owned } = await own(later.journal, 0)
    await clock.advance(9_000)
    await fill(later.journal, 0, 1)
    for (let n = 0; n < 2; n++) await owned.commit([], cut(0, 20))
    expect((await later.journal.bounds('readings', 0)).low).toBe(before)
    await clock.advance(20_000)
    await fill(later.journal, 0, 1)
    expect((await later.journal.bounds('readings', 0)).low).toBe(20)
  })

  it.each([['incidents', 400], ['requests', 90]] as const)('keeps %s for %i days, and actions for ever', async (topic, days) => {
    const disk = new Disk()
    const options = { segmentBytes: { bulk: 2_048, ledger: 2_048, archive: 1_024 } }
    const { journal, clock, end } = await openOn(disk, options)
    const churn = async (count: number) => {
      for (let n = 0; n < count; n++) {
        await append(journal, topic, 0, `${n}`.padEnd(100))
        await append(journal, 'actions', 0, `${n}`)
        await rest()
      }
      await clock.advance(61_000) // no state commits: emptied files wait a minute
      await append(journal, 'actions', 0, 'last')
      await rest()
    }
    await churn(40)
    clock.step(days * 86_400_000 - 200_000)
    await churn(40)
    expect((await journal.bounds(topic, 0)).low).toBe(0)
    clock.step(200_000)
    await churn(40)
    const { low, high } = await journal.bounds(topic, 0)
    const { records, lost } = await all(journal, topic, 0)
    expect([low > 10, low <= 40, high, lost, records.length]).toEqual([true, true, 120, low, 120 - low])
    expect((await all(journal, 'actions', 0)).records.length).toBe(123)
    end()
    const again = await openOn(disk, options)
    expect(await again.journal.bounds(topic, 0)).toEqual({ low, high })
    expect(again.damages).toEqual([])
  })

  it('remembers the end of a partition all of whose records it has taken, over a start', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk, SMALL)
    await append(journal, 'readings', 1, 'a', 'b', 'c')
    await fill(journal, 0, 200)
    expect(await journal.bounds('readings', 1)).toEqual({ low: 3, high: 3 })
    end()
    const { journal: again } = await openOn(disk, SMALL)
    expect(await again.bounds('readings', 1)).toEqual({ low: 3, high: 3 })
    expect((await again.append('readings', 1, [record('d')])).offset).toBe(3)
    expect((await again.bounds('readings', 0)).low).toBe((await journal.bounds('readings', 0)).low)
  })

  it('by hand takes incidents too, though not their files, and that holds over a start', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk, SMALL)
    await append(journal, 'incidents', 0, 'a', 'b', 'c')
    await journal.trim('incidents', 0, 2)
    expect(await values(journal, 'incidents', 0)).toEqual(['c'])
    end()
    const { journal: again } = await openOn(disk, SMALL)
    expect(await again.bounds('incidents', 0)).toEqual({ low: 2, high: 3 })
  })

  it('that can’t remove a file goes on, and tries again', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, SMALL)
    disk.fault = (operation) => (operation === 'unlink' ? new Error('EPERM') : undefined)
    await fill(journal, 0, 150)
    disk.fault = () => undefined
    await fill(journal, 0, 150)
    expect(journal.stats().bytes.bulk).toBeLessThan(20_000 + 4_096)
    expect((await values(journal, 'readings', 0)).length).toBeGreaterThan(20)
  })
})

describe('a reading of old records', () => {
  it('comes from the files when memory no longer has them, the same in any cut', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, { segmentBytes: { bulk: 4_096, ledger: 4_096 }, recentBytes: 2_000 })
    for (let n = 0; n < 120; n++) await append(journal, n % 4 === 0 ? 'incidents' : 'readings', n % 2, `${n}`.padEnd(1 + (n % 7) * 60))
    const expected = Array.from({ length: 120 }, (_, n) => n).filter((n) => n % 4 !== 0 && n % 2 === 1)
    for (const limit of [1, 2, 7, 1_000]) {
      const seen: number[] = []
      for (let from = 0, slice = await journal.read('readings', 1, 0, limit); slice; slice = await journal.read('readings', 1, from, limit)) {
        expect([slice.lost, slice.records[0]!.offset, slice.next]).toEqual([0, from, from + slice.records.length])
        seen.push(...slice.records.map(({ value }) => Number(Buffer.from(value!).toString())))
        from = slice.next
      }
      expect(seen).toEqual(expected)
    }
  })
})
