/** The journal's side of a takeover: fence, read and commit for one candidate owner of one state partition. */
import { isPipelineError, PipelineError } from '../../core/errors.ts'
import { decodeHeader, HEADER_KEY } from '../header.ts'
import type { Offsets, Write } from '../log.ts'
import type { StateStore } from '../takeover.ts'
import type { Core } from './core.ts'
import { checkRecord } from './core.ts'
import { isBulk, KIND_RIDER } from './entry.ts'
import type { Entry } from './entry.ts'
import type { Flusher, Stream } from './flush.ts'
import { MOST_STREAM_ENTRIES, nameEntries } from './group.ts'
import type { Seat } from './seat.ts'

export interface StateStoreOptions {
  readonly core: Core
  readonly flusher: Flusher
  readonly seat: Seat
  readonly topic: 'state' | 'leases'
  readonly partition: number
  /** A commit larger than this is drawn and written in chunks, between which other records are flushed. */
  readonly chunkBytes: number
  /** Told of the place of every commit that is durable. */
  readonly onCut: (next: Offsets) => void
}

export function stateStore(options: StateStoreOptions): StateStore {
  return new JournalStateStore(options)
}

class JournalStateStore implements StateStore {
  readonly #options: StateStoreOptions
  /** The last commit that was called: they are written one after the other. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: StateStoreOptions) {
    this.#options = options
  }

  async fence(): Promise<void> {
    const { core, flusher, seat } = this.#options
    core.checkOpen()
    seat.owner = this
    await flusher.flushed()
  }

  async read(each: (key: string, value: Uint8Array) => void): Promise<void> {
    const { core, topic, partition } = this.#options
    this.#checkOwner()
    await core.readLive(core.track(topic, partition), each)
    this.#checkOwner()
  }

  async transact(writes: Iterable<Write>): Promise<void> {
    const before = this.#last
    const mine = (async () => {
      await Promise.allSettled([before])
      await this.#commit(writes)
    })()
    this.#last = mine
    await mine
  }

  async bounds(...place: Parameters<StateStore['bounds']>): ReturnType<StateStore['bounds']> {
    return this.#options.core.bounds(...place)
  }

  async #commit(writes: Iterable<Write>): Promise<void> {
    const { core, flusher } = this.#options
    core.checkOpen()
    this.#checkOwner()
    core.checkDisk()
    const drawing = new Drawing(writes, this.#options)
    const first = drawing.next()
    while (flusher.isFull) await flusher.turn()
    this.#checkOwner()
    core.checkDisk()
    if (first.isLast) {
      const flushed = flusher.add(core.enterCommit(first.writes))
      await orDoubt(flushed)
    } else {
      await this.#stream(drawing, first.writes)
    }
    if (drawing.cut) this.#options.onCut(drawing.cut)
  }

  /** Writes of other topics wait for the last chunk: nobody may read them before the commit is sure to be written as a whole. */
  async #stream(drawing: Drawing, first: readonly Write[]): Promise<void> {
    const { flusher } = this.#options
    const stream = flusher.beginStream()
    try {
      await this.#draw(stream, drawing, first)
    } finally {
      flusher.endStream(stream)
    }
  }

  async #draw(stream: Stream, drawing: Drawing, first: readonly Write[]): Promise<void> {
    const { core, flusher, topic, partition } = this.#options
    const isOwn = (write: Write) => write.topic === topic && write.partition === partition
    const names: Buffer[] = []
    const later: Write[] = []
    let index = 0
    for (let chunk = { writes: first, isLast: false }; ; chunk = drawing.next()) {
      this.#checkOwner()
      later.push(...chunk.writes.filter((write) => !isOwn(write)))
      const own = chunk.writes.filter(isOwn)
      const entered = core.enterCommit(chunk.isLast ? [...later, ...own] : own)
      const entries = entered.map(asLedgerEntry)
      if (index + entries.length > MOST_STREAM_ENTRIES) throw new PipelineError('REFUSED', `a commit of more than ${MOST_STREAM_ENTRIES} writes to ${topic}/${partition}`)
      names.push(nameEntries(entries))
      const group = { group: stream.group, first: index, count: 0, entries }
      index += entries.length
      if (chunk.isLast) {
        const bulk = entered.filter(({ track }) => isBulk(track))
        return orDoubt(flusher.addChunk(stream, { ...group, marker: { names, ends: new Map() } }, bulk))
      }
      await flusher.addChunk(stream, { ...group, marker: null })
    }
  }

  #checkOwner(): void {
    const { seat, topic, partition } = this.#options
    if (seat.owner !== this) throw new PipelineError('FENCED', `another owner has taken over ${topic}/${partition}, or what it was based on was lost`)
  }
}

/** Draws writes a chunk at a time. */
class Drawing {
  /** The place that the commit stands at, once its header is drawn. */
  cut: Offsets | null = null
  readonly #iterator: Iterator<Write>
  readonly #options: StateStoreOptions

  constructor(writes: Iterable<Write>, options: StateStoreOptions) {
    this.#iterator = writes[Symbol.iterator]()
    this.#options = options
  }

  /** Throws what drawing throws. */
  next(): { writes: Write[]; isLast: boolean } {
    const writes: Write[] = []
    let bytes = 0
    while (bytes < this.#options.chunkBytes) {
      const drawn = this.#iterator.next()
      if (drawn.done) return { writes, isLast: true }
      this.#check(drawn.value)
      writes.push(drawn.value)
      bytes += drawn.value.value?.length ?? 0
    }
    return { writes, isLast: false }
  }

  #check(write: Write): void {
    const { core, topic, partition } = this.#options
    checkRecord(write.topic, write)
    core.track(write.topic, write.partition)
    if (write.key !== HEADER_KEY || write.topic !== topic || write.partition !== partition || !write.value) return
    this.cut = new Map(Object.entries(decodeHeader(write.value).next))
  }
}

function asLedgerEntry(entry: Entry): Entry {
  return isBulk(entry.track) ? { ...entry, kind: KIND_RIDER } : entry
}

/** The doubt about an append is its device's to resolve, by sending again; a commit's owner has to know. */
async function orDoubt(flushed: Promise<void>): Promise<void> {
  try {
    await flushed
  } catch (error) {
    throw error instanceof PipelineError && isPipelineError(error.cause, 'IN_DOUBT') ? error.cause : error
  }
}
