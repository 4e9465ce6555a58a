/** How the journal writes: when it syncs, what rides where, and what becomes of it when the disk says no. */
import { describe, expect, it } from 'vitest'
import { DamageReport } from '../../../src/log/journal/damage.ts'
import { recover } from '../../../src/log/journal/recovery.ts'
import { Disk, failure } from './disk.ts'
import type { Operation } from './disk.ts'
import { all, append, Lines, openOn, own, put, record, rest, values } from './rig.ts'

const cut = (next: number) => ({ next: new Map([['readings/0', next]]), incarnation: '' })
const code = (promise: Promise<unknown>) => promise.then(() => 'fine', (error: { code?: string }) => error.code)

/** Fails the nth operation of a kind on a kind of file, from now on. */
function failNth(disk: Disk, operation: Operation, file: string, nth: number, error = 'EIO', times = 1): void {
  let seen = 0
  disk.fault = (one, name) => {
    if (one !== operation || !name.startsWith(file)) return undefined
    seen++
    return seen >= nth && seen < nth + times ? failure(error, name) : undefined
  }
}

describe('rounds', () => {
  it('an idle disk is written to at once, and what comes during the sync is one group after it', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk)
    await append(journal, 'incidents', 0, 'first')
    const before = disk.counted.datasyncs
    const release = disk.stall()
    const one = await journal.append('incidents', 0, [record('a')])
    await rest()
    expect(disk.counted.datasyncs).toBe(before + 1)
    const others = await Promise.all(['b', 'c', 'd'].map((value) => journal.append('actions', 0, [record(value)])))
    await rest()
    release()
    await Promise.all([one, ...others].map(({ flushed }) => flushed))
    expect(disk.counted.datasyncs).toBe(before + 2)
  })

  it('what a reader appends in the turn of an append is in the same group', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk)
    await append(journal, 'incidents', 0, 'first')
    const stop = new AbortController()
    const done = new Promise<void>((resolve) => {
      const tail = journal.tail('readings', new Map(), async () => {
        const { flushed } = await journal.append('incidents', 1, [record('made from it')])
        void flushed.then(resolve)
      }, stop.signal)
      tail.catch(() => undefined)
    })
    await rest()
    const before = disk.counted.datasyncs
    await journal.append('readings', 0, [record('a frame')])
    await done
    expect(disk.counted.datasyncs).toBe(before + 1)
    stop.abort()
  })

  it('a round too large for one group makes appends wait, and keeps their order', async () => {
    const { journal } = await openOn(new Disk())
    const big = 'x'.repeat(512 * 1024)
    const appends = Array.from({ length: 60 }, (_, n) => journal.append('readings', 0, [record(`${n} ${big}`)]))
    const offsets = (await Promise.all(appends)).map(({ offset }) => offset)
    await journal.flushed()
    expect(offsets).toEqual(offsets.map((_, n) => n))
    expect((await values(journal, 'readings', 0)).map((value) => Number(value.split(' ')[0]))).toEqual(offsets)
  })

  it('an append called while others still wait for room comes behind them', async () => {
    const { journal } = await openOn(new Disk())
    const appends: Promise<{ offset: number; flushed: Promise<void> }>[] = []
    const call = (bytes: number) => {
      const appended = journal.append('readings', 0, [record('x'.repeat(bytes))])
      appends.push(appended)
      return appended
    }
    for (let n = 0; n < 60; n++) call(512 * 1024)
    const { flushed } = await appends[0]!
    await flushed
    for (let turn = 0; turn < 100; turn++) {
      call(1)
      await Promise.resolve()
    }
    const offsets = (await Promise.all(appends)).map(({ offset }) => offset)
    expect(offsets).toEqual(offsets.map((_, n) => n))
  })

  it('a commit in chunks lets others be flushed between them', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, { chunkBytes: 1_000 })
    const { owned } = await own(journal, 0)
    const order: string[] = []
    const commit = owned.commit(Array.from({ length: 100 }, (_, n) => put('state', 0, `page/${n}`, 'x'.repeat(200))), cut(0)).then(() => order.push('commit'))
    const { flushed } = await journal.append('readings', 0, [record('a frame')])
    await Promise.all([commit, flushed.then(() => order.push('frame'))])
    expect(order).toEqual(['frame', 'commit'])
  })

  it('nobody reads what a commit in chunks writes to other topics before its last chunk', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, { chunkBytes: 1_000 })
    const { owned } = await own(journal, 0)
    const release = disk.stall()
    const writes = [put('incidents', 0, 'incident'), ...Array.from({ length: 100 }, (_, n) => put('state', 0, `page/${n}`, 'x'.repeat(200)))]
    const commit = owned.commit(writes, cut(0))
    await rest()
    expect(await journal.bounds('incidents', 0)).toEqual({ low: 0, high: 0 })
    release()
    await commit
    expect(await values(journal, 'incidents', 0)).toEqual(['incident'])
  })
})

