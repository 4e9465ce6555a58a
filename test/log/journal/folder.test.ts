/** The journal's folder on the real file system: deleted, moved or begun anew under a running journal; and those that can't be used at all. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { openJournal } from '../../../src/log/journal/journal.ts'
import type { Journal, JournalOptions } from '../../../src/log/journal/journal.ts'
import { systemRandom } from '../../../src/ops/random.ts'
import { ManualClock } from '../../clock.ts'
import { Disk, failure } from './disk.ts'
import { append, Lines, openOn, own, put, record, rest, values } from './rig.ts'

const cut = { next: new Map(), incarnation: '' }
const code = (promise: Promise<unknown>) => promise.then(() => 'fine', (error: { code?: string }) => error.code)
const folders: string[] = []
const journals: Journal[] = []

afterEach(async () => {
  for (const journal of journals.splice(0)) await journal.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'picket-folder-'))
  folders.push(folder)
  return folder
}

async function open(path: string, options: Partial<JournalOptions> = {}) {
  const clock = new ManualClock()
  const logger = new Lines()
  const journal = await openJournal({ path, partitions: 1, key: 'device', clock, random: systemRandom, logger, ...options })
  journals.push(journal)
  /** Until the journal has noticed. */
  const evicted = async () => {
    const told = logger.next('error')
    await clock.advance(1_000)
    await told
  }
  return { journal, clock, logger, evicted }
}

const ways: [string, (path: string) => void][] = [
  ['deleted', (path) => rmSync(path, { recursive: true })],
  ['moved', (path) => renameSync(path, `${path}-moved`)],
  ['deleted and made anew', (path) => (rmSync(path, { recursive: true }), mkdirSync(path))],
  ['replaced by a file', (path) => (rmSync(path, { recursive: true }), writeFileSync(path, ''))],
  ['robbed of the file being written', (path) => unlinkSync(join(path, readdirSync(path).find((name) => name.startsWith('ledger'))!))],
]

describe('a folder that, under a running journal, is', () => {
  it.each(ways)('%s: within a second appends and commits are refused for good, and it is said once, by its name', async (_, take) => {
    const path = join(makeFolder(), 'data')
    const { journal, clock, logger, evicted } = await open(path)
    const { owned } = await own(journal, 0)
    await append(journal, 'incidents', 0, 'kept')
    take(path)
    await evicted()
    await clock.advance(5_000)
    const append2 = journal.append('readings', 0, [record('lost')])
    await expect(append2).rejects.toMatchObject({ code: 'LOCKED', retriable: false, message: expect.stringContaining(path) })
    expect(await code(owned.commit([put('state', 0, 'a')], cut))).toBe('LOCKED')
    expect(await code(journal.flushed())).toBe('LOCKED')
    expect(logger.of('error')).toEqual([expect.stringContaining(path)])
  })

  it('deleted: whoever owns, leads or reads along is ended by it, which ends the process', async () => {
    const path = join(makeFolder(), 'data')
    const { journal, evicted } = await open(path)
    const { signal } = new AbortController()
    const task = { process: async () => {}, close: async () => {} }
    const roles = [
      journal.consume(async (owned) => (await owned.restore(() => undefined), { task, from: 0 }), signal),
      journal.lead('respond', (owned) => new Promise((end) => owned.signal.addEventListener('abort', () => end(), { once: true })), signal),
      journal.tail('incidents', new Map(), async () => {}, signal),
    ].map(code)
    await append(journal, 'incidents', 0, 'kept')
    rmSync(path, { recursive: true })
    await evicted()
    expect(await Promise.all(roles)).toEqual(['LOCKED', 'LOCKED', 'LOCKED'])
  })

  it('deleted and taken by another: that one is left alone, whatever the first still does', async () => {
    const path = join(makeFolder(), 'data')
    const first = await open(path, { segmentBytes: { bulk: 1_024, ledger: 1_024 } })
    await append(first.journal, 'incidents', 0, 'a')
    rmSync(path, { recursive: true })
    const second = await open(path)
    await append(second.journal, 'incidents', 0, 'b')
    const names = readdirSync(path)
    expect(await code(append(first.journal, 'incidents', 0, 'x'.repeat(2_000)))).toBe('LOCKED') // before it begins a file there
    await first.journal.close()
    expect(readdirSync(path)).toEqual(names)
    await second.clock.advance(5_000)
    await append(second.journal, 'incidents', 0, 'c')
    expect(await values(second.journal, 'incidents', 0)).toEqual(['b', 'c'])
    expect(second.logger.of('error')).toEqual([])
  })

  it('left alone: nothing is said', async () => {
    const { journal, clock, logger } = await open(join(makeFolder(), 'data'), { segmentBytes: { bulk: 1_024, ledger: 1_024 } })
    for (let n = 0; n < 8; n++) {
      await append(journal, 'incidents', 0, `${n}`.padEnd(400))
      await clock.advance(1_000)
    }
    await journal.close()
    expect(logger.all).toEqual([])
    expect(clock.pending).toBe(0)
  })
})

