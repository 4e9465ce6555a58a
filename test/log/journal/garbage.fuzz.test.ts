/** Whatever bytes stand in a file: each parser says so, or gives what fits its type; never a crash, a hang, or more memory than the bytes are worth. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Segment } from '../../../src/log/journal/catalog.ts'
import { HEAD_BYTES, isSound, keyOf, KIND_RECORD, makeEntry, MOST_OFFSET, MOST_PAYLOAD_BYTES, padded, readHead, trackId, valueOf } from '../../../src/log/journal/entry.ts'
import type { OpenFile } from '../../../src/log/journal/files.ts'
import { Arena, nameEntries, readMarker } from '../../../src/log/journal/group.ts'
import { parseManifest } from '../../../src/log/journal/manifest.ts'
import { scan } from '../../../src/log/journal/scan.ts'
import { checkFileHead, encodeFooter, encodeStart, parseFooter, parseStart, readFooter } from '../../../src/log/journal/segment.ts'
import { bytesOf, evil, mutated, whole } from './garbage.ts'
import type { Die } from './garbage.ts'
import { dice } from './rig.ts'

/** With each a hundred inputs: 100,000 a parser. */
const RUNS = 1_000
const INPUTS = 100

const entries = Array.from({ length: 5 }, (_, n) => makeEntry({ kind: KIND_RECORD, track: trackId('incidents', 0), offset: n, time: n, key: `k${n}`, value: Buffer.alloc(n * 9, n) }))
const group = Buffer.from(
  new Arena().encode([{ group: 1, first: 0, count: entries.length, entries, marker: { names: [nameEntries(entries)], ends: new Map([[0, 7]]) } }], new Segment('ledger', 1, 0), []),
)
const layout = { partitions: 2, key: 'device' }
const start = encodeStart(1, { previous: null, group: 1, tracks: [{ track: 3, low: 0, high: 4, time: 5 }], bulkGone: false, layout })
const footer = encodeFooter(1, { end: start.length, group: 2, ranges: new Map([[3, { min: 0, max: 4, points: [0, 64] }]]), times: new Map([[3, 5]]) })
const segment = Buffer.concat([start, group, footer])

/** A file in memory, only read. */
function fileOf(bytes: Buffer): OpenFile {
  const refuse = async () => {
    throw new Error('only read')
  }
  return {
    read: async (into, at) => bytes.copy(into, 0, Math.min(at, bytes.length), at + into.length),
    size: async () => bytes.length,
    close: async () => undefined,
    write: refuse,
    datasync: refuse,
    truncate: refuse,
    isStill: async () => true,
  }
}

/** As `expect`, cheap enough for a hundred thousand inputs. */
function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}

/** A hundred inputs a run, from a seed that a failure prints. */
function property(what: string, each: (die: Die) => unknown): void {
  it(what, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 0xffffffff }), async (seed) => {
        const die = dice(seed)
        for (let n = 0; n < INPUTS; n++) await each(die)
      }),
      { numRuns: RUNS, endOnFailure: true },
    )
  }, 60_000)
}

