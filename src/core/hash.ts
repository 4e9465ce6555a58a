/** The hashes that names and places are made of: which partition, which incident, which payload. */
import { createHash } from 'node:crypto'

/**
 * Kafka's murmur2 of the key's UTF-8 bytes, as a signed 32-bit number.
 * Source: org.apache.kafka.common.utils.Utils#murmur2 (seed 0x9747b28c).
 */
export function murmur2(key: string): number {
  const bytes = Buffer.from(key, 'utf8')
  const length = bytes.length
  const m = 0x5bd1e995
  let h = 0x9747b28c ^ length
  const whole = length & ~3
  for (let i = 0; i < whole; i += 4) {
    let k = bytes.readInt32LE(i)
    k = Math.imul(k, m)
    k ^= k >>> 24
    k = Math.imul(k, m)
    h = Math.imul(h, m)
    h ^= k
  }
  const left = length - whole
  if (left === 3) h ^= bytes[whole + 2]! << 16
  if (left >= 2) h ^= bytes[whole + 1]! << 8
  if (left >= 1) {
    h ^= bytes[whole]!
    h = Math.imul(h, m)
  }
  h ^= h >>> 13
  h = Math.imul(h, m)
  h ^= h >>> 15
  return h | 0
}

/** The partition Kafka's default partitioner gives this key. `partitions` ≥ 1. */
export function partitionOf(key: string, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}

/** 32-bit FNV-1a over bytes from a given basis. Source: draft-eastlake-fnv. */
function fnv1a(bytes: Uint8Array, basis: number): number {
  let h = basis
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ bytes[i]!, 0x01000193)
  return h >>> 0
}

/** 52 bits of hash as an exact float64 integer ≥ 1 (0 is left free to mean none). Two FNV-1a passes with different bases. */
export function hash52(bytes: Uint8Array, seed = 0): number {
  const high = fnv1a(bytes, 0x811c9dc5 ^ seed)
  const low = fnv1a(bytes, (0x9747b28c ^ seed) >>> 0)
  return (mix32(high ^ (low >>> 7)) & 0xfffff) * 0x1_0000_0000 + mix32(low ^ high) || 1
}

/** Combines two 52-bit hashes or whole numbers below 2^53 into one 52-bit hash ≥ 1; order matters. */
export function combine52(a: number, b: number): number {
  const x = mix32((a >>> 0) ^ Math.imul(high21(a) + 1, 0x9e3779b1))
  const y = mix32((b >>> 0) ^ Math.imul(high21(b) + 3, 0x85ebca77))
  const low = mix32(x ^ Math.imul(y, 0xc2b2ae3d))
  return (mix32(y ^ Math.imul(low, 0x27d4eb2f) ^ x) & 0xfffff) * 0x1_0000_0000 + low || 1
}

function high21(value: number): number {
  return Math.floor(value / 0x1_0000_0000) | 0
}

/** The finaliser of MurmurHash3 (32 bits). */
function mix32(value: number): number {
  let h = value | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** 52-bit hash of a text's UTF-8 bytes. */
export function hashText(text: string): number {
  return hash52(Buffer.from(text, 'utf8'))
}

/** An id of 24 hex digits (96 bits of SHA-256) of its parts; the parts are length-prefixed so that they can't run together. */
export function idOf(...parts: readonly (string | number)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) {
    const text = String(part)
    hash.update(`${text.length}:${text}`)
  }
  return hash.digest('hex').slice(0, 24)
}

/** Characters of a hash in a sentence. */
const HASH_SHOWN = 12

/** Enough of a hash to tell it from others. */
export function shortHash(hash: string): string {
  return hash.slice(0, HASH_SHOWN)
}
