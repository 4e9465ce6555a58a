/** The disk as the journal sees it: one folder of files. `nodeFiles` is the real one; tests have one that loses power. */
import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, stat, statfs, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { lockFolder } from './lock.ts'
import { codeOf } from './system-error.ts'

/** Errors are the system's own (`code` ENOSPC, EIO, ENOENT, …); callers turn them into pipeline errors. */
export interface OpenFile {
  /** Bytes read from position `at`; fewer than `into` holds only at the end of the file. */
  read(into: Uint8Array, at: number): Promise<number>
  /** All of `bytes` at position `at`, or throws, having written any part of it. */
  write(bytes: Uint8Array, at: number): Promise<void>
  /** What was written survives a power cut once this resolves, the file's length included. */
  datasync(): Promise<void>
  truncate(length: number): Promise<void>
  size(): Promise<number>
  /** Whether the folder has this very file under that name. */
  isStill(name: string): Promise<boolean>
  close(): Promise<void>
}

export interface FilePort {
  /** The folder's path, for messages. */
  readonly folder: string
  /** Names of the files in the folder, in no order. Throws ENOENT when it is missing. */
  list(): Promise<readonly string[]>
  /** `create` empties a file that is there; `read` and `write` throw ENOENT when it is not. */
  open(name: string, mode: 'read' | 'write' | 'create'): Promise<OpenFile>
  rename(from: string, to: string): Promise<void>
  unlink(name: string): Promise<void>
  /** Bytes that are free on the folder's disk, as far as its file system says. */
  room(): Promise<number>
  /** Renames and unlinks survive a power cut once this resolves. */
  syncFolder(): Promise<void>
  /** Makes the folder when it is missing, and keeps other processes out until the hold is released or this process dies. `token`: of this hold alone. Throws LOCKED. */
  lock(token: string): Promise<Hold>
}

/** A folder kept for this process. */
export interface Hold {
  /** False once the lock is gone or another's: the folder was deleted, moved or replaced. */
  isOurs(): Promise<boolean>
  /** Leaves alone what is another's. */
  release(): Promise<void>
}

const FLAGS = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC,
}

export function nodeFiles(folder: string): FilePort {
  return {
    folder,
    list: () => readdir(folder),
    open: async (name, mode) => new NodeFile(folder, await open(join(folder, name), FLAGS[mode], 0o640)),
    rename: (from, to) => rename(join(folder, from), join(folder, to)),
    unlink: (name) => unlink(join(folder, name)),
    async room() {
      const { bavail, bsize } = await statfs(folder)
      return bavail * bsize
    },
    async syncFolder() {
      const handle = await open(folder, constants.O_RDONLY)
      try {
        await handle.sync()
      } finally {
        await handle.close()
      }
    },
    async lock(token) {
      await makeFolder(folder)
      return lockFolder(folder, token)
    },
  }
}

/** With all above it. Not by `mkdir`'s own `recursive`: where a parent can't be made, as in /proc, that one never ends and takes all memory. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await makeOne(folder)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || dirname(folder) === folder) throw error
    await makeFolder(dirname(folder))
    await makeOne(folder)
  }
}

async function makeOne(folder: string): Promise<void> {
  try {
    await mkdir(folder)
  } catch (error) {
    if (!(await isFolder(folder))) throw error
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false // the caller has the error to tell
  }
}

class NodeFile implements OpenFile {
  readonly #folder: string
  readonly #handle: FileHandle

  constructor(folder: string, handle: FileHandle) {
    this.#folder = folder
    this.#handle = handle
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    let done = 0
    while (done < into.length) {
      const { bytesRead } = await this.#handle.read(into, done, into.length - done, at + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return done
  }

  async write(bytes: Uint8Array, at: number): Promise<void> {
    let done = 0
    while (done < bytes.length) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, at + done)
      if (bytesWritten === 0) throw Object.assign(new Error('ENOSPC: the disk took nothing'), { code: 'ENOSPC' })
      done += bytesWritten
    }
  }

  datasync(): Promise<void> {
    return this.#handle.datasync()
  }

  truncate(length: number): Promise<void> {
    return this.#handle.truncate(length)
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  /** Numbers of files differ from look to look on some network file systems: one that has a name is believed to be the one of that name. */
  async isStill(name: string): Promise<boolean> {
    const mine = await this.#handle.stat({ bigint: true })
    try {
      const there = await stat(join(this.#folder, name), { bigint: true })
      return mine.nlink > 0n || (there.ino === mine.ino && there.dev === mine.dev)
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return false
      throw error
    }
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}
