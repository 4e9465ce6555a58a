/** Bits that rot: found, reported, skipped; never fatal, never delivered; and no state is made of pages of different commits. */
import { describe, expect, it } from 'vitest'
import { decodeHeader, HEADER_KEY } from '../../../src/log/header.ts'
import type { Damage } from '../../../src/log/journal/damage.ts'
import type { Journal } from '../../../src/log/journal/journal.ts'
import type { Topic } from '../../../src/log/log.ts'
import { Disk } from './disk.ts'
import { all, append, dice, Lines, openOn, own, put, text, values } from './rig.ts'
import type { Owner } from './rig.ts'

const SMALL = { segmentBytes: { bulk: 2_048, ledger: 4_096 }, chunkBytes: 600 }
const COMMITS = 8
const PAGES = 6
const cut = (partition: number, next: number) => ({ next: new Map([[`readings/${partition}`, next]]), incarnation: 'i' })

/** Rows after each commit, by partition: `states[p][n]` after the nth. */
type States = ReadonlyMap<string, string>[][]

/** Both partitions commit in turn: a page or two a time, every third time all (in chunks); frames, incidents, an operator's requests between. */
async function work(disk: Disk): Promise<States> {
  const { journal } = await openOn(disk, SMALL)
  const owners = [await own(journal, 0)]
  await owners[0]!.stop()
  const states: States = [[new Map()], [new Map()]]
  const running = [await hold(journal, 0), await hold(journal, 1)]
  for (let n = 1; n <= COMMITS; n++) {
    for (const partition of [0, 1]) {
      await append(journal, 'readings', partition, `frame ${n} of ${partition}`)
      await append(journal, 'incidents', partition, `incident ${n} of ${partition}`)
      const pages = n % 3 === 0 ? [0, 1, 2, 3, 4, 5] : [n % PAGES, (n * 5 + partition) % PAGES]
      const writes = pages.map((page) => put('state', partition, `series/${page}`, `${n} ${'x'.repeat(200)}`))
      await running[partition]!.owned.commit(writes, cut(partition, n))
      states[partition]!.push(new Map([...states[partition]![n - 1]!, ...writes.map(({ key, value }): [string, string] => [key, text(value)])]))
    }
  }
  await journal.close()
  return states
}

/** `own` takes all partitions of one call of consume; here each is wanted, at once. */
async function hold(journal: Journal, partition: number): Promise<Owner> {
  const held = holders.get(journal) ?? takeAll(journal)
  holders.set(journal, held)
  return (await held)[partition]!
}

const holders = new WeakMap<Journal, Promise<Owner[]>>()

async function takeAll(journal: Journal): Promise<Owner[]> {
  const stop = new AbortController()
  return new Promise((resolve, reject) => {
    const taken: Owner[] = []
    const running = journal.consume(async (owned) => {
      const rows = new Map<string, string>()
      const restored = await owned.restore((key, value) => rows.set(key, text(value)))
      taken[owned.number] = { owned, restored, rows, stop: async () => (stop.abort(), running) }
      if (taken.filter(Boolean).length === 2) resolve(taken)
      return { task: { process: async () => {}, close: async () => {} }, from: (await journal.bounds('readings', owned.number)).high }
    }, stop.signal)
    running.catch(reject)
  })
}

/** The commit whose state the owner found; −1 for a state that never was. */
function commitOf({ rows, restored }: Owner, states: ReadonlyMap<string, string>[], partition: number): number {
  const at = restored.next.get(`readings/${partition}`) ?? 0
  const state = states[at]!
  return rows.size === state.size && [...state].every(([key, value]) => rows.get(key) === value) ? at : -1
}

async function expectRight(journal: Journal, damages: readonly Damage[], states: States, about: string): Promise<void> {
  for (const partition of [0, 1]) {
    const at = commitOf(await hold(journal, partition), states[partition]!, partition)
    expect(at, `${about}: a state that never was`).toBeGreaterThanOrEqual(0)
    if (at < COMMITS) expect(damages.map(({ what }) => what).some((what) => ['state', 'group', 'torn'].includes(what)), `${about}: back to ${at}, told`).toBe(true)
    for (const [topic, name] of [['readings', 'frame'], ['incidents', 'incident']] as [Topic, string][]) {
      const { records } = await all(journal, topic, partition)
      for (const { offset, value } of records) expect(text(value), about).toBe(`${name} ${offset + 1} of ${partition}`)
      if (records.length < COMMITS) expect(damages.length, `${about}: ${topic} lost, told`).toBeGreaterThan(0)
      expect(records.length, about).toBeGreaterThanOrEqual(COMMITS - 1)
    }
  }
}