describe('riders', () => {
  it('a small frame with an incident behind it costs one sync, not two', async () => {
    const syncs = async (riderBytes: number) => {
      const disk = new Disk()
      const { journal } = await openOn(disk, { riderBytes })
      await append(journal, 'actions', 0, 'first')
      const before = disk.counted.datasyncs
      void journal.append('readings', 0, [record('frame')])
      void journal.append('incidents', 0, [record('incident')])
      await journal.flushed()
      return disk.counted.datasyncs - before
    }
    expect([await syncs(4_096), await syncs(0)]).toEqual([1, 2])
  })

  it('come back after a kill, in their order, and go to the bulk file with the next frames', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk)
    for (let n = 0; n < 3; n++) {
      void journal.append('readings', 0, [record(`rider ${n}`)])
      await append(journal, 'incidents', 0, `${n}`)
    }
    end()
    disk.cutPower('nothing')
    expect(disk.bytes('bulk-0000000001.seg').includes('rider')).toBe(false)
    const { journal: again } = await openOn(disk)
    expect(disk.bytes('bulk-0000000001.seg').length + disk.bytes('bulk-0000000002.seg').length).toBeGreaterThan(500)
    await append(again, 'readings', 0, 'next')
    expect(await values(again, 'readings', 0)).toEqual(['rider 0', 'rider 1', 'rider 2', 'next'])
  })

  it('are bounded: beyond it the bulk file gets them', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, { riderBytes: 2_000 })
    for (let n = 0; n < 20; n++) {
      void journal.append('readings', 0, [record(`${n} ${'x'.repeat(400)}`)])
      await append(journal, 'incidents', 0, `${n}`)
    }
    expect(disk.bytes('bulk-0000000001.seg').length).toBeGreaterThan(16 * 400)
    expect((await values(journal, 'readings', 0)).length).toBe(20)
  })

  it('can be read while they ride, though memory is short', async () => {
    const { journal } = await openOn(new Disk(), { recentBytes: 0 })
    void journal.append('readings', 0, [record('riding')])
    await append(journal, 'incidents', 0, 'incident')
    await append(journal, 'incidents', 0, 'another')
    expect(await values(journal, 'readings', 0)).toEqual(['riding'])
  })

  it('that have moved are not remembered by a recovery', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, { riderBytes: 2_000 })
    for (let n = 0; n < 50; n++) {
      void journal.append('readings', 0, [record('x'.repeat(500))])
      await append(journal, 'incidents', 0, `${n}`)
    }
    const { replay } = await recover({ files: disk.mount(), partitions: 2, report: new DamageReport({}) })
    expect(replay.riders.length).toBeLessThan(10)
  })

  it('of a commit that fails are not in the bulk file, even where others that came with it are', async () => {
    const disk = new Disk()
    const { journal, clock, end } = await openOn(disk, { riderBytes: 0 })
    const { owned } = await own(journal, 0)
    disk.capacity = disk.names().reduce((sum, name) => sum + disk.bytes(name).length, 0) + 700
    const commit = owned.commit([put('readings', 1, 'control'), put('state', 0, 'a', 'x'.repeat(1_000))], cut(0))
    void journal.append('readings', 1, [record('frame')])
    expect(await code(commit)).toBe('DISK_FULL')
    disk.capacity = Infinity
    await clock.advance(1_000)
    end()
    expect(await values((await openOn(disk)).journal, 'readings', 1)).not.toContain('control')
  })

  it('of a commit are there with it or not at all', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk)
    const { owned } = await own(journal, 0)
    await owned.commit([put('readings', 1, 'control 1'), put('state', 0, 'a')], cut(0))
    const release = disk.stall()
    owned.commit([put('readings', 1, 'control 2'), put('state', 0, 'b')], cut(0)).catch(() => undefined)
    await rest()
    end()
    release()
    disk.cutPower('nothing')
    const { journal: again } = await openOn(disk)
    expect(await values(again, 'readings', 1)).toEqual(['control 1'])
    expect([...(await own(again, 0)).rows.keys()]).toEqual(['a'])
  })
})

