/** After a recovery that found the newest state damaged: the state as it was when it was last whole is written anew, under a fresh reset. */
import { errorText, isPipelineError } from '../../core/errors.ts'
import { encodeHeader, decodeHeader, HEADER_KEY } from '../header.ts'
import type { Header } from '../header.ts'
import { Live } from './catalog.ts'
import type { Catalog, Track } from './catalog.ts'
import { DamageReport } from './damage.ts'
import { FLAG_COMMIT, KIND_RECORD, KIND_RESET, makeEntry, trackName } from './entry.ts'
import type { Entry } from './entry.ts'
import type { FilePort } from './files.ts'
import type { Flusher, Stream } from './flush.ts'
import { nameEntries } from './group.ts'
import { readPlaces } from './reading.ts'
import { recover } from './recovery.ts'
import type { Replay } from './replay.ts'
import { fileName } from './segment.ts'

export interface RepairOptions {
  readonly files: FilePort
  readonly catalog: Catalog
  readonly replay: Replay
  readonly flusher: Flusher
  readonly report: DamageReport
  readonly partitions: number
  readonly layout: Pick<Header, 'partitions' | 'key'>
  /** Of the entries written, ms since epoch. */
  readonly now: number
}

/** Rows written between two awaits. */
const CHUNK_KEYS = 64

/** Durable when it resolves. Throws IO, DISK_FULL. */
export async function repairState(options: RepairOptions): Promise<void> {
  for (const { track: id, cleanAt, header } of options.replay.spoiled()) {
    const track = options.catalog.track(id)
    if (track.live!.size === 0 && !header) continue
    const { live, from } = await stateAsOf(options, track, cleanAt)
    const newest = options.catalog.ledger.at(-1)
    const file = newest ? fileName('ledger', newest.id) : 'ledger'
    const what = live.size > 0 ? `its ${live.size} keys as they stood before are used` : 'it starts empty'
    options.report.tell({ what: 'state', file, at: newest?.end ?? 0, detail: `the newest state of ${trackName(id)} is damaged: ${what}` })
    try {
      await rewrite(options, track, from, live, header)
    } catch (error) {
      if (!isPipelineError(error, 'IO') || live.size === 0) throw error
      options.report.tell({ what: 'state', file, at: 0, detail: `the older state of ${trackName(id)} can't be read (${errorText(error)}): it starts empty` })
      await rewrite(options, track, from, new Live(), header)
    }
  }
}

async function stateAsOf({ files, partitions }: RepairOptions, track: Track, stopAfter: number): Promise<{ live: Live; from: Catalog }> {
  const { catalog } = await recover({ files, partitions, report: new DamageReport({}), stopAfter })
  return { live: catalog.track(track.id).live!, from: catalog }
}

/**
 * One commit: everything written of the track before is void, then its keys, then the header, whose epoch is past any that was used, so
 * that readers of incidents drop what an owner of the damaged state wrote.
 */
async function rewrite(options: RepairOptions, track: Track, from: Catalog, live: Live, newest: Header | null): Promise<void> {
  const { flusher } = options
  const stream = flusher.beginStream()
  try {
    await fill(stream, options, track, from, live, newest)
  } finally {
    flusher.endStream(stream)
  }
}

async function fill(stream: Stream, options: RepairOptions, track: Track, from: Catalog, live: Live, newest: Header | null): Promise<void> {
  const { flusher, now } = options
  const names: Buffer[] = []
  const make = (kind: number, key: string, value: Uint8Array | null) => makeEntry({ kind, flags: FLAG_COMMIT, track: track.id, offset: track.next++, time: now, key, value })
  let index = 0
  const send = async (entries: Entry[], isLast: boolean) => {
    names.push(nameEntries(entries))
    const chunk = { group: stream.group, first: index, count: 0, entries, marker: isLast ? { names, ends: new Map() } : null }
    index += entries.length
    await flusher.addChunk(stream, chunk)
  }
  await send([make(KIND_RESET, '', null)], false)
  let header: Header = { incarnation: '', epoch: 0, ...options.layout, next: {} }
  const keys = [...live]
  for (let at = 0; at < keys.length; at += CHUNK_KEYS) {
    const entries: Entry[] = []
    const disk = { files: options.files, catalog: from, report: options.report }
    await readPlaces(disk, keys.slice(at, at + CHUNK_KEYS), (key, value) => {
      if (key === HEADER_KEY) header = decodeHeader(value)
      else entries.push(make(KIND_RECORD, key, value))
    }, null)
    if (entries.length > 0) await send(entries, false)
  }
  const epoch = Math.max(header.epoch, newest?.epoch ?? 0) + 1
  await send([make(KIND_RECORD, HEADER_KEY, encodeHeader({ ...header, epoch }))], true)
}