describe('a flipped bit', () => {
  it('anywhere is found and reported, and leaves a state that was once committed and records that were once written', async () => {
    const disk = new Disk()
    const states = await work(disk)
    const die = dice(7)
    for (let flip = 0; flip < 150; flip++) {
      const copy = disk.copy()
      const names = copy.names()
      const name = names[Math.floor(die() * names.length)]!
      const bytes = copy.bytes(name)
      const at = Math.floor(die() * bytes.length)
      bytes[at]! ^= 1 << Math.floor(die() * 8)
      copy.put(name, bytes)
      const { journal, damages, end } = await openOn(copy, SMALL)
      const about = `flip ${flip}, ${name} at ${at} of ${bytes.length}`
      await expectRight(journal, damages, states, about)
      expect(damages.some(({ file }) => file === name), `${about}: told`).toBe(true)
      end()
      const again = await openOn(copy, SMALL)
      await expectRight(again.journal, [...damages, ...again.damages], states, `${about}, once more`)
      again.end()
    }
  }, 60_000)

  it('many at once are not fatal', async () => {
    const disk = new Disk()
    await work(disk)
    for (let seed = 1; seed <= 30; seed++) {
      const die = dice(seed)
      const copy = disk.copy()
      for (const name of copy.names()) {
        const bytes = copy.bytes(name)
        for (let n = 0; n < 12; n++) bytes[Math.floor(die() * bytes.length)]! ^= 1 << Math.floor(die() * 8)
        copy.put(name, bytes)
      }
      const { journal, damages, end } = await openOn(copy, SMALL)
      const { records } = await all(journal, 'readings', 0)
      for (const { offset, value } of records) expect(text(value)).toBe(`frame ${offset + 1} of 0`)
      await append(journal, 'readings', 0, 'goes on')
      expect((await values(journal, 'readings', 0)).at(-1)).toBe('goes on')
      expect(damages.length).toBeGreaterThan(0)
      end()
    }
  }, 60_000)
})

describe('a damaged page', () => {
  /** Three commits, then the value `needle` of the newest ledger file is damaged. */
  async function damaged(needle: string): Promise<Disk> {
    const disk = new Disk()
    const { journal, end } = await openOn(disk)
    const { owned } = await own(journal, 0)
    await owned.commit([put('state', 0, 'a', 'a1'), put('state', 0, 'b', 'b1')], cut(0, 1))
    await owned.commit([put('state', 0, 'a', 'a2'), put('state', 0, 'c', 'c2')], cut(0, 2))
    await owned.commit([put('state', 0, 'b', 'b3')], cut(0, 3))
    await append(journal, 'incidents', 1, 'something else')
    end()
    const name = disk.names().findLast((one) => one.startsWith('ledger'))!
    const bytes = disk.bytes(name)
    bytes[bytes.indexOf(needle)]! ^= 4
    disk.put(name, bytes)
    return disk
  }

  it('whose key was never rewritten: the checkpoint before it is used, with its place, and said so', async () => {
    const { journal, damages } = await openOn(await damaged('a2'))
    const { rows, restored } = await own(journal, 0)
    expect([...rows].toSorted()).toEqual([['a', 'a1'], ['b', 'b1']])
    expect(restored.next.get('readings/0')).toBe(1)
    expect(damages.map(({ what }) => what)).toEqual(expect.arrayContaining(['entry', 'state']))
  })

  it('that was rewritten since does no harm', async () => {
    const { journal, damages } = await openOn(await damaged('b1'))
    const { rows, restored } = await own(journal, 0)
    expect([...rows].toSorted()).toEqual([['a', 'a2'], ['b', 'b3'], ['c', 'c2']])
    expect(restored.next.get('readings/0')).toBe(3)
    expect(damages.map(({ what }) => what)).toEqual(['entry'])
  })

  it('of the first commit: the state is empty, to be made again from the oldest record', async () => {
    const { journal, damages } = await openOn(await damaged('a1'))
    const again = await own(journal, 0)
    expect(again.rows.size).toBe(3) // a1 was rewritten by a2
    expect(damages.map(({ what }) => what)).toEqual(['entry'])
  })

  it('takes the epoch past all that were used, over the damage and another start', async () => {
    const disk = await damaged('a2')
    const first = await openOn(disk)
    expect((await own(first.journal, 0)).restored.epoch).toBe(3) // one was used, one is the repair's
    first.end()
    const second = await openOn(disk)
    expect(second.damages.map(({ what }) => what)).not.toContain('state')
    const { rows, restored } = await own(second.journal, 0)
    expect([[...rows].toSorted(), restored.epoch]).toEqual([[['a', 'a1'], ['b', 'b1']], 4])
  })

  it('of which nothing older is left: the state is empty and without a place, under a later epoch', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk)
    const { owned } = await own(journal, 0)
    await owned.commit([put('state', 0, 'a', 'only one')], cut(0, 1))
    await append(journal, 'incidents', 1, 'something else')
    end()
    const name = disk.names().findLast((one) => one.startsWith('ledger'))!
    const bytes = disk.bytes(name)
    bytes[bytes.indexOf('only one')]! ^= 4
    disk.put(name, bytes)
    const again = await openOn(disk)
    const { rows, restored } = await own(again.journal, 0)
    expect([rows.size, restored.next.size, restored.epoch > 2]).toEqual([0, 0, true])
    const [header] = (await all(again.journal, 'state', 0)).records.filter(({ key }) => key === HEADER_KEY)
    expect(decodeHeader(header!.value!).partitions).toBe(2)
  })

  it('that rots while the log is open is an error, not a wrong row', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk)
    const owner = await own(journal, 0)
    await owner.owned.commit([put('state', 0, 'a', 'the page')], cut(0, 1))
    await owner.stop()
    const name = disk.names().findLast((one) => one.startsWith('ledger'))!
    const { content } = disk.inode(name)
    content[content.indexOf('the page')]! ^= 1
    await expect(journal.read('state', 0, 0, 10)).rejects.toMatchObject({ code: 'IO' })
  })
})