describe('a sync that fails', () => {
  it.each(['bulk', 'ledger'])('in a %s file: the file is left, the group goes to the next, and nobody notices', async (kind) => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk, { riderBytes: 0 })
    const topic = kind === 'bulk' ? 'readings' : 'incidents'
    await append(journal, topic, 0, 'a')
    const files = disk.names().length
    failNth(disk, 'datasync', kind, 1)
    await append(journal, topic, 0, 'b')
    disk.fault = () => undefined
    await append(journal, topic, 0, 'c')
    expect(disk.names().length).toBe(files + 1)
    expect(await values(journal, topic, 0)).toEqual(['a', 'b', 'c'])
    end()
    const { journal: again } = await openOn(disk)
    expect((await all(again, topic, 0)).records.map(({ offset }) => offset)).toEqual([0, 1, 2])
  })

  it('twice: what waited is refused with IO, and is not there after a start, though the first file has all of it', async () => {
    const disk = new Disk()
    const { journal, clock, end } = await openOn(disk)
    await append(journal, 'incidents', 0, 'a')
    failNth(disk, 'datasync', 'ledger', 1, 'EIO', 99)
    expect(await code(append(journal, 'incidents', 0, 'b'))).toBe('IO')
    disk.fault = () => undefined
    await clock.advance(1_000)
    await append(journal, 'incidents', 0, 'c')
    end()
    const { journal: again } = await openOn(disk)
    expect(await values(again, 'incidents', 0)).toEqual(['a', 'c'])
  })

  it('twice, under a commit: IN_DOUBT, and what the next owner finds holds', async () => {
    const disk = new Disk()
    const { journal, clock } = await openOn(disk)
    const first = await own(journal, 0)
    await first.owned.commit([put('state', 0, 'a', '1')], cut(1))
    failNth(disk, 'datasync', 'ledger', 1, 'EIO', 99)
    expect(await code(first.owned.commit([put('state', 0, 'a', '2')], cut(2)))).toBe('IN_DOUBT')
    disk.fault = () => undefined
    await clock.advance(10_000)
    await first.stop()
    const second = await own(journal, 0)
    expect([[...second.rows], second.restored.next.get('readings/0')]).toEqual([[['a', '1']], 1])
  })

  it('fences whoever may have read what was lost, and ends tails that did', async () => {
    const disk = new Disk()
    const { journal, clock } = await openOn(disk)
    const first = await own(journal, 0)
    const stop = new AbortController()
    const seen: number[] = []
    const tail = journal.tail('incidents', new Map(), async (slice) => void seen.push(...slice.records.map(({ offset }) => offset)), stop.signal)
    failNth(disk, 'datasync', 'ledger', 1, 'EIO', 99)
    const { flushed } = await journal.append('incidents', 0, [record('shown, then lost')])
    expect(await code(flushed)).toBe('IO')
    disk.fault = () => undefined
    expect(await code(tail)).toBe('RECREATED')
    expect(seen).toEqual([0])
    await clock.advance(300)
    expect(first.owned.signal.aborted).toBe(true)
    expect(await code(first.owned.commit([], cut(0)))).toBe('FENCED')
    expect(await journal.bounds('incidents', 0)).toEqual({ low: 0, high: 0 })
  })
})

