/** `picket backup`: a data folder copied beside the Picket that writes to it, as of one moment, and checked. */
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, relative, resolve } from 'node:path'
import { errorText, isPipelineError, PipelineError } from '../../core/errors.ts'
import type { Clock } from '../../ops/clock.ts'
import { checkFile, copyFile, damageIn } from './copying.ts'
import type { Damage } from './damage.ts'
import { ARCHIVED } from './entry.ts'
import { makeFolder, nodeFiles } from './files.ts'
import type { FilePort, OpenFile } from './files.ts'
import { writeManifest } from './manifest.ts'
import type { BackupFile } from './manifest.ts'
import { checkRestored } from './restoring.ts'
import { segmentOf } from './segment.ts'
import type { JournalName } from './segment.ts'
import { codeOf, isFull } from './system-error.ts'

/** Looks at a folder whose files go under the look. */
const MOST_TRIES = 16

export interface BackedUp {
  readonly files: number
  readonly bytes: number
  /** Of what was flushed, ms since epoch. */
  readonly made: number
  /** Places that are damaged in the data folder itself, and so in its backup. */
  readonly damaged: readonly Damage[]
}

export interface BackupOptions {
  /** The data folder. */
  readonly from: string
  /** Made; may be there, empty. */
  readonly to: string
  readonly clock: Clock
}

/**
 * Written to `TO.partial`, and named when it is whole. Throws BAD_CONFIG for folders that can't be used, DISK_FULL, IO. What it has begun
 * is removed when it fails.
 */
export async function backUp({ from, to, clock }: BackupOptions): Promise<BackedUp> {
  const target = resolve(to)
  if (!relative(resolve(from), target).startsWith('..')) throw new PipelineError('BAD_CONFIG', `${to} lies in the data folder ${from}: name a folder elsewhere, best on another disk`)
  await checkEmpty(target)
  const partial = `${target}.partial`
  try {
    await makeFolder(dirname(target))
    await mkdir(partial)
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') throw new PipelineError('BAD_CONFIG', `${partial} is there: another backup is under way, or one was killed: remove it`, { cause })
    throw new PipelineError('BAD_CONFIG', `${partial} can't be made: ${errorText(cause)}`, { cause })
  }
  try {
    const done = await copyJournal(nodeFiles(from), nodeFiles(partial), clock)
    await rename(partial, target)
    await nodeFiles(dirname(target)).syncFolder()
    return done
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    throw asPipelineError(error, to)
  }
}

async function checkEmpty(target: string): Promise<void> {
  let names: string[] = []
  try {
    names = await readdir(target)
  } catch (cause) {
    if (codeOf(cause) !== 'ENOENT') throw new PipelineError('BAD_CONFIG', `${target} can't be used for a backup: ${errorText(cause)}`, { cause })
  }
  if (names.length > 0) throw new PipelineError('BAD_CONFIG', `${target} is not empty: name a new folder for each backup`)
}

function asPipelineError(cause: unknown, to: string): unknown {
  if (isPipelineError(cause) || codeOf(cause) === '') return cause
  return new PipelineError(isFull(cause) ? 'DISK_FULL' : 'IO', `the backup to ${to} failed and was removed: ${errorText(cause)}`, { cause })
}

interface Taken {
  readonly name: string
  readonly file: OpenFile
  readonly bytes: number
}

/**
 * The ledger first, then what it refers to: as after a crash at that moment, but for readings that came since. Open files stay readable
 * when retention takes their names. `to` is empty. Throws BAD_CONFIG where there is no journal, IO, and the system's errors.
 */
export async function copyJournal(from: FilePort, to: FilePort, clock: Clock): Promise<BackedUp> {
  const taken: Taken[] = []
  const made = clock.now()
  try {
    for (const journals of [['ledger'], ARCHIVED, ['bulk']] as const) taken.push(...(await take(from, journals)))
    if (taken.length === 0) throw new PipelineError('BAD_CONFIG', `there is no log in ${from.folder}`)
    const files: BackupFile[] = []
    for (const { name, file, bytes } of taken) files.push(await copyFile(file, bytes, to, name))
    for (const file of files) await checkCopy(to, file)
    const damaged = await damageIn(to)
    await writeManifest(to, { made, files })
    return { files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), made, damaged }
  } finally {
    for (const { file } of taken) await file.close()
  }
}

/** Opens all there are of some journals, as long as it takes until none goes between the list and its opening. */
async function take(files: FilePort, journals: readonly JournalName[]): Promise<Taken[]> {
  for (let tries = 1; ; tries++) {
    const opened: { name: string; file: OpenFile }[] = []
    try {
      const names = await list(files)
      for (const name of names.filter((one) => journals.some((journal) => segmentOf(journal, one) !== null)).toSorted()) opened.push({ name, file: await files.open(name, 'read') })
      return await Promise.all(opened.map(async ({ name, file }) => ({ name, file, bytes: await file.size() })))
    } catch (error) {
      for (const { file } of opened) await file.close()
      if (codeOf(error) !== 'ENOENT' || tries === MOST_TRIES) throw error
    }
  }
}

async function list(files: FilePort): Promise<readonly string[]> {
  try {
    const names = await files.list()
    checkRestored(names, files.folder)
    return names
  } catch (cause) {
    if (!['ENOENT', 'ENOTDIR'].includes(codeOf(cause))) throw cause
    throw new PipelineError('BAD_CONFIG', `there is no log in ${files.folder}`, { cause })
  }
}

async function checkCopy(files: FilePort, wanted: BackupFile): Promise<void> {
  const { bytes, crc } = await checkFile(files, wanted.name)
  if (bytes !== wanted.bytes || crc !== wanted.crc) throw new PipelineError('IO', `${files.folder}/${wanted.name} is not what was written to it: check that disk`)
}
