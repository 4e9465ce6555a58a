/** A backup made beside a journal that is written to, and restored: what was flushed is there, nothing half, nothing unchecked. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { backUp, copyJournal } from '../../../src/log/journal/backup.ts'
import { nodeFiles } from '../../../src/log/journal/files.ts'
import { openJournal } from '../../../src/log/journal/journal.ts'
import type { Journal } from '../../../src/log/journal/journal.ts'
import { openJournalReader } from '../../../src/log/journal/reader.ts'
import { restoreBackup } from '../../../src/log/journal/restore.ts'
import { systemClock } from '../../../src/ops/clock.ts'
import { systemRandom } from '../../../src/ops/random.ts'
import { ManualClock } from '../../clock.ts'
import { Disk, failure } from './disk.ts'
import { append, openOn, own, put, record, rest, values } from './rig.ts'

const SMALL = { segmentBytes: { bulk: 8_192, ledger: 4_096 }, reserveBytes: 65_536 }
const cut = (next: number) => ({ next: new Map([['readings/0', next]]), incarnation: 'i' })
const folders: string[] = []
const journals: Journal[] = []

afterEach(async () => {
  for (const journal of journals.splice(0)) await journal.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'picket-backup-'))
  folders.push(folder)
  return folder
}

async function open(path: string): Promise<Journal> {
  const journal = await openJournal({ path, partitions: 1, key: 'device', clock: systemClock, random: systemRandom, ...SMALL })
  journals.push(journal)
  return journal
}

/** Commits `from` to `to`, each with a frame and an incident before it. */
async function work(journal: Journal, from: number, to: number): Promise<void> {
  const owner = await own(journal, 0)
  for (let n = from; n <= to; n++) {
    await append(journal, 'readings', 0, `frame ${n}`.padEnd(200))
    await append(journal, 'incidents', 0, `incident ${n}`)
    await owner.owned.commit([put('state', 0, 'hot', `${n}`.padEnd(200)), ...(n === 1 ? [put('state', 0, 'cold', 'cold')] : [])], cut(n))
  }
  await owner.stop()
}

const restore = (from: string, to: string) => restoreBackup({ from, to, token: systemRandom.id() })

/** A data folder with thirty commits, closed, and its backup. */
async function made() {
  const folder = makeFolder()
  const data = join(folder, 'data')
  const backup = join(folder, 'backups', 'monday')
  const journal = await open(data)
  await work(journal, 1, 30)
  const done = await backUp({ from: data, to: backup, clock: systemClock })
  return { folder, data, backup, journal, done }
}