describe('a full disk', () => {
  it('is said so at once, nothing of the group stays, and work goes on when there is room', async () => {
    const disk = new Disk()
    const { journal, clock, end } = await openOn(disk)
    await append(journal, 'readings', 0, 'a')
    const used = disk.names().reduce((sum, name) => sum + disk.bytes(name).length, 0)
    disk.capacity = used + 500
    const { flushed } = await journal.append('readings', 0, [record('x'.repeat(2_000))])
    expect(await code(flushed)).toBe('DISK_FULL')
    expect(disk.names().reduce((sum, name) => sum + disk.bytes(name).length, 0)).toBe(used)
    expect(await code(journal.append('readings', 0, [record('b')]))).toBe('DISK_FULL')
    await clock.advance(1_000)
    await append(journal, 'readings', 0, 'c')
    disk.capacity = Infinity
    await append(journal, 'readings', 0, 'd'.repeat(2_000))
    end()
    const { journal: again, damages } = await openOn(disk)
    expect((await values(again, 'readings', 0)).map((value) => value[0])).toEqual(['a', 'c', 'd'])
    expect(damages).toEqual([])
  })

  it('at a new file: the old one is gone on with', async () => {
    const disk = new Disk()
    const { journal, clock } = await openOn(disk, { segmentBytes: { bulk: 3_000, ledger: 3_000 }, riderBytes: 0 })
    await append(journal, 'readings', 0, 'x'.repeat(2_000))
    disk.capacity = disk.names().reduce((sum, name) => sum + disk.bytes(name).length, 0) + 100
    expect(await code(append(journal, 'readings', 0, 'y'.repeat(2_000)))).toBe('DISK_FULL')
    expect(disk.names().filter((name) => name.endsWith('.tmp'))).toEqual([])
    disk.capacity = Infinity
    await clock.advance(1_000)
    await append(journal, 'readings', 0, 'z'.repeat(2_000))
    expect((await values(journal, 'readings', 0)).map((value) => value[0])).toEqual(['x', 'z'])
  })

  it('leaves no half footer at the end, and nothing to report at the next start', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk)
    await append(journal, 'readings', 0, 'a')
    disk.capacity = disk.names().reduce((sum, name) => sum + disk.bytes(name).length, 0) + 70
    await journal.close()
    disk.capacity = Infinity
    const { journal: again, damages } = await openOn(disk)
    expect([await values(again, 'readings', 0), damages]).toEqual([['a'], []])
  })

  it('is one line a retry, however many wait for it, and says that nothing is taken', async () => {
    const disk = new Disk()
    const logger = new Lines()
    const { journal, clock } = await openOn(disk, { logger, partitions: 4 })
    await append(journal, 'actions', 0, 'a')
    disk.capacity = 0
    const stop = new AbortController()
    const roles = [
      journal.consume(async (owned) => (await owned.restore(() => undefined), { task: { process: async () => {}, close: async () => {} }, from: 0 }), stop.signal),
      journal.lead('respond', async (owned) => void (await owned.restore(() => undefined)), stop.signal),
    ]
    await rest()
    await clock.advance(50 + 100 + 200 + 400) // the pauses between five tries
    await rest()
    const lines = logger.of('warn')
    expect(lines.length).toBe(5)
    for (const line of lines) expect(line).toMatch(/^warn \/disk.*the disk is full.*trying again/)
    stop.abort()
    await Promise.all(roles)
  })

  it('fences owners without a warning of its own from each', async () => {
    const disk = new Disk()
    const logger = new Lines()
    const { journal, clock } = await openOn(disk, { logger, partitions: 4 })
    const stop = new AbortController()
    let closed = 0
    const consuming = journal.consume(async (owned) => {
      await owned.restore(() => undefined)
      const close = async () => {
        closed++
        await owned.commit([], cut(0))
      }
      return { task: { process: async () => {}, close }, from: 0 }
    }, stop.signal)
    await rest()
    disk.capacity = 0
    const { flushed } = await journal.append('incidents', 0, [record('too much')])
    expect(await code(flushed)).toBe('DISK_FULL')
    await rest()
    expect([closed, logger.of('debug').length, logger.of('warn')]).toEqual([4, 4, []])
    disk.capacity = Infinity
    await clock.advance(1_000)
    stop.abort()
    await consuming
  })

  it('under a commit: DISK_FULL, and the state is the one before', async () => {
    const disk = new Disk()
    const { journal, clock } = await openOn(disk)
    const first = await own(journal, 0)
    await first.owned.commit([put('state', 0, 'a', '1')], cut(1))
    disk.capacity = 0
    expect(await code(first.owned.commit([put('state', 0, 'a', '2')], cut(2)))).toBe('DISK_FULL')
    disk.capacity = Infinity
    await clock.advance(10_000)
    await first.stop()
    expect([...(await own(journal, 0)).rows]).toEqual([['a', '1']])
  })
})

describe('refusals', () => {
  it('a record the format can’t hold is refused, and says what the most is', async () => {
    const { journal } = await openOn(new Disk())
    await expect(journal.append('readings', 0, [{ key: 'k'.repeat(70_000), value: Buffer.alloc(1) }])).rejects.toMatchObject({ code: 'REFUSED', message: expect.stringContaining('65535') })
    await expect(journal.append('readings', 0, [{ key: '', value: Buffer.alloc(17 * 1024 * 1024) }])).rejects.toMatchObject({ code: 'REFUSED' })
  })

  it('a closed journal is sealed, takes nothing, and closes twice', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk)
    await append(journal, 'incidents', 0, 'a')
    await Promise.all([journal.close(), journal.close()])
    expect(await code(journal.append('incidents', 0, [record('b')]))).toBe('CLOSED')
    const { journal: again, damages } = await openOn(disk)
    expect([await values(again, 'incidents', 0), damages]).toEqual([['a'], []])
  })
})
