/** Puts the entries of a journal's files, as a scan gives them, back into groups, and tells whole ones from damaged and torn ones. */
import type { Segment } from './catalog.ts'
import type { DamageKind, DamageReport } from './damage.ts'
import { FLAG_NULL, KIND_FOOTER, KIND_MARKER, KIND_RECORD, KIND_RESET, KIND_START, keyOf, trackName, valueOf } from './entry.ts'
import type { Head, TrackId } from './entry.ts'
import { isLaterGroup, readMarker } from './group.ts'
import type { Ends, EntryName } from './group.ts'
import type { Found } from './scan.ts'
import { fileName } from './segment.ts'
import type { JournalName } from './segment.ts'

/** An entry of a group, where it stands. */
export interface Placed {
  readonly head: Head
  readonly segment: Segment
  readonly at: number
  readonly end: number
  readonly key: string
  /** A copy where `keeps` asked for it, else empty; null when the record's is. */
  readonly value: Buffer | null
}

/** An entry that is no longer there; `keyHash` null when nothing says which key it was. */
export type Lost = Pick<EntryName, 'kind' | 'flags' | 'track' | 'offset'> & { readonly index: number; readonly keyHash: number | null }

export interface Group {
  readonly number: number
  /** Sound, in order. */
  readonly entries: readonly Placed[]
  readonly lost: readonly Lost[]
  /** Entries lost of which not even the topic is known. */
  readonly unnamed: number
  readonly ends: Ends
}

export interface AssemblySink {
  /** A group that counts, in the order of the markers. */
  group(group: Group): void
  /** Something of unknown content is gone from between the groups; of these tracks, or of any when null. Stays so unless cleared. */
  suspect(group: number, tracks: ReadonlySet<TrackId> | null): void
  /** The commit of that number is whole or named after all. */
  cleared(group: number): void
  /** The last group, cut short or damaged, and not counted; these of its entries were sound. */
  dropped(entries: readonly Placed[]): void
  /** The same, of the bulk files, with something that stands elsewhere too among what it misses: all of it is to be stored anew. */
  salvaged(entries: readonly Placed[]): void
}

export interface AssemblyOptions {
  readonly journal: JournalName
  readonly sink: AssemblySink
  readonly report: DamageReport
  /** Whether the value of such an entry is wanted. */
  readonly keeps: (head: Head, key: string) => boolean
  /** Whether a record that a group of the bulk files misses is still in the ledger. */
  readonly isElsewhere: (track: TrackId, offset: number) => boolean
}

interface Spot {
  readonly head: Head
  readonly segment: Segment
  readonly at: number
}

interface Gathering {
  readonly number: number
  /** 0: only the marker knows. */
  readonly count: number
  readonly entries: Map<number, Placed>
  /** Entries whose payload is damaged. */
  readonly unsound: Map<number, Spot>
  readonly tracks: Set<TrackId>
  marked: { readonly segment: Segment; readonly at: number; readonly end: number; readonly names: readonly EntryName[]; readonly ends: Ends } | null
}

const NO_ENDS: Ends = new Map()

export class Assembly {
  /** Place after the last group that counts: what stands behind it is cut off before the next file begins. */
  goodEnd: { readonly segment: Segment; readonly at: number } | null = null
  /** Latest number seen. */
  lastGroup: number | null = null
  /** Groups of an earlier number may have begun in files that are gone: what they miss was written again, or made void, since. */
  firstGroup: number | null = null
  readonly #options: AssemblyOptions
  /** The group written at once that is being read. */
  #current: Gathering | null = null
  /** Groups drawn lazily, between whose chunks others lie. */
  readonly #streams = new Map<number, Gathering>()
  /** Marked but not whole: torn when nothing follows, damaged otherwise. */
  #held: Gathering | null = null
  /** Places with bytes that are no entry, not yet explained by a group that misses some. */
  #unexplained = 0

  constructor(options: AssemblyOptions) {
    this.#options = options
  }