describe('a backup', () => {
  it('made while the journal is open, restored elsewhere, has the rows and incidents as of its moment', async () => {
    const { folder, backup, journal, done } = await made()
    await work(journal, 31, 40)
    expect(done).toMatchObject({ damaged: [], files: readdirSync(backup).length - 1 })
    const to = join(folder, 'elsewhere', 'data')
    expect(await restore(backup, to)).toMatchObject({ files: done.files, bytes: done.bytes, made: done.made, damaged: [] })
    const again = await open(to)
    const { rows, restored } = await own(again, 0)
    expect([rows.get('hot')!.trim(), rows.get('cold'), restored.next.get('readings/0')]).toEqual(['30', 'cold', 30])
    expect(await values(again, 'incidents', 0)).toEqual(Array.from({ length: 30 }, (_, n) => `incident ${n + 1}`))
    expect((await values(again, 'readings', 0)).length).toBe(30)
    expect(again.stats().damaged.filter(({ what }) => what !== 'torn')).toEqual([])
  })

  it('is of one moment, whatever is written, compacted and removed while it is made', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk, { segmentBytes: { bulk: 2_048, ledger: 2_048 }, retentionBytes: 8_000 })
    const { owned } = await own(journal, 0)
    let n = 0
    const step = async () => {
      n++
      await append(journal, 'readings', 0, `frame ${n}`.padEnd(200))
      await append(journal, 'incidents', 0, `incident ${n}`)
      await owned.commit([put('state', 0, 'hot', `${n}`.padEnd(100))], cut(n))
      await rest()
    }
    for (let commit = 0; commit < 40; commit++) await step()
    for (let round = 0; round < 8; round++) {
      const from = n
      let isDone = false
      const target = new Disk()
      const copying = copyJournal(disk.mount(), slowed(target.mount(), step), new ManualClock()).finally(() => (isDone = true))
      await copying
      expect(isDone && n > from + 5).toBe(true)
      const again = await openOn(target)
      const { rows, restored } = await own(again.journal, 0)
      const at = restored.next.get('readings/0')!
      expect(at).toBeGreaterThanOrEqual(from)
      expect(rows.get('hot')!.trim()).toBe(`${at}`)
      const incidents = await values(again.journal, 'incidents', 0)
      expect([incidents.length === at || incidents.length === at + 1, incidents.at(-1)]).toEqual([true, `incident ${incidents.length}`])
      expect((await again.journal.bounds('readings', 0)).high).toBeGreaterThanOrEqual(at)
      expect(again.damages.filter(({ what }) => what !== 'torn')).toEqual([])
    }
  })

  it('of a journal that has damage is made, and names the damage', async () => {
    const { data, folder, journal } = await made()
    await journal.close()
    const name = readdirSync(data).toSorted().find((one) => one.startsWith('bulk'))!
    const bytes = readFileSync(join(data, name))
    bytes[bytes.indexOf('frame 2')]! ^= 1
    writeFileSync(join(data, name), bytes)
    const { damaged } = await backUp({ from: data, to: join(folder, 'tuesday'), clock: systemClock })
    expect(damaged).toMatchObject([{ what: 'entry', file: name, detail: expect.stringContaining('readings/0 offset 1') }])
  })

  it('goes into a new or empty folder only, outside the data', async () => {
    const { folder, data, backup } = await made()
    const into = (to: string) => backUp({ from: data, to, clock: systemClock })
    await expect(into(backup)).rejects.toMatchObject({ code: 'BAD_CONFIG', message: expect.stringContaining(`${backup} is not empty`) })
    await expect(into(join(data, 'backup'))).rejects.toMatchObject({ code: 'BAD_CONFIG', message: expect.stringContaining('lies in the data folder') })
    mkdirSync(join(folder, 'empty'))
    expect((await into(join(folder, 'empty'))).files).toBeGreaterThan(3)
    writeFileSync(join(folder, 'file'), '')
    await expect(into(join(folder, 'file'))).rejects.toMatchObject({ code: 'BAD_CONFIG' })
    mkdirSync(join(folder, 'killed.partial'))
    await expect(into(join(folder, 'killed'))).rejects.toMatchObject({ code: 'BAD_CONFIG', message: expect.stringContaining('killed.partial is there') })
  })

  it('of no log is refused, and leaves nothing', async () => {
    const folder = makeFolder()
    const attempt = backUp({ from: join(folder, 'nowhere'), to: join(folder, 'backup'), clock: systemClock })
    await expect(attempt).rejects.toMatchObject({ code: 'BAD_CONFIG', message: expect.stringContaining('there is no log in') })
    expect(readdirSync(folder)).toEqual([])
  })

  it('that the disk gives back otherwise than it was written is refused', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk)
    await append(journal, 'incidents', 0, 'a')
    const target = new Disk()
    target.fault = (operation, name) => {
      if (operation === 'read' && name.startsWith('ledger')) target.inode(name).content[100]! ^= 1
      return undefined
    }
    await expect(copyJournal(disk.mount(), target.mount(), new ManualClock())).rejects.toMatchObject({ code: 'IO', message: expect.stringContaining('is not what was written') })
  })

  it('is taken anew when a file goes between the list and its opening', async () => {
    const disk = new Disk()
    const { journal } = await openOn(disk)
    await append(journal, 'incidents', 0, 'a')
    let gone = 2
    disk.fault = (operation, name) => (operation === 'open' && name.startsWith('ledger') && gone-- > 0 ? failure('ENOENT', name) : undefined)
    const target = new Disk()
    expect((await copyJournal(disk.mount(), target.mount(), new ManualClock())).files).toBe(2)
  })
})

/** A port on which `step` happens at each write. */
function slowed<T extends ReturnType<Disk['mount']>>(port: T, step: () => Promise<void>): T {
  const openFile = port.open.bind(port)
  port.open = async (name, mode) => {
    const file = await openFile(name, mode)
    const write = file.write.bind(file)
    file.write = async (bytes, at) => {
      await step()
      await write(bytes, at)
    }
    return file
  }
  return port
}

