/** Reads a journal's folder at start: which files there are, what counts of each, what is damaged. Changes nothing. */
import { PipelineError } from '../../core/errors.ts'
import { Assembly } from './assembly.ts'
import type { Placed } from './assembly.ts'
import { Catalog, Segment } from './catalog.ts'
import type { DamageReport } from './damage.ts'
import { ARCHIVED, isBulk, KIND_FOOTER, KIND_START, trackName, valueOf } from './entry.ts'
import type { TrackId } from './entry.ts'
import type { FilePort, OpenFile } from './files.ts'
import { groupAfter, isLaterGroup } from './group.ts'
import { Replay, ridersLeft } from './replay.ts'
import { scan } from './scan.ts'
import type { Found } from './scan.ts'
import { checkFileHead, FILE_HEAD_BYTES, fileName, isFooterCut, JOURNALS, parseStart, readFooter, segmentOf } from './segment.ts'
import type { Footer, JournalName, Layout, Start } from './segment.ts'

export interface RecoveryOptions {
  readonly files: FilePort
  readonly partitions: number
  readonly report: DamageReport
  /** Groups of the ledger to count, for the state as it was; all where left out. */
  readonly stopAfter?: number
}

export interface Recovered {
  readonly catalog: Catalog
  readonly nextGroup: Readonly<Record<JournalName, number>>
  /** Bulk records that only the ledger has, in order. */
  readonly riders: readonly Placed[]
  readonly replay: Replay
  /** The bulk files were deleted by somebody. */
  readonly bulkGone: boolean
  /** What the log was made with; null when it is new. */
  readonly layout: Layout | null
}

export function recover(options: RecoveryOptions): Promise<Recovered> {
  return new Recovery(options).run()
}

/** May run again, to see what another process has written since. */
export class Recovery {
  readonly #options: RecoveryOptions
  readonly #catalog: Catalog
  readonly #replay: Replay
  readonly #bulkReplay: Replay
  readonly #ledger: JournalRecovery
  readonly #bulk: JournalRecovery
  readonly #archives: readonly JournalRecovery[]

  constructor(options: RecoveryOptions) {
    const catalog = new Catalog(options.partitions)
    this.#options = options
    this.#catalog = catalog
    this.#replay = new Replay({ catalog, ...(options.stopAfter !== undefined && { stopAfter: options.stopAfter }) })
    this.#ledger = new JournalRecovery('ledger', options, catalog, this.#replay)
    this.#bulkReplay = new Replay({ catalog })
    this.#bulk = new JournalRecovery('bulk', options, catalog, this.#bulkReplay, this.#replay)
    this.#archives = ARCHIVED.map((topic) => new JournalRecovery(topic, options, catalog, new Replay({ catalog })))
  }