  /** Starts over behind `goodEnd`: the rest of the file has been written since. Chunks of unfinished commits before it stay known. */
  rewind(): void {
    this.#current = null
    this.#held = null
    this.#unexplained = 0
  }

  junk(segment: Segment, at: number, bytes: number): void {
    this.#unexplained++
    this.#options.report.tell({ what: 'bytes', file: fileName(segment.journal, segment.id), at, detail: `${bytes} bytes are no entry and were skipped` })
  }

  entry(segment: Segment, found: Found): void {
    const { head } = found
    this.#settleHeld()
    if (head.kind === KIND_START || head.kind === KIND_FOOTER) {
      if (head.kind === KIND_START) this.goodEnd = { segment, at: found.end }
      return
    }
    if (this.lastGroup === null || isLaterGroup(head.group, this.lastGroup)) this.lastGroup = head.group
    const gathering = this.#gatheringOf(head)
    gathering.tracks.add(head.track)
    if (head.kind === KIND_MARKER) this.#mark(gathering, segment, found)
    else this.#take(gathering, segment, found)
  }

  /** Another file follows, and says that all of this one counts. */
  endFile(): void {
    this.#settleHeld()
    if (this.#current) this.#close(this.#current)
  }

  /** Nothing follows: what is not whole by now was cut short, or can't be told from what was. */
  finish(): void {
    const last = this.#held ?? this.#current
    this.#held = null
    this.#current = null
    if (!last) return
    const isKept = this.#options.journal === 'bulk' && last.marked !== null
    if (isWhole(last)) this.#count(last)
    else if (isKept && lostOf(last).named.some(({ track, offset }) => this.#options.isElsewhere(track, offset))) this.#salvage(last)
    else if (isKept) this.#count(last)
    else this.#drop(last)
  }

  #gatheringOf(head: Head): Gathering {
    if (head.count === 0) {
      let stream = this.#streams.get(head.group)
      if (!stream) this.#streams.set(head.group, (stream = gather(head)))
      return stream
    }
    if (this.#current && this.#current.number !== head.group) this.#close(this.#current)
    this.#current ??= gather(head)
    return this.#current
  }

  #take(gathering: Gathering, segment: Segment, { head, at, end, payload, sound }: Found): void {
    if (!sound) {
      gathering.unsound.set(head.index, { head, segment, at })
      return
    }
    const key = keyOf(head, payload)
    const value = head.flags & FLAG_NULL ? null : this.#options.keeps(head, key) ? Buffer.from(valueOf(head, payload)!) : EMPTY
    gathering.entries.set(head.index, { head, segment, at, end, key, value })
  }

  #mark(gathering: Gathering, segment: Segment, { head, at, end, payload, sound }: Found): void {
    if (sound) {
      const { names, ends } = readMarker(payload, head.index)
      gathering.marked = { segment, at, end, names, ends }
    } else {
      const detail = `the marker of group ${head.group} is damaged`
      this.#options.report.tell({ what: 'marker', file: fileName(segment.journal, segment.id), at, detail })
    }
    if (head.count === 0) this.#streams.delete(head.group)
    else this.#current = null
    if (isWhole(gathering)) this.#count(gathering)
    else this.#held = gathering
  }

  /** Another group follows one that has no marker. */
  #close(gathering: Gathering): void {
    this.#current = null
    this.#count(gathering)
  }

