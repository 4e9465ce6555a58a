/** The disk as the journal sees it: one folder of files. `nodeFiles` is the real one; tests have one that loses power. */
import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { lockFolder } from './lock.ts'

/** Errors are the system's own (`code` ENOSPC, EIO, ENOENT, …); callers turn them into pipeline errors. */
export interface OpenFile {
  /** Bytes read from position `at`; fewer than `into` holds only at the end of the file. */
  read(into: Uint8Array, at: number): Promise<number>
  /** All of `bytes` at position `at`, or throws, having written any part of it. */
  write(bytes: Uint8Array, at: number): Promise<void>
  /** As `write`, and what was written, the file's length included, survives a power cut once it resolves. */
  writeThrough(bytes: Uint8Array, at: number): Promise<void>
  /** What was written survives a power cut once this resolves, the file's length included. */
  datasync(): Promise<void>
  truncate(length: number): Promise<void>
  size(): Promise<number>
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
  /** Renames and unlinks survive a power cut once this resolves. */
  syncFolder(): Promise<void>
  /** Makes the folder when it is missing, and keeps other processes out until the returned function is called or this process dies. `token`: of this hold alone. Throws LOCKED. */
  lock(token: string): Promise<() => Promise<void>>
}

const FLAGS = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  // A write that syncs is one trip to the thread pool, not two: 30 µs and 50 µs of CPU less a group (docs/journal.md).
  create: constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | (constants.O_DSYNC ?? 0),
}

export function nodeFiles(folder: string): FilePort {
  return {
    folder,
    list: () => readdir(folder),
    open: async (name, mode) => new NodeFile(await open(join(folder, name), FLAGS[mode], 0o640), { syncs: mode === 'create' && constants.O_DSYNC !== undefined }),
    rename: (from, to) => rename(join(folder, from), join(folder, to)),
    unlink: (name) => unlink(join(folder, name)),
    async syncFolder() {
      const handle = await open(folder, constants.O_RDONLY)
      try {
        await handle.sync()
      } finally {
        await handle.close()
      }
    },
    async lock(token) {
      await mkdir(folder, { recursive: true })
      return lockFolder(folder, token)
    },
  }
}

class NodeFile implements OpenFile {
  readonly #handle: FileHandle
  /** Whether each write syncs by itself. */
  readonly #syncs: boolean

  constructor(handle: FileHandle, { syncs }: { readonly syncs: boolean }) {
    this.#handle = handle
    this.#syncs = syncs
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

  async writeThrough(bytes: Uint8Array, at: number): Promise<void> {
    await this.write(bytes, at)
    if (!this.#syncs) await this.#handle.datasync()
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

  close(): Promise<void> {
    return this.#handle.close()
  }
}
