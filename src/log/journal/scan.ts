/** Walks the entries of one file in chunks, never holding the loop for long; what is no entry is stepped over and told. */
import { HEAD_BYTES, isSound, MOST_PAYLOAD_BYTES, padded, readHead } from './entry.ts'
import type { Head } from './entry.ts'
import type { OpenFile } from './files.ts'

/** Between 1 and 4 MiB: large enough for the disk, small enough for the loop. */
const SCAN_BYTES = 1024 * 1024
const STEP = 8

/** An entry whose header is sound. */
export interface Found {
  readonly head: Head
  readonly at: number
  /** Position after it. */
  readonly end: number
  /** With its padding. Valid until the visitor returns; empty when it was not wanted. */
  readonly payload: Buffer
  /** The payload is what was written; true also when it was not wanted. */
  readonly sound: boolean
}

export interface Visitor {
  /** 'stop' ends the walk. */
  entry(found: Found): 'stop' | undefined
  /** Bytes that are no entry. `rest`: no entry follows them. */
  junk(at: number, bytes: number, where: 'between' | 'rest'): void
  /** Whether the payload of such an entry is to be read and checked; all where left out. */
  wants?(head: Head): boolean
}

export interface ScanOptions {
  readonly file: OpenFile
  readonly segment: number
  readonly from: number
  /** Nothing past it is looked at. */
  readonly to: number
  readonly visitor: Visitor
  readonly chunkBytes?: number
}

/** Gives the position it came to. Throws what the file throws. */
export async function scan(options: ScanOptions): Promise<number> {
  const { segment, from, to, visitor } = options
  const window = new Window(options.file, to, options.chunkBytes ?? SCAN_BYTES)
  let at = from
  while (at < to) {
    const head = (await window.reach(at, HEAD_BYTES)) ? readHead(window.bytes, window.indexOf(at), segment) : null
    if (!head || head.length > MOST_PAYLOAD_BYTES) {
      const next = await findEntry(window, at + STEP, to, segment)
      visitor.junk(at, next - at, next < to ? 'between' : 'rest')
      at = next
      continue
    }
    const end = at + HEAD_BYTES + padded(head.length)
    const found = await payloadOf(window, head, at, visitor)
    if (visitor.entry({ head, at, end, ...found }) === 'stop') return end
    at = end
  }
  return Math.min(at, to)
}

const NOT_WANTED = { payload: Buffer.alloc(0), sound: true }
const CUT_OFF = { payload: Buffer.alloc(0), sound: false }

async function payloadOf(window: Window, head: Head, at: number, visitor: Visitor): Promise<{ payload: Buffer; sound: boolean }> {
  if (visitor.wants?.(head) === false) return NOT_WANTED
  const length = padded(head.length)
  if (!(await window.reach(at, HEAD_BYTES + length))) return CUT_OFF
  const start = window.indexOf(at) + HEAD_BYTES
  const payload = window.bytes.subarray(start, start + length)
  return { payload, sound: isSound(head, payload) }
}

/** The next place from `at` on where a sound header of the segment stands; `to` when there is none. */
async function findEntry(window: Window, at: number, to: number, segment: number): Promise<number> {
  while (await window.reach(at, HEAD_BYTES)) {
    const last = window.end - HEAD_BYTES
    for (; at <= last; at += STEP) {
      if (readHead(window.bytes, window.indexOf(at), segment)) return at
    }
  }
  return to
}

/** The part of the file that is in memory. */
class Window {
  bytes: Buffer
  /** File position after the last byte that is in. */
  end = 0
  #start = 0
  readonly #file: OpenFile
  readonly #to: number

  constructor(file: OpenFile, to: number, chunkBytes: number) {
    this.#file = file
    this.#to = to
    this.bytes = Buffer.allocUnsafeSlow(chunkBytes)
  }

  indexOf(at: number): number {
    return at - this.#start
  }

  /** Brings `length` bytes from `at` in, and as many more as fit; false when the file ends before. */
  async reach(at: number, length: number): Promise<boolean> {
    if (at >= this.#start && at + length <= this.end) return true
    if (at + length > this.#to) return false
    if (length > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(length)
    this.#start = at
    this.end = at
    const wanted = Math.min(this.bytes.length, this.#to - at)
    this.end = at + (await this.#file.read(this.bytes.subarray(0, wanted), at))
    return at + length <= this.end
  }
}