describe('a damaged marker', () => {
  /** A small commit, one in chunks, a small one; the marker of the middle one is damaged at `where` in its header, or behind it. */
  async function damagedAt(where: number) {
    const disk = new Disk()
    const { journal, end } = await openOn(disk, { chunkBytes: 500 })
    const { owned } = await own(journal, 0)
    await owned.commit([put('state', 0, 'a', '1'), put('state', 0, 'b', '1')], cut(0, 1))
    await owned.commit(Array.from({ length: 10 }, (_, n) => put('state', 0, n === 0 ? 'a' : `page/${n}`, `2 ${'x'.repeat(200)}`)), cut(0, 2))
    const name = disk.names().findLast((one) => one.startsWith('ledger'))!
    const marker = disk.bytes(name).length - 48 - 11 * 16
    await owned.commit([put('state', 0, 'b', '3')], cut(0, 3))
    end()
    const bytes = disk.bytes(name)
    bytes[marker + where]! ^= 1
    disk.put(name, bytes)
    return openOn(disk)
  }

  it.each([['header', 10], ['list of names', 60]])('of a commit in chunks (its %s): the commit is not believed, nor what came after it', async (_, where) => {
    const { journal, damages } = await damagedAt(where)
    const { rows, restored } = await own(journal, 0)
    expect([...rows].toSorted()).toEqual([['a', '1'], ['b', '1']])
    expect(restored.next.get('readings/0')).toBe(1)
    expect(damages.map(({ what }) => what)).toContain('state')
  })

  it('is not what is gone where a page at the end of a chunk is: rewritten since, that does no harm', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk, { chunkBytes: 300 })
    const { owned } = await own(journal, 0)
    const pages = (n: number) => Array.from({ length: 6 }, (_, page) => put('state', 0, `page/${page}`, `${n} ${'x'.repeat(200)}`))
    const commit = owned.commit(pages(1), cut(0, 1))
    await append(journal, 'incidents', 0, 'between the chunks')
    await commit
    await owned.commit(pages(2), cut(0, 2))
    end()
    const name = disk.names().findLast((one) => one.startsWith('ledger'))!
    const bytes = disk.bytes(name)
    bytes[bytes.indexOf('page/1') - 48 + 10]! ^= 1
    disk.put(name, bytes)
    const { journal: again, damages } = await openOn(disk)
    expect((await own(again, 0)).restored.next.get('readings/0')).toBe(2)
    expect(damages.map(({ what }) => what).toSorted()).toEqual(['bytes', 'entry'])
  })

  it('of a group written at once: the group is whole all the same', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk)
    await append(journal, 'incidents', 0, 'a', 'b')
    const name = disk.names().findLast((one) => one.startsWith('ledger'))!
    const marker = disk.bytes(name).length - 48 - 2 * 16
    await append(journal, 'incidents', 0, 'c')
    end()
    const bytes = disk.bytes(name)
    bytes[marker + 10]! ^= 1
    disk.put(name, bytes)
    const { journal: again, damages } = await openOn(disk)
    expect(await values(again, 'incidents', 0)).toEqual(['a', 'b', 'c'])
    expect(damages.map(({ what }) => what)).toEqual(['bytes', 'marker'])
  })
})