describe('when the folder is gone', () => {
  it('what is being written is not acknowledged, though the sync succeeds', async () => {
    const disk = new Disk()
    const { journal, clock } = await openOn(disk)
    await append(journal, 'incidents', 0, 'kept')
    const release = disk.stall()
    const { flushed } = await journal.append('incidents', 0, [record('lost')])
    await rest()
    disk.release()
    await clock.advance(1_000)
    release()
    expect(await code(flushed)).toBe('LOCKED')
  })

  it('retention removes nothing from the one that is there now', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, { segmentBytes: { bulk: 2_048, ledger: 65_536 }, riderBytes: 0 })
    for (let n = 0; n < 20; n++) await append(journal, 'readings', 0, `${n}`.padEnd(300))
    await append(journal, 'actions', 0, 'a ledger file that has room')
    const names = disk.names()
    disk.release()
    expect(await code(journal.trim('readings', 0, 15))).toBe('LOCKED')
    expect(disk.names()).toEqual(names)
  })
})

describe('a look that fails', () => {
  it('is no reason to end, and said once until one works again', async () => {
    const disk = new Disk()
    const logger = new Lines()
    const files = disk.mount()
    let broken = true
    const lock = async () => {
      const hold = await disk.mount().lock('')
      return { ...hold, isOurs: async () => (broken ? Promise.reject(failure('EIO', 'lock')) : hold.isOurs()) }
    }
    const port = { folder: disk.folder, lock, list: () => files.list(), open: files.open.bind(files), rename: files.rename.bind(files), unlink: files.unlink.bind(files), room: () => files.room(), syncFolder: () => files.syncFolder() }
    broken = false
    const { journal, clock } = await openOn(disk, { files: port, logger })
    await append(journal, 'incidents', 0, 'a')
    broken = true
    await clock.advance(3_000)
    broken = false
    await clock.advance(3_000)
    await append(journal, 'incidents', 0, 'b')
    expect([logger.of('warn').length, logger.of('error').length]).toEqual([1, 0])
  })
})

describe('a folder that is not there', () => {
  it('is made, with all that is above it', async () => {
    const path = join(makeFolder(), 'a', 'b', 'c')
    await append((await open(path)).journal, 'incidents', 0, 'a')
    expect(existsSync(path)).toBe(true)
  })
})

describe('a folder that can’t be used', () => {
  const refusal = (path: string, why: string) => ({ code: 'BAD_CONFIG', message: expect.stringMatching(new RegExp(`^log\\.embedded\\.path: ${path}.*${why}[^\n]*$`)) })

  it('since it is a file, is refused by its name', async () => {
    const path = join(makeFolder(), 'file')
    writeFileSync(path, '')
    await expect(open(path)).rejects.toMatchObject(refusal(path, 'it is a file, not a folder'))
  })

  it('since a folder above it is a file, is refused by its name', async () => {
    const file = join(makeFolder(), 'file')
    writeFileSync(file, '')
    await expect(open(join(file, 'data'))).rejects.toMatchObject(refusal(join(file, 'data'), 'is a file'))
  })

  it('since a folder above it leads nowhere, is refused by its name', async () => {
    const folder = makeFolder()
    symlinkSync(join(folder, 'nowhere', 'at', 'all'), join(folder, 'link'))
    await expect(open(join(folder, 'link', 'data'))).rejects.toMatchObject({ code: 'BAD_CONFIG' })
  })

  it.runIf(existsSync('/proc/self'))('since nothing can be made above it, is refused at once', async () => {
    await expect(open('/proc/picket/data')).rejects.toMatchObject(refusal('/proc/picket/data', 'cannot be made'))
  })

  it('since its name is too long, is refused, and nothing is left behind', async () => {
    const folder = makeFolder()
    const path = join(folder, 'x'.repeat(300))
    await expect(open(path)).rejects.toMatchObject(refusal(folder, 'its name is too long'))
    expect(existsSync(path)).toBe(false)
  })

  it.each([['EROFS', 'read-only'], ['EACCES', 'may not write'], ['EPERM', 'may not write'], ['ENOENT', 'cannot be made']])('%s from the system: is refused by its name and why', async (system, why) => {
    const files = Object.assign(new Disk().mount(), { lock: () => Promise.reject(failure(system, 'mkdir')) })
    await expect(open('', { files })).rejects.toMatchObject(refusal('/disk', why))
  })

  it('since only making files fails, is refused too, and let go', async () => {
    const disk = new Disk()
    disk.fault = (operation) => (operation === 'open' ? failure('EACCES', 'open') : undefined)
    await expect(openOn(disk)).rejects.toMatchObject(refusal('/disk', 'may not write'))
    disk.fault = () => undefined
    await openOn(disk)
  })

  it('for now, with a full or failing disk, is DISK_FULL or IO', async () => {
    const disk = new Disk()
    disk.capacity = 0
    expect(await code(openOn(disk))).toBe('DISK_FULL')
    disk.fault = (operation) => (operation === 'open' ? failure('EIO', 'open') : undefined)
    expect(await code(openOn(disk))).toBe('IO')
  })
})
