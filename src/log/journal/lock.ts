/**
 * One process a folder: a file `lock` names its holder, and a socket beside it, which the kernel closes with the process, tells whether
 * that holder lives. A process id alone can't: in a restarted container everybody is number 1.
 */
import { link, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import type { Server } from 'node:net'
import { hostname } from 'node:os'
import { join, relative } from 'node:path'
import { PipelineError } from '../../core/errors.ts'
import type { Hold } from './files.ts'
import { codeOf } from './system-error.ts'

interface Holder {
  readonly pid: number
  readonly host: string
  /** Names this one hold. */
  readonly token: string
  /** File name of its socket; '' where the file system has none. */
  readonly socket: string
}

/** The kernel's limit on a socket's path is 107 bytes on Linux, 103 on macOS. */
const LONGEST_SOCKET_PATH = 100
/** Each takeover of a takeover that died half-way takes one more. */
const DEEPEST = 8
const MOST_TRIES = 16

/** `token`: letters and digits that no other hold has. Throws LOCKED when a living process holds the folder, and the system's errors. */
export async function lockFolder(folder: string, token: string): Promise<Hold> {
  const server = await listen(folder, `lock-${token}.sock`)
  const me: Holder = { pid: process.pid, host: hostname(), token, socket: server ? `lock-${token}.sock` : '' }
  try {
    await acquire(folder, 'lock', me, 0)
  } catch (error) {
    await close(server)
    throw error
  }
  const path = join(folder, 'lock')
  const isOurs = async () => parseHolder((await readIfThere(path)) ?? '')?.token === token
  return {
    isOurs,
    async release() {
      if (await isOurs()) await unlinkIfThere(path)
      await close(server)
    },
  }
}

/**
 * A lock whose holder is dead is replaced only by the process that holds the right to replace that very hold, a lock of its own
 * named after the dead holder's token: so of two that find it dead, one wins.
 */
async function acquire(folder: string, name: string, me: Holder, depth: number): Promise<void> {
  const path = join(folder, name)
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    if (await place(folder, path, me)) return
    const text = await readIfThere(path)
    if (text === null) continue
    const holder = parseHolder(text)
    if (holder && (await isAlive(folder, holder))) throw locked(folder, holder)
    if (depth === DEEPEST) break
    const claim = `${name}.${holder?.token ?? 'unreadable'}`
    await acquire(folder, claim, me, depth + 1)
    try {
      if ((await readIfThere(path)) !== text) continue
      await writeFile(`${path}.${me.token}.new`, JSON.stringify(me))
      await rename(`${path}.${me.token}.new`, path)
      if (holder?.socket) await unlinkIfThere(join(folder, holder.socket))
      return
    } finally {
      await unlinkIfThere(join(folder, claim))
    }
  }
  throw new PipelineError('LOCKED', `${folder}: its lock changes hands too fast; is another process starting and ending on it?`)
}

/** A link appears with its content, never empty; false when the name is taken. */
async function place(folder: string, path: string, me: Holder): Promise<boolean> {
  const draft = join(folder, `lock-${me.token}.new`)
  await writeFile(draft, JSON.stringify(me))
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    await unlinkIfThere(draft)
  }
}

function locked(folder: string, holder: Holder): PipelineError {
  return new PipelineError('LOCKED', `${folder} is in use by process ${holder.pid} on ${holder.host}: stop it, or choose another log.embedded.path`)
}

function parseHolder(text: string): Holder | null {
  try {
    const { pid, host, token, socket } = JSON.parse(text) as Partial<Holder>
    if (typeof pid !== 'number' || typeof host !== 'string' || typeof token !== 'string' || typeof socket !== 'string') return null
    return { pid, host, token: token.replaceAll(/[^0-9a-z]/g, ''), socket: socket.replaceAll('/', '') }
  } catch (error) {
    if (error instanceof SyntaxError) return null // half a file, left by a power cut: nobody holds it
    throw error
  }
}

function isAlive(folder: string, holder: Holder): Promise<boolean> {
  const path = holder.socket ? socketPath(folder, holder.socket) : null
  if (!path) return Promise.resolve(isRunning(holder.pid))
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error) => resolve(!['ECONNREFUSED', 'ENOENT'].includes(codeOf(error))))
  })
}

/** Only where sockets don't work. Our own number in a lock is that of a dead process of an earlier container. */
function isRunning(pid: number): boolean {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) !== 'ESRCH'
  }
}

/** Null where the folder is too deep for a socket or its file system has none. */
function listen(folder: string, name: string): Promise<Server | null> {
  const path = socketPath(folder, name)
  if (!path) return Promise.resolve(null)
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy())
    server.unref()
    server.once('error', () => resolve(null))
    server.listen(path, () => resolve(server))
  })
}

function close(server: Server | null): Promise<void> {
  return new Promise((resolve) => {
    if (server) server.close(() => resolve())
    else resolve()
  })
}

function socketPath(folder: string, name: string): string | null {
  const paths = [join(folder, name), relative(process.cwd(), join(folder, name))]
  return paths.find((path) => Buffer.byteLength(path) <= LONGEST_SOCKET_PATH) ?? null
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return null
    throw error
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}