describe('a restore', () => {
  it.each([
    ['a flipped bit', (path: string) => flip(path)],
    ['a file cut short', (path: string) => writeFileSync(path, readFileSync(path).subarray(1))],
    ['a file that is gone', (path: string) => rmSync(path)],
  ])('of a backup with %s is refused by its name, and leaves nothing', async (_, damage) => {
    const { folder, backup } = await made()
    const name = readdirSync(backup).find((one) => one.startsWith('ledger'))!
    damage(join(backup, name))
    await expect(restore(backup, join(folder, 'new'))).rejects.toMatchObject({ code: 'BAD_RECORD', message: expect.stringContaining(name) })
    expect(existsSync(join(folder, 'new'))).toBe(false)
  })

  it('goes into a missing or empty folder only, and not under a running Picket', async () => {
    const { folder, data, backup, journal } = await made()
    await expect(restore(backup, data)).rejects.toMatchObject({ code: 'LOCKED' })
    await journal.close()
    await expect(restore(backup, data)).rejects.toMatchObject({ code: 'BAD_CONFIG', message: expect.stringContaining('is not empty') })
    expect((await values(await open(data), 'incidents', 0)).length).toBe(30)
    mkdirSync(join(folder, 'volume', 'lost+found'), { recursive: true })
    expect((await restore(backup, join(folder, 'volume'))).files).toBeGreaterThan(3)
    const hold = await nodeFiles(join(folder, 'held')).lock('somebody')
    await expect(restore(backup, join(folder, 'held'))).rejects.toMatchObject({ code: 'LOCKED' })
    await hold.release()
    const reader = await openJournalReader(join(folder, 'volume'))
    expect(reader.damaged.filter(({ what }) => what !== 'torn')).toEqual([])
  })

  it('of a folder that is no backup says what one is', async () => {
    const folder = makeFolder()
    mkdirSync(join(folder, 'empty'))
    for (const from of ['empty', 'nowhere']) await expect(restore(join(folder, from), join(folder, 'data'))).rejects.toMatchObject({ code: 'BAD_CONFIG' })
    writeFileSync(join(folder, 'empty', 'backup.json'), '{"format": 1, "made": 1, "files": [{"name": "../../etc/passwd", "bytes": 1, "crc": 1}]}')
    await expect(restore(join(folder, 'empty'), join(folder, 'data'))).rejects.toMatchObject({ code: 'BAD_CONFIG', message: expect.stringContaining('is damaged') })
    writeFileSync(join(folder, 'empty', 'backup.json'), '{"format": 2}')
    await expect(restore(join(folder, 'empty'), join(folder, 'data'))).rejects.toMatchObject({ code: 'BAD_CONFIG', message: expect.stringContaining('newer Picket') })
    expect(existsSync(join(folder, 'data'))).toBe(false)
  })

  it('that was killed half-way is no data folder for anybody, and is begun anew by the next', async () => {
    const { folder, backup, done } = await made()
    const to = join(folder, 'half')
    mkdirSync(join(to, 'restore.partial'), { recursive: true })
    writeFileSync(join(to, 'restore.partial', 'ledger-0000000001.seg'), 'half')
    writeFileSync(join(to, 'bulk-0000000099.seg'), 'moved already')
    const half = { code: 'BAD_CONFIG', message: expect.stringContaining('half restored') }
    await expect(open(to)).rejects.toMatchObject(half)
    await expect(openJournalReader(to)).rejects.toMatchObject(half)
    await expect(backUp({ from: to, to: join(folder, 'of-half'), clock: systemClock })).rejects.toMatchObject(half)
    expect((await restore(backup, to)).files).toBe(done.files)
    expect(readdirSync(to).includes('bulk-0000000099.seg')).toBe(false)
    const journal = await open(to)
    expect((await values(journal, 'incidents', 0)).length).toBe(30)
  })

  it('can be backed up and restored again, and goes on', async () => {
    const { folder, backup } = await made()
    await restore(backup, join(folder, 'a'))
    const journal = await open(join(folder, 'a'))
    await work(journal, 31, 35)
    await backUp({ from: join(folder, 'a'), to: join(folder, 'b'), clock: systemClock })
    await restore(join(folder, 'b'), join(folder, 'c'))
    expect((await values(await open(join(folder, 'c')), 'incidents', 0)).at(-1)).toBe('incident 35')
  })
})

function flip(path: string): void {
  const bytes = readFileSync(path)
  bytes[bytes.length >> 1]! ^= 1
  writeFileSync(path, bytes)
}

it('a backup leaves what is not of the log: the lock, the reserve', async () => {
  const { backup, data } = await made()
  expect(readdirSync(data)).toContain('reserve')
  expect(readdirSync(backup).every((name) => name.endsWith('.seg') || name === 'backup.json')).toBe(true)
})

it('records that ride in the ledger when it is made come back', async () => {
  const disk = new Disk()
  const { journal } = await openOn(disk)
  void journal.append('readings', 0, [record('riding')])
  await append(journal, 'incidents', 0, 'incident')
  const target = new Disk()
  await copyJournal(disk.mount(), target.mount(), new ManualClock())
  expect(await values((await openOn(target)).journal, 'readings', 0)).toEqual(['riding'])
})
