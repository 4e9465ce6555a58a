/** `picket restore`: a backup made a data folder again, checked before a Picket can open it. */
import { mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { errorText, isPipelineError, PipelineError } from '../../core/errors.ts'
import { copyFile, damageIn } from './copying.ts'
import type { Damage } from './damage.ts'
import { nodeFiles } from './files.ts'
import type { FilePort } from './files.ts'
import { readManifest } from './manifest.ts'
import type { BackupFile, Manifest } from './manifest.ts'
import { STAGING } from './restoring.ts'
import { isSegment } from './segment.ts'
import { codeOf, isFull, lockingError } from './system-error.ts'

export interface Restored {
  readonly files: number
  readonly bytes: number
  /** When the backup was made, ms since epoch. */
  readonly made: number
  /** Places of the backup that were damaged when it was made. */
  readonly damaged: readonly Damage[]
}

export interface RestoreOptions {
  /** The backup. */
  readonly from: string
  /** The data folder: empty, or not there. */
  readonly to: string
  /** Names this process's hold of it: letters and digits. */
  readonly token: string
}

/**
 * Gathered in a folder inside the data folder, as that may be a mounted volume of its own; while it is there no Picket opens it. Throws
 * BAD_CONFIG for folders that can't be used, LOCKED, BAD_RECORD for a backup that is damaged, DISK_FULL, IO. Leaves nothing when it fails.
 */
export async function restoreBackup({ from, to, token }: RestoreOptions): Promise<Restored> {
  const source = nodeFiles(from)
  const manifest = await readManifest(source).catch((error: unknown) => {
    throw isPipelineError(error) ? error : new PipelineError('BAD_CONFIG', `${from} can't be read: ${errorText(error)}`, { cause: error })
  })
  const wasThere = await isThere(to)
  const target = nodeFiles(to)
  const hold = await target.lock(token).catch((error: unknown) => {
    throw lockingError(error, to)
  })
  try {
    await checkFree(to)
    return await restoreInto(target, source, manifest)
  } finally {
    await hold.release()
    if (!wasThere) await removeIfEmpty(to)
  }
}

async function restoreInto(target: FilePort, source: FilePort, manifest: Manifest): Promise<Restored> {
  const { folder } = target
  try {
    await clear(folder)
    return await gather(source, manifest, target)
  } catch (error) {
    await clear(folder)
    throw asPipelineError(error, folder)
  }
}

async function isThere(to: string): Promise<boolean> {
  try {
    await stat(to)
    return true
  } catch {
    return false // locking it tells whether it can be made
  }
}

/** Throws BAD_CONFIG where it has anything but what a killed restore, or a process that died, may leave. */
async function checkFree(to: string): Promise<void> {
  const names = await readdir(to)
  const isHalf = names.includes(STAGING)
  const others = names.filter((name) => !/^lock(?:$|[-.])/.test(name) && name !== 'lost+found' && !(isHalf && (name === STAGING || isSegment(name))))
  if (others.length > 0) throw new PipelineError('BAD_CONFIG', `log.embedded.path: ${to} is not empty (${others.toSorted()[0]}): move it away, or restore to another by --set log.embedded.path=FOLDER`)
}

/** Removes what a restore has put there; only called on a folder that had nothing else. */
async function clear(to: string): Promise<void> {
  for (const name of await readdir(to)) if (isSegment(name)) await rm(join(to, name))
  await rm(join(to, STAGING), { recursive: true, force: true })
}

async function gather(source: FilePort, manifest: Manifest, target: FilePort): Promise<Restored> {
  const staging = nodeFiles(join(target.folder, STAGING))
  await mkdir(staging.folder)
  await target.syncFolder()
  for (const file of manifest.files) await copyOne(source, staging, file)
  const damaged = await damageIn(staging)
  await staging.syncFolder()
  for (const { name } of manifest.files) await target.rename(join(STAGING, name), name)
  await target.syncFolder()
  await rmdir(staging.folder)
  await target.syncFolder()
  const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0)
  return { files: manifest.files.length, bytes, made: manifest.made, damaged }
}

async function copyOne(source: FilePort, staging: FilePort, wanted: BackupFile): Promise<void> {
  const { name } = wanted
  const bad = (how: string) => new PipelineError('BAD_RECORD', `the backup is damaged: ${source.folder}/${name} ${how}; nothing was restored, use another`)
  if (!(await source.list()).includes(name)) throw bad('is missing')
  const file = await source.open(name, 'read')
  try {
    if ((await file.size()) !== wanted.bytes) throw bad(`has ${await file.size()} bytes, not ${wanted.bytes}`)
    const { bytes, crc } = await copyFile(file, wanted.bytes, staging, name)
    if (bytes !== wanted.bytes || crc !== wanted.crc) throw bad('has another checksum than when it was made')
  } finally {
    await file.close()
  }
}

/** A folder that we made, and in which nothing came to stand. */
async function removeIfEmpty(to: string): Promise<void> {
  if ((await readdir(to)).length === 0) await rmdir(to)
}

function asPipelineError(cause: unknown, to: string): unknown {
  if (isPipelineError(cause) || codeOf(cause) === '') return cause
  return new PipelineError(isFull(cause) ? 'DISK_FULL' : 'IO', `the restore to ${to} failed, nothing of it is left: ${errorText(cause)}`, { cause })
}