  /** False when the files it has read to the end are gone: what came between was never seen, and a new recovery has to look at all of it. */
  goesOn(names: readonly string[]): boolean {
    return [this.#ledger, this.#bulk].every((journal) => journal.goesOn(names))
  }

  async run(): Promise<Recovered> {
    const catalog = this.#catalog
    const replay = this.#replay
    for (const track of catalog.tracksOf('bulk')) track.next = track.stored
    const names = await this.#options.files.list()
    await this.#ledger.run(names)
    this.#bulkReplay.rescued = []
    await this.#bulk.run(names)
    for (const archive of this.#archives) await archive.run(names)
    const bulkGone = catalog.bulk.length === 0 && catalog.ledger.length > 0
    if (bulkGone) replay.forgetBulk()
    const riders = ridersLeft([...replay.riders, ...this.#bulkReplay.rescued], catalog)
    for (const track of catalog.tracks()) track.stored = track.next
    for (const { head } of riders) catalog.track(head.track).next = head.offset + 1
    fillGaps(catalog, replay, this.#options.report)
    for (const track of catalog.tracks()) {
      track.durable = track.next
      const oldest = catalog.oldest(track.id) ?? riders.find(({ head }) => head.track === track.id)?.head.offset
      if (isBulk(track.id)) track.low = Math.max(track.low, oldest ?? track.next)
    }
    const all = [this.#bulk, this.#ledger, ...this.#archives]
    const nextGroup = Object.fromEntries(JOURNALS.map((journal, n) => [journal, all[n]!.nextGroup])) as Recovered['nextGroup']
    return { catalog, nextGroup, riders, replay, bulkGone, layout: this.#ledger.layout ?? this.#bulk.layout }
  }
}

/** The ledger knows of bulk records that are nowhere: their offsets are not given again. */
function fillGaps(catalog: Catalog, replay: Replay, report: DamageReport): void {
  for (const [id, high] of replay.ends) {
    const track = catalog.track(id)
    if (high <= track.next) continue
    const newest = catalog.bulk.at(-1)
    const file = newest ? fileName('bulk', newest.id) : 'bulk'
    report.tell({ what: 'missing', file, at: newest?.end ?? 0, detail: `records ${track.next} to ${high - 1} of ${trackName(id)} are lost` })
    track.next = high
  }
}

interface Facts {
  readonly id: number
  readonly start: Start | null
  /** Position behind the start entry. */
  readonly dataStart: number
}

class JournalRecovery {
  #nextGroup: number | null = null
  layout: Layout | null = null
  /** Of the files read, in order. */
  #facts: Facts[] = []
  readonly #journal: JournalName
  readonly #options: RecoveryOptions
  readonly #catalog: Catalog
  readonly #replay: Replay
  readonly #assembly: Assembly

  /** `ledger`: what was found there, for the bulk files. */
  constructor(journal: JournalName, options: RecoveryOptions, catalog: Catalog, replay: Replay, ledger?: Replay) {
    this.#journal = journal
    this.#options = options
    this.#catalog = catalog
    this.#replay = replay
    const isElsewhere = (track: TrackId, offset: number) => ledger?.carries(track, offset) ?? false
    this.#assembly = new Assembly({ journal, sink: replay, report: options.report, keeps: ledger ? () => true : Replay.keeps, isElsewhere })
  }

  goesOn(names: readonly string[]): boolean {
    const newest = this.#facts.at(-1)
    return !newest || names.includes(fileName(this.#journal, newest.id))
  }

  get nextGroup(): number {
    return this.#nextGroup ?? 1
  }

  #comesAfter(group: number): void {
    if (this.#nextGroup === null || isLaterGroup(group, this.#nextGroup)) this.#nextGroup = group
  }

  /** Goes on where it stood: with the newest file it has read, which may have grown, and those that have come since. */
  async run(names: readonly string[]): Promise<void> {
    const ids = names.map((name) => segmentOf(this.#journal, name)).filter((id) => id !== null)
    const known = this.#facts.at(-1)?.id ?? 0
    this.#forget(ids)
    const first = Math.max(0, this.#facts.length - 1)
    for (const id of ids.toSorted((a, b) => a - b)) if (id > known) this.#facts.push(await this.#inspect(id))
    this.#replay.firstFile = this.#facts[0]?.id ?? 0
    this.#assembly.firstGroup = this.#facts[0]?.start?.group ?? null
    for (let i = first; i < this.#facts.length; i++) {
      const fact = this.#facts[i]!
      const next = this.#facts[i + 1]
      if (next && next.id !== fact.id + 1) this.#tellMissing(fact.id + 1)
      await this.#load(fact, next)
    }
    this.#finish(this.#facts.at(-1))
  }

  /** Files that retention has taken since. */
  #forget(ids: readonly number[]): void {
    const segments = this.#catalog.segments(this.#journal)
    for (const { id } of this.#facts.filter((fact) => !ids.includes(fact.id))) {
      const index = segments.findIndex((segment) => segment.id === id)
      if (index >= 0) segments.splice(index, 1)
    }
    this.#facts = this.#facts.filter((fact) => ids.includes(fact.id))
  }

  async #inspect(id: number): Promise<Facts> {
    return this.#withFile(id, async (file) => {
      const name = fileName(this.#journal, id)
      const fileHead = Buffer.alloc(FILE_HEAD_BYTES)
      const have = await file.read(fileHead, 0)
      const wrong = checkFileHead(fileHead.subarray(0, have), id)
      if (wrong === 'newer') throw new PipelineError('BAD_CONFIG', `${this.#options.files.folder}/${name} was written by a newer Picket: use that, or another log.embedded.path`)
      if (wrong) this.#options.report.tell({ what: 'file-head', file: name, at: 0, detail: 'the header is damaged; the entries are read all the same' })
      const size = await file.size()
      let start: Start | null = null
      let dataStart = FILE_HEAD_BYTES
      const entry = ({ head, sound, payload, end }: Found) => {
        const { kind } = head
        if (kind === KIND_START) dataStart = end
        if (kind === KIND_START && sound) start = parseStart(valueOf(head, payload) ?? payload)
        return 'stop' as const
      }
      await scan({ file, segment: id, from: FILE_HEAD_BYTES, to: size, visitor: { entry, junk: () => undefined } })
      if (!start) this.#options.report.tell({ what: 'start', file: name, at: FILE_HEAD_BYTES, detail: 'what this file says of those before it is damaged' })
      return { id, start, dataStart }
    })
  }

  /** `next`: the file after it; what counts ends where that says. */
  async #load(fact: Facts, next: Facts | undefined): Promise<void> {
    const segments = this.#catalog.segments(this.#journal)
    let segment = segments.find(({ id }) => id === fact.id)
    const from = segment?.end ?? FILE_HEAD_BYTES
    if (!segment) {
      segment = new Segment(this.#journal, fact.id, 0)
      segments.push(segment)
      this.#begin(fact.start)
    }
    const previous = next?.start?.previous?.id === fact.id ? next.start.previous : null
    await this.#withFile(fact.id, async (file) => {
      const isKnown = segment.ranges.size > 0
      const footer = next && previous?.sealed !== false ? await this.#footerOf(file, fact.id, previous?.end ?? null) : null
      if (footer && this.#journal !== 'ledger' && !isKnown) return this.#adopt(segment, footer)
      segment.end = previous?.end ?? (await file.size())
      await this.#scan(file, segment, from, fact, next === undefined)
      if (next?.start) this.#assembly.endFile()
      else this.#assembly.finish()
    })
  }

  /** `end`: where it should stand, where that is known. */
  async #footerOf(file: OpenFile, id: number, end: number | null): Promise<Footer | null> {
    const footer = await readFooter(file, id)
    if (footer) return footer
    const place = { file: fileName(this.#journal, id), at: end ?? (await file.size()) }
    if (end !== null && (await isFooterCut(file, id, end))) this.#options.report.tell({ what: 'torn', ...place, detail: 'the file was not sealed: its entries are read one by one' })
    else this.#options.report.tell({ what: 'footer', ...place, detail: 'the footer is damaged: the entries of the file are read one by one' })
    return null
  }

  #begin(start: Start | null): void {
    if (start?.bulkGone) this.#replay.forgetBulk()
    if (start) this.#comesAfter(start.group)
    this.layout = start?.layout ?? this.layout
    for (const { track: id, low, high, time } of start?.tracks ?? []) {
      const track = this.#catalog.track(id)
      track.low = Math.max(track.low, low)
      if (this.#journal === 'ledger' && isBulk(id)) {
        if (high > 0) this.#replay.bulkReached(id, high)
        continue
      }
      track.next = Math.max(track.next, high)
      track.time = Math.max(track.time, time)
    }
  }

  #adopt(segment: Segment, footer: Footer): void {
    segment.end = footer.end
    this.#comesAfter(footer.group)
    for (const [id, range] of footer.ranges) {
      segment.ranges.set(id, range)
      const track = this.#catalog.track(id)
      track.next = Math.max(track.next, range.max + 1)
      const time = footer.times.get(id) ?? 0
      track.time = Math.max(track.time, time)
      segment.time = Math.max(segment.time, time)
    }
  }

  async #scan(file: OpenFile, segment: Segment, from: number, fact: Facts, isNewest: boolean): Promise<void> {
    const name = fileName(segment.journal, segment.id)
    let footerAt: number | null = null
    if (from > FILE_HEAD_BYTES) this.#assembly.rewind()
    const entry = (found: Found) => {
      this.#assembly.entry(segment, found)
      if (found.head.kind !== KIND_FOOTER) return undefined
      footerAt = found.at
      return 'stop' as const
    }
    const junk = (at: number, bytes: number, where: 'between' | 'rest') => {
      if (at === FILE_HEAD_BYTES && !fact.start) return // told already, and no part of a group
      if (where === 'between' || !isNewest) this.#assembly.junk(segment, at, bytes)
      else this.#options.report.tell({ what: 'torn', file: name, at, detail: `the last ${bytes} bytes are no entry` })
    }
    await scan({ file, segment: segment.id, from, to: segment.end, visitor: { entry, junk } })
    if (footerAt !== null && isNewest) await this.#footerOf(file, segment.id, footerAt)
  }

  #finish(newest: Facts | undefined): void {
    if (this.#assembly.lastGroup !== null) this.#comesAfter(groupAfter(this.#assembly.lastGroup))
    const segment = this.#catalog.segments(this.#journal).at(-1)
    const good = this.#assembly.goodEnd
    if (segment && newest) segment.end = good?.segment === segment ? good.at : newest.dataStart
  }

  #tellMissing(id: number): void {
    this.#options.report.tell({ what: 'missing', file: fileName(this.#journal, id), at: 0, detail: 'this file is not there, though older and newer ones are' })
    if (this.#journal === 'ledger') this.#replay.suspect(0, null)
  }

  async #withFile<T>(id: number, work: (file: OpenFile) => Promise<T>): Promise<T> {
    const file = await this.#options.files.open(fileName(this.#journal, id), 'read')
    try {
      return await work(file)
    } finally {
      await file.close()
    }
  }
}