  #settleHeld(): void {
    const held = this.#held
    this.#held = null
    if (!held) return
    // Nothing proves a commit drawn lazily whole but its marker.
    if (held.count === 0 && !held.marked) this.#options.sink.suspect(held.number, held.tracks)
    else this.#count(held)
  }

  #count(gathering: Gathering): void {
    const { named, unnamed } = lostOf(gathering)
    const isCut = this.firstGroup !== null && isLaterGroup(this.firstGroup, gathering.number) && this.#unexplained === 0
    // A record that is gone with its file spoils its key until it comes again; a reset that is gone has nothing left to make void.
    const lost = isCut ? named.filter(({ kind }) => kind !== KIND_RESET) : named
    this.#explain(gathering, lost.length)
    this.#tellLost(gathering, isCut ? lost.filter(({ index }) => gathering.unsound.has(index)) : lost)
    const entries = [...gathering.entries.entries()].toSorted(([a], [b]) => a - b).map(([, entry]) => entry)
    this.#options.sink.group({ number: gathering.number, entries, lost, unnamed, ends: gathering.marked?.ends ?? NO_ENDS })
    const last = gathering.marked ?? entries.at(-1)
    if (last) this.goodEnd = { segment: last.segment, at: last.end }
  }

  /** Bytes that are no entry were those this group misses; or, when it misses none, those of a commit under way, or of nobody knows whom. */
  #explain(gathering: Gathering, missing: number): void {
    if (gathering.count === 0) this.#options.sink.cleared(gathering.number)
    const unexplained = this.#unexplained
    this.#unexplained = 0
    if (unexplained === 0 || missing > 0 || !gathering.marked) return
    if (this.#streams.size === 0) this.#options.sink.suspect(0, null)
    for (const stream of this.#streams.values()) this.#options.sink.suspect(stream.number, stream.tracks)
  }

  #tellLost(gathering: Gathering, lost: readonly Lost[]): void {
    const place = gathering.marked ?? [...gathering.entries.values()].at(-1) ?? [...gathering.unsound.values()].at(-1)
    if (!place) return
    const tell = (what: DamageKind, { segment, at }: Pick<Spot, 'segment' | 'at'>, detail: string) =>
      this.#options.report.tell({ what, file: fileName(segment.journal, segment.id), at, detail })
    if (!gathering.marked) tell('marker', place, `group ${gathering.number} has lost its marker`)
    for (const { index, kind, track, offset } of lost) {
      const name = kind === KIND_RECORD ? `${trackName(track)} offset ${offset}` : `an entry of kind ${kind} for ${trackName(track)} offset ${offset}`
      tell('entry', gathering.unsound.get(index) ?? place, `${name} (group ${gathering.number}) is damaged and skipped`)
    }
  }

  /** A write cut short: what it was to move from the ledger is there still, and what else of it is sound goes behind that. */
  #salvage(gathering: Gathering): void {
    this.#drop(gathering)
    this.#options.sink.salvaged([...gathering.entries.values()])
  }

  #drop(gathering: Gathering): void {
    const entries = [...gathering.entries.values()]
    const place = entries[0] ?? gathering.marked
    const what = gathering.marked ? 'group' : 'torn'
    const have = `${entries.length} of ${gathering.count || (gathering.marked?.names.length ?? 0)} entries`
    if (place) {
      const detail = `the last group, ${gathering.number}, has ${have} and is dropped`
      this.#options.report.tell({ what, file: fileName(place.segment.journal, place.segment.id), at: place.at, detail })
    }
    this.#options.sink.dropped(entries)
  }
}

const EMPTY = Buffer.alloc(0)

function gather(head: Head): Gathering {
  return { number: head.group, count: head.count, entries: new Map(), unsound: new Map(), tracks: new Set(), marked: null }
}

function isWhole({ count, entries, marked }: Gathering): boolean {
  if (count > 0) return entries.size === count
  return marked !== null && entries.size === marked.names.length
}

/** What a group misses, by its marker where there is one, else by the headers that are left. */
function lostOf({ count, entries, unsound, marked }: Gathering): { named: Lost[]; unnamed: number } {
  if (marked) return { named: marked.names.map((name, index) => ({ ...name, index })).filter(({ index }) => !entries.has(index)), unnamed: 0 }
  const named = [...unsound].map(([index, { head: { kind, flags, track, offset } }]) => ({ index, kind, flags, track, offset, keyHash: null }))
  return { named, unnamed: count - entries.size - named.length }
}

/** Whether losing it spoils what else is known of its track. */
export function spoils({ kind }: Lost): boolean {
  return kind === KIND_RECORD || kind === KIND_RESET
}
