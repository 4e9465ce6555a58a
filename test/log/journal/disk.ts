/** A disk in memory for tests of the journal: it can lose power, fill up, fail, stall, and be cut or flipped at any byte. */
import { PipelineError } from '../../../src/core/errors.ts'
import type { FilePort, Hold, OpenFile } from '../../../src/log/journal/files.ts'

const SECTOR = 512

type Change = { readonly kind: 'write'; readonly at: number; readonly bytes: Buffer } | { readonly kind: 'truncate'; readonly length: number }

/** A file's content as programs see it, as the platter has it, and what lies between. */
class Inode {
  content: Buffer = Buffer.alloc(0)
  synced: Buffer = Buffer.alloc(0)
  changes: Change[] = []

  apply(change: Change): void {
    this.content = applied(this.content, change)
    this.changes.push(change)
  }

  sync(): void {
    this.synced = this.content
    this.changes = []
  }
}

function applied(content: Buffer, change: Change): Buffer {
  if (change.kind === 'truncate') return change.length <= content.length ? content.subarray(0, change.length) : extended(content, change.length)
  const next = Buffer.from(extended(content, change.at + change.bytes.length))
  change.bytes.copy(next, change.at)
  return next
}

function extended(content: Buffer, length: number): Buffer {
  return length <= content.length ? content : Buffer.concat([content, Buffer.alloc(length - content.length)])
}

/** What a power cut leaves of what was not synced: nothing, all, or each sector and each name by the throw of a die. */
export type PowerLoss = 'nothing' | 'everything' | (() => number)

export type Operation = 'read' | 'write' | 'datasync' | 'truncate' | 'open' | 'rename' | 'unlink' | 'syncFolder'

export class Disk {
  readonly folder = '/disk'
  /** Bytes of all files together; more is ENOSPC. */
  capacity = Infinity
  /** Called before each operation; what it gives is thrown instead (of a write, half of it is done first). */
  fault: (operation: Operation, name: string) => Error | undefined = () => undefined
  /** Bytes written and syncs so far. */
  readonly counted = { bytes: 0, datasyncs: 0 }
  #names = new Map<string, Inode>()
  #syncedNames = new Map<string, Inode>()
  #mounted: object | null = null
  #stalls: Promise<void>[] = []

  /** One process's view. `end()` is kill −9: nothing it does takes effect any more, and its promises hang. */
  mount(): FilePort & { end(): void } {
    return new Mount(this)
  }

  /** Until the returned function is called no sync completes. */
  stall(): () => void {
    let release = () => {}
    this.#stalls.push(new Promise<void>((resolve) => (release = resolve)))
    return release
  }

