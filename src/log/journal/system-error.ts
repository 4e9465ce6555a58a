/** What the system's errors mean to the journal, in words for who configured the folder. */
import { errorText, isPipelineError, PipelineError } from '../../core/errors.ts'

/** The system's code of an error; '' where it has none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** The disk, or what of it is ours, has no room. */
export function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(codeOf(error))
}

/** What can't pass by itself: the config names a folder that is none, or none for us. */
const UNUSABLE: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'this user may not write there'],
  ['EEXIST', 'it is a file, not a folder'],
  ['ELOOP', 'its links lead in a circle'],
  ['ENAMETOOLONG', 'its name is too long'],
  ['ENOTDIR', 'it, or a folder above it, is a file'],
  ['ENOTSUP', 'its file system lacks what the lock needs'],
  ['EPERM', 'this user may not write there, or its file system lacks what the lock needs'],
  ['EROFS', 'its file system is read-only'],
])

/** As `openingError`, of making and locking the folder: there a missing one is one that can't be made. */
export function lockingError(error: unknown, folder: string): unknown {
  if (codeOf(error) === 'ENOENT') return unusable(error, folder, 'it is not there and cannot be made')
  return openingError(error, folder)
}

/** What keeps the journal in `folder` from opening, as a pipeline error: BAD_CONFIG, DISK_FULL or IO; what is none of the system's as it is. */
export function openingError(error: unknown, folder: string): unknown {
  const code = codeOf(error)
  if (isPipelineError(error) || code === '') return error
  const why = UNUSABLE.get(code)
  if (why) return unusable(error, folder, why)
  return new PipelineError(isFull(error) ? 'DISK_FULL' : 'IO', `log.embedded.path: ${folder} can't be opened: ${errorText(error)}`, { cause: error })
}

function unusable(cause: unknown, folder: string, why: string): PipelineError {
  const text = `log.embedded.path: ${folder} can't be used, ${why} (${errorText(cause)}): name a folder that Picket can make or write to`
  return new PipelineError('BAD_CONFIG', text, { cause })
}