describe('what the files say of each other', () => {
  it('records that the ledger knows of and no bulk file has are lost, not given again', async () => {
    const disk = new Disk()
    const { journal, end } = await openOn(disk, { riderBytes: 0 })
    await append(journal, 'readings', 0, 'a', 'b')
    await append(journal, 'readings', 0, 'c')
    await append(journal, 'actions', 0, 'line')
    end()
    const name = disk.names().find((one) => one.startsWith('bulk'))!
    disk.put(name, disk.bytes(name).subarray(0, disk.bytes(name).length - 100))
    const { journal: again, damages } = await openOn(disk)
    expect(await again.bounds('readings', 0)).toEqual({ low: 0, high: 3 })
    expect(damages.map(({ what }) => what)).toContain('missing')
    await append(again, 'readings', 0, 'd')
    expect(await values(again, 'readings', 0)).toEqual(['a', 'b', 'd'])
    expect((await all(again, 'readings', 0)).lost).toBe(1)
  })

  it('a damaged footer costs a scan, not a record', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, SMALL)
    for (let n = 0; n < 20; n++) await append(journal, 'readings', 0, `${n}`.padEnd(300))
    await journal.close()
    const [name] = disk.names()
    const bytes = disk.bytes(name!)
    bytes[bytes.length - 60]! ^= 1
    disk.put(name!, bytes)
    const { journal: again, damages } = await openOn(disk, SMALL)
    expect((await values(again, 'readings', 0)).length).toBe(20)
    expect(damages).toMatchObject([{ what: 'footer', file: name }])
  })

  it.each([['the newest file', 1], ['a file others follow', 2]])('a footer that was never written to its end, of %s, is no damage: said at info', async (_, starts) => {
    const disk = new Disk()
    const [first] = [await openOn(disk)]
    for (let n = 0; n < 3; n++) await append(first.journal, 'readings', 0, `${n}`)
    await first.journal.close()
    const [name] = disk.names()
    const footer = disk.bytes(name!).lastIndexOf('PKJ1')
    const whole = disk.bytes(name!)
    if (starts === 2) {
      const { journal } = await openOn(disk)
      await append(journal, 'readings', 0, '3')
      await journal.close()
    }
    for (const length of [footer, footer + 20, footer + 60, whole.length - 20, whole.length - 1]) {
      const copy = disk.copy()
      copy.put(name!, whole.subarray(0, length))
      const logger = new Lines()
      const { journal, damages } = await openOn(copy, { logger })
      expect((await values(journal, 'readings', 0)).length).toBe(starts + 2)
      expect(damages.map(({ what }) => what)).toEqual(length === footer && starts === 1 ? [] : ['torn'])
      expect(logger.of('warn')).toEqual([])
    }
  })

  it('a ledger file that is gone makes no state of what is left', async () => {
    const disk = new Disk()
    const states = await work(disk)
    const ledgers = disk.names().filter((one) => one.startsWith('ledger'))
    disk.remove(ledgers[1]!)
    const { journal, damages } = await openOn(disk, SMALL)
    for (const partition of [0, 1]) expect(commitOf(await hold(journal, partition), states[partition]!, partition)).toBeGreaterThanOrEqual(0)
    expect(damages.map(({ what }) => what)).toEqual(expect.arrayContaining(['missing', 'state']))
  })
})

it('lost state is said as an error that names whose it was, as people act on it', async () => {
  const disk = new Disk()
  const { journal, end } = await openOn(disk)
  const { owned } = await own(journal, 'leases')
  await owned.commit([put('leases', 0, 'lease/pump-1', 'until noon')], { next: new Map(), incarnation: '' })
  await owned.commit([put('leases', 0, 'ledger', 'line 2')], { next: new Map(), incarnation: '' })
  end()
  const [name] = disk.names().filter((one) => one.startsWith('ledger'))
  const bytes = disk.bytes(name!)
  bytes[bytes.indexOf('until noon')]! ^= 1
  disk.put(name!, bytes)
  const logger = new Lines()
  await openOn(disk, { logger })
  expect(logger.of('error')).toEqual([expect.stringMatching(/^error the journal is damaged: the newest state of leases\/0 is damaged: /)])
})