  async stalled(): Promise<void> {
    for (const stall of this.#stalls) await stall
  }

  /** What lies on the platter after a power cut is all that is left. */
  cutPower(loss: PowerLoss): void {
    const die = typeof loss === 'function' ? loss : () => (loss === 'nothing' ? 1 : 0)
    const names = new Map(this.#syncedNames)
    for (const name of new Set([...this.#names.keys(), ...this.#syncedNames.keys()])) {
      const now = this.#names.get(name)
      if (now === this.#syncedNames.get(name) || die() >= 0.5) continue
      if (now) names.set(name, now)
      else names.delete(name)
    }
    for (const inode of new Set(names.values())) {
      for (const change of inode.changes) inode.synced = survived(inode.synced, change, die)
      inode.content = inode.synced
      inode.changes = []
    }
    this.#names = names
    this.#syncedNames = new Map(names)
    this.#mounted = null
  }

  /** The process is gone, the machine is not: what it wrote stays. */
  release(): void {
    this.#mounted = null
  }

  names(): string[] {
    return [...this.#names.keys()].toSorted()
  }

  bytes(name: string): Buffer {
    return Buffer.from(this.inode(name).content)
  }

  /** Puts a file there as if it had always been. */
  put(name: string, bytes: Buffer): void {
    const inode = new Inode()
    inode.content = inode.synced = Buffer.from(bytes)
    this.#names.set(name, inode)
    this.#syncedNames.set(name, inode)
  }

  /** The same files on another disk. */
  copy(): Disk {
    const disk = new Disk()
    for (const name of this.#names.keys()) disk.put(name, this.bytes(name))
    return disk
  }

  remove(name: string): void {
    this.#names.delete(name)
    this.#syncedNames.delete(name)
  }

  lock(owner: object): Hold {
    if (this.#mounted) throw new PipelineError('LOCKED', `${this.folder} is in use`)
    this.#mounted = owner
    return {
      isOurs: async () => this.#mounted === owner,
      release: async () => {
        if (this.#mounted === owner) this.#mounted = null
      },
    }
  }

  has(name: string, inode: Inode): boolean {
    return this.#names.get(name) === inode
  }

  create(name: string): Inode {
    const inode = new Inode()
    this.#names.set(name, inode)
    return inode
  }

  inode(name: string): Inode {
    const inode = this.#names.get(name)
    if (!inode) throw failure('ENOENT', name)
    return inode
  }

  rename(from: string, to: string): void {
    this.#names.set(to, this.inode(from))
    this.#names.delete(from)
  }

  unlink(name: string): void {
    this.inode(name)
    this.#names.delete(name)
  }

  syncFolder(): void {
    this.#syncedNames = new Map(this.#names)
  }

  /** Bytes of all files. */
  used(): number {
    return [...this.#names.values()].reduce((sum, { content }) => sum + content.length, 0)
  }

  /** How many of `bytes` there is room for. */
  room(inode: Inode, at: number, bytes: number): number {
    const used = this.used()
    const grows = Math.max(0, at + bytes - inode.content.length)
    return Math.max(0, bytes - Math.max(0, used + grows - this.capacity))
  }
}

function survived(platter: Buffer, change: Change, die: () => number): Buffer {
  if (change.kind === 'truncate') return die() < 0.5 ? applied(platter, change) : platter
  for (let from = 0; from < change.bytes.length; ) {
    const to = Math.min(change.bytes.length, from + SECTOR - ((change.at + from) % SECTOR))
    if (die() < 0.5) platter = applied(platter, { kind: 'write', at: change.at + from, bytes: change.bytes.subarray(from, to) })
    from = to
  }
  return platter
}

export function failure(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code })
}

class Mount implements FilePort {
  readonly folder: string
  readonly #disk: Disk
  #ended = false

  constructor(disk: Disk) {
    this.folder = disk.folder
    this.#disk = disk
  }

  end(): void {
    this.#ended = true
    this.#disk.release()
  }

  async list() {
    await this.alive()
    return this.#disk.names()
  }

  async open(name: string, mode: 'read' | 'write' | 'create'): Promise<OpenFile> {
    await this.check('open', name)
    return new MountedFile(this, this.#disk, name, mode === 'create' ? this.#disk.create(name) : this.#disk.inode(name))
  }

  async rename(from: string, to: string) {
    await this.check('rename', from)
    this.#disk.rename(from, to)
  }

  async unlink(name: string) {
    await this.check('unlink', name)
    this.#disk.unlink(name)
  }

  async room() {
    await this.alive()
    return Math.max(0, this.#disk.capacity - this.#disk.used())
  }

  async syncFolder() {
    await this.check('syncFolder', '')
    this.#disk.syncFolder()
  }

  async lock() {
    await this.alive()
    const hold = this.#disk.lock(this)
    const isOurs = async () => {
      const still = await hold.isOurs()
      await this.alive() // it may have ended by now, and then is told nothing
      return still
    }
    return { ...hold, isOurs }
  }

  /** Takes a turn, as a real disk would; a process that has ended waits for ever. */
  async alive(): Promise<void> {
    await Promise.resolve()
    if (this.#ended) await new Promise(() => {})
  }

  async check(operation: Operation, name: string): Promise<void> {
    await this.alive()
    const error = this.#disk.fault(operation, name)
    if (error) throw error
  }
}

class MountedFile implements OpenFile {
  readonly #mount: Mount
  readonly #disk: Disk
  readonly #name: string
  readonly #inode: Inode

  constructor(mount: Mount, disk: Disk, name: string, inode: Inode) {
    this.#mount = mount
    this.#disk = disk
    this.#name = name
    this.#inode = inode
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    await this.#mount.check('read', this.#name)
    return this.#inode.content.copy(into, 0, at, at + into.length)
  }

  async write(bytes: Uint8Array, at: number): Promise<void> {
    await this.#mount.alive()
    const error = this.#disk.fault('write', this.#name)
    const room = error ? bytes.length >> 1 : this.#disk.room(this.#inode, at, bytes.length)
    this.#inode.apply({ kind: 'write', at, bytes: Buffer.from(bytes.subarray(0, room)) })
    this.#disk.counted.bytes += room
    if (error) throw error
    if (room < bytes.length) throw failure('ENOSPC', this.#name)
  }

  async datasync(): Promise<void> {
    this.#disk.counted.datasyncs++
    await this.#mount.check('datasync', this.#name)
    await this.#disk.stalled()
    await this.#mount.alive()
    this.#inode.sync()
  }

  async truncate(length: number): Promise<void> {
    await this.#mount.check('truncate', this.#name)
    this.#inode.apply({ kind: 'truncate', length })
  }

  async size(): Promise<number> {
    await this.#mount.alive()
    return this.#inode.content.length
  }

  async isStill(name: string): Promise<boolean> {
    await this.#mount.alive()
    return this.#disk.has(name, this.#inode)
  }

  async close(): Promise<void> {
    await this.#mount.alive()
  }
}