describe('any bytes', () => {
  property('are an entry within its bounds, or none', (die) => {
    const bytes = die() < 0.5 ? mutated(die, group) : die() < 0.5 ? evil(die, 1) : bytesOf(die, 100)
    if (bytes.length < HEAD_BYTES) return
    const head = readHead(bytes, 0, 1)
    if (!head) return
    must(head.offset <= MOST_OFFSET, 'an offset that has no next')
    const payload = bytes.subarray(HEAD_BYTES, HEAD_BYTES + padded(Math.min(head.length, MOST_PAYLOAD_BYTES)))
    if (!isSound(head, payload)) return
    must(keyOf(head, payload).length <= head.length && (valueOf(head, payload)?.length ?? 0) <= head.length, 'more than there is')
  })

  property('are a marker that names no more than it has bytes for', (die) => {
    const payload = die() < 0.5 ? bytesOf(die, 200) : mutated(die, nameEntries(entries))
    const { names, ends } = readMarker(payload, whole(die, 2 ** 32))
    must(names.length + ends.size <= payload.length / 16, 'names of nothing')
  })

  property('are the head of a file, or damage', (die) => {
    const bytes = die() < 0.7 ? mutated(die, start) : bytesOf(die, 100)
    must([null, 'damaged', 'newer'].includes(checkFileHead(bytes, 1)), 'another answer')
  })

  property('are what a file starts or ends with, or nothing', (die) => {
    const json = die() < 0.5 ? JSON.stringify(jsonOf(die, 0)) : mutated(die, Buffer.from(JSON.stringify({ previous: null, group: 1, tracks: [], bulkGone: false, layout }))).toString()
    const begun = parseStart(Buffer.from(json))
    if (begun) must(begun.tracks.every(({ low, high }) => low <= MOST_OFFSET && high <= MOST_OFFSET), 'an offset that has no next')
    const ended = parseFooter(Buffer.from(json.replace('tracks', 'ranges').replace('previous', 'end').replace('null', '7')))
    if (ended) for (const { points } of ended.ranges.values()) must(points.length > 1, 'no place to start at')
  })

  property('are the footer of a file, or none', async (die) => {
    await readFooter(fileOf(die() < 0.8 ? mutated(die, segment) : bytesOf(die, 200)), 1)
  })

  property('are walked to their end, each byte once', async (die) => {
    const bytes = die() < 0.6 ? mutated(die, segment) : Buffer.concat(Array.from({ length: whole(die, 5) }, () => evil(die, 1)))
    let at = 0
    const from = 0
    await scan({
      file: fileOf(bytes),
      segment: 1,
      from,
      to: bytes.length,
      chunkBytes: 128,
      visitor: {
        entry: (found) => {
          must(found.at === at, 'a byte twice, or not at all')
          at = found.end
          return undefined
        },
        junk: (place, length) => {
          must(place === at, 'a byte twice, or not at all')
          at += length
        },
      },
    })
    must(at >= bytes.length, 'an end before the end')
  })

  property('are a backup’s list of files, or none', (die) => {
    const manifest = parseManifest(die() < 0.5 ? JSON.stringify(jsonOf(die, 0)) : mutated(die, Buffer.from('{"format":1,"made":5,"files":[{"name":"bulk-0000000001.seg","bytes":5,"crc":6}]}')).toString())
    if (manifest && manifest !== 'newer') for (const { name } of manifest.files) must(/^[a-z]+-\d{10}\.seg$/.test(name), 'a name that leads elsewhere')
  })
})

/** JSON of the names a file's start and footer have, and values of any kind. */
function jsonOf(die: Die, depth: number): unknown {
  const kind = whole(die, depth > 2 ? 4 : 7)
  if (kind === 0) return null
  if (kind === 1) return whole(die, 2) === 0
  if (kind === 2) return die() < 0.5 ? whole(die, 10) : die() * 2 ** 60 - 2 ** 59
  if (kind === 3) return 'device'
  if (kind === 4) return Array.from({ length: whole(die, 3) }, () => jsonOf(die, depth + 1))
  const names = ['previous', 'group', 'tracks', 'bulkGone', 'layout', 'end', 'ranges', 'points', 'min', 'max', 'low', 'high', 'time', 'track', 'id', 'format', 'made', 'files', 'name', 'bytes', 'crc', '__proto__']
  return Object.fromEntries(names.filter(() => die() < 0.2).map((name) => [name, jsonOf(die, depth + 1)]))
}

it('the inputs above are no mere noise: what they are made from is sound', async () => {
  expect(readHead(group, 0, 1)).not.toBeNull()
  expect(checkFileHead(start, 1)).toBeNull()
  expect(await readFooter(fileOf(segment), 1)).not.toBeNull()
  expect(parseStart(Buffer.from(JSON.stringify({ previous: null, group: 1, tracks: [], bulkGone: false, layout })))).not.toBeNull()
  expect(readMarker(nameEntries(entries), 5).names.length).toBe(5)
})
