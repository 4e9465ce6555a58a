/** A disk that fills up, with a reserve on it: nothing new is taken, what ends can end, and all goes on by itself when there is room. */
import { describe, expect, it } from 'vitest'
import { readinessOf } from '../../../src/ops/health.ts'
import { Disk, failure } from './disk.ts'
import { append, Lines, openOn, own, put, record, rest, values } from './rig.ts'

const RESERVE = 100_000
const WITH = { reserveBytes: RESERVE, riderBytes: 0 }
const cut = (next: number) => ({ next: new Map([['readings/0', next]]), incarnation: 'i' })
const code = (promise: Promise<unknown>) => promise.then(() => 'fine', (error: { code?: string }) => error.code)

async function full(options: Partial<Parameters<typeof openOn>[1]> = {}) {
  const disk = new Disk()
  const logger = new Lines()
  const opened = await openOn(disk, { ...WITH, logger, ...options })
  const owner = await own(opened.journal, 0)
  await append(opened.journal, 'readings', 0, 'before')
  disk.capacity = disk.used() + 400
  return { ...opened, disk, logger, owner }
}

describe('the reserve', () => {
  it('is made at the start, of bytes that are really there, and once', async () => {
    const disk = new Disk()
    const { end } = await openOn(disk, WITH)
    const bytes = disk.bytes('reserve')
    expect([bytes.length, new Set(bytes).size]).toEqual([RESERVE, 256])
    end()
    const { bytes: written } = disk.counted
    await openOn(disk, WITH)
    expect(disk.counted.bytes - written).toBeLessThan(RESERVE)
  })

  it('is given up on a full disk: what was appended is stored, and from then on nothing is taken from devices', async () => {
    const { journal, disk, logger } = await full()
    await append(journal, 'readings', 0, 'x'.repeat(1_000))
    expect(disk.names()).not.toContain('reserve')
    await expect(journal.append('readings', 0, [record('y')])).rejects.toMatchObject({ code: 'DISK_FULL', message: expect.stringMatching(/^\/disk: the disk is full.*free 1 MiB.*log\.embedded\.retention\.size/) })
    expect(await code(journal.append('dead-letters', 0, [record('y')]))).toBe('DISK_FULL')
    expect(readinessOf(journal.reasons())).toEqual({ ready: false, reasons: [expect.stringContaining('/disk: the disk is full')] })
    expect(logger.of('error')).toEqual([expect.stringContaining('the disk is full')])
  })

  it('gives way to commits, incidents and decisions, by the same owners', async () => {
    const { journal, owner } = await full()
    await append(journal, 'readings', 0, 'x'.repeat(1_000))
    await owner.owned.commit([put('state', 0, 'a', 'z'.repeat(10_000)), put('readings', 0, '', 'a control record')], cut(1))
    await append(journal, 'actions', 0, 'line')
    expect([owner.owned.signal.aborted, await values(journal, 'actions', 0)]).toEqual([false, ['line']])
  })

  it('lets retention and compaction free what they may', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, { ...WITH, segmentBytes: { bulk: 2_048, ledger: 4_096 } })
    const { owned } = await own(journal, 0)
    await append(journal, 'readings', 0, 'before')
    disk.capacity = disk.used() + 400
    await append(journal, 'readings', 0, 'x'.repeat(1_000))
    for (let n = 0; n < 100; n++) {
      await owned.commit([put('state', 0, 'a', `${n}`.padEnd(300))], cut(1))
      await rest()
    }
    expect(disk.used()).toBeLessThan(disk.capacity - RESERVE / 2)
  })

  it('leaves half of what it gave to commits: compaction waits for room, without a word, and goes on when there is some', async () => {
    const reserveBytes = 1_000_000
    const disk = new Disk()
    const logger = new Lines()
    const { journal, clock } = await openOn(disk, { reserveBytes, logger, segmentBytes: { bulk: 2_048, ledger: 850_000, archive: reserveBytes } })
    const { owned } = await own(journal, 0)
    const commit = async (bytes: number) => {
      await owned.commit([put('state', 0, 'a', 'x'.repeat(bytes))], cut(1))
      await rest()
    }
    await (await journal.append('actions', 0, Array.from({ length: 10_000 }, () => record('a line'.padEnd(90))))).flushed
    disk.capacity = disk.used() + 400
    await append(journal, 'readings', 0, 'x'.repeat(1_000))
    for (let n = 0; n < 20; n++) {
      await commit(10_000)
      await clock.advance(1_000)
    }
    const { actions } = journal.stats().bytes
    expect([actions > 200_000, disk.capacity - disk.used() > reserveBytes / 5, logger.of('warn')]).toEqual([true, true, []])
    disk.capacity += 1_000_000
    await commit(1)
    expect(journal.stats().bytes.actions).toBeGreaterThan(actions)
  })

  it('half made by a process that was killed makes way for another', async () => {
    const disk = new Disk()
    disk.put('reserve', Buffer.alloc(RESERVE / 2))
    disk.capacity = 2 * RESERVE
    const { journal } = await openOn(disk, { ...WITH, reserveBytes: 2 * RESERVE })
    expect([disk.names().includes('reserve'), journal.reasons().length]).toEqual([false, 1])
  })

  it('is made again when there is twice its room, and then all is taken as before', async () => {
    const { journal, disk, clock, logger } = await full()
    await append(journal, 'readings', 0, 'x'.repeat(1_000))
    disk.capacity = disk.used() + 2 * RESERVE - 1
    await clock.advance(5_000)
    expect(await code(journal.append('readings', 0, [record('y')]))).toBe('DISK_FULL')
    disk.capacity++
    await clock.advance(1_000)
    await rest()
    await append(journal, 'readings', 0, 'after')
    expect([disk.bytes('reserve').length, journal.reasons(), logger.of('info').length]).toEqual([RESERVE, [], 1])
    expect((await values(journal, 'readings', 0)).map((value) => value[0])).toEqual(['b', 'x', 'a'])
  })

  it('used up too: appends and commits are refused, and what was acknowledged is there after a start', async () => {
    const { journal, disk, clock, end } = await full()
    await append(journal, 'readings', 0, 'x'.repeat(1_000))
    disk.capacity = disk.used()
    expect(await code(append(journal, 'actions', 0, 'too much'))).toBe('DISK_FULL')
    await clock.advance(1_000)
    disk.capacity = Infinity
    await clock.advance(2_000)
    await append(journal, 'actions', 0, 'fits')
    end()
    const again = await openOn(disk)
    expect([await values(again.journal, 'actions', 0), await values(again.journal, 'readings', 0), again.damages]).toEqual([['fits'], ['before', 'x'.repeat(1_000)], []])
  })

  it('lets a start on a full disk take place, which takes nothing yet', async () => {
    const { journal, disk, end } = await full()
    await append(journal, 'incidents', 0, 'kept')
    end()
    disk.capacity = disk.used()
    const again = await openOn(disk, WITH)
    expect((await own(again.journal, 0)).restored.epoch).toBe(2)
    expect(await values(again.journal, 'incidents', 0)).toEqual(['kept'])
    expect(again.journal.reasons().length).toBe(1)
  })

  it('that has no room at the start is not half made, and is made when there is', async () => {
    const disk = new Disk()
    disk.capacity = RESERVE
    const { journal, clock } = await openOn(disk, WITH)
    expect([disk.names().includes('reserve'), journal.reasons().length]).toEqual([false, 1])
    disk.capacity = 10 * RESERVE
    await clock.advance(1_000)
    await rest()
    expect([disk.names().includes('reserve'), journal.reasons()]).toEqual([true, []])
  })

  it('that can not be made for another reason is said, and leaves no part of itself', async () => {
    const disk = new Disk()
    const logger = new Lines()
    disk.fault = (operation, name) => (operation === 'write' && name === 'reserve' ? failure('EIO', name) : undefined)
    await openOn(disk, { ...WITH, logger })
    expect([disk.names().includes('reserve'), logger.of('warn')]).toEqual([false, [expect.stringContaining('reserve')]])
  })

  it('looks for room no longer once the journal is closed', async () => {
    const { journal, clock } = await full()
    await append(journal, 'readings', 0, 'x'.repeat(1_000))
    await journal.close()
    const { pending } = clock
    await clock.advance(5_000)
    expect([pending, clock.pending]).toEqual([0, 0])
  })
})

describe('without a reserve', () => {
  it('a write that failed is a reason not to be ready, until one works or some seconds have passed', async () => {
    const disk = new Disk()
    const { journal, clock } = await openOn(disk)
    disk.capacity = disk.used()
    expect(await code(append(journal, 'actions', 0, 'x'))).toBe('DISK_FULL')
    expect(journal.reasons()).toEqual([expect.stringContaining('the disk is full')])
    disk.capacity = Infinity
    await clock.advance(300)
    await append(journal, 'actions', 0, 'y')
    expect(journal.reasons()).toEqual([])
  })
})
