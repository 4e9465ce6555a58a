/** Bytes for parsers to choke on: noise, sound files spoilt, sound entries that no journal would write. All from one seeded die. */
import { HEAD_BYTES, makeEntry, padded, writeEntry } from '../../../src/log/journal/entry.ts'

export type Die = () => number

export const whole = (die: Die, below: number) => Math.floor(die() * below)

export function bytesOf(die: Die, most: number): Buffer {
  const bytes = Buffer.alloc(whole(die, most + 1))
  for (let at = 0; at < bytes.length; at++) bytes[at] = whole(die, 256)
  return bytes
}

/** Bits flipped, a piece cut out, doubled, zeroed, or the end gone. */
export function mutated(die: Die, from: Buffer): Buffer {
  let bytes = Buffer.from(from)
  for (let n = 1 + whole(die, 4); n > 0 && bytes.length > 0; n--) {
    const at = whole(die, bytes.length)
    const length = whole(die, Math.min(64, bytes.length - at) + 1)
    const how = whole(die, 5)
    if (how === 0) bytes[at]! ^= 1 << whole(die, 8)
    else if (how === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
    else if (how === 2) bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)])
    else if (how === 3) bytes.fill(0, at, at + length)
    else bytes = bytes.subarray(0, at)
  }
  return bytes
}

/** A sound entry of any kind, its numbers drawn from all the format holds: what no disk makes of itself, but a bug might. */
export function evil(die: Die, segment: number): Buffer {
  const value = whole(die, 8) === 0 ? null : bytesOf(die, 40)
  const track = die() < 0.7 ? whole(die, 8) * 0x10000 + whole(die, 3) : whole(die, 2 ** 32)
  const offset = die() < 0.7 ? whole(die, 5) : whole(die, 2 ** 48)
  const entry = makeEntry({ kind: whole(die, 10), flags: whole(die, 16), track, offset, time: whole(die, 2 ** 48), key: die() < 0.3 ? 'header' : 'k', value })
  const bytes = Buffer.alloc(HEAD_BYTES + padded(entry.keyBytes + entry.value.length))
  const count = whole(die, 4)
  writeEntry(bytes, 0, entry, { segment, group: die() < 0.8 ? whole(die, 4) : whole(die, 2 ** 32), index: whole(die, 4), count })
  return bytes
}
