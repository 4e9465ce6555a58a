/** The watch on packet sizes: the same verdict however the bytes are cut. */
import fc from 'fast-check'
import { generate } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { forAll, INPUTS } from './fuzzing.ts'
import { Framing } from '../../src/ingest/framing.ts'

const publish = (bytes: number) => generate({ cmd: 'publish', topic: 't', payload: Buffer.alloc(bytes), qos: 0, dup: false, retain: false })

function refusal(bytes: Uint8Array, limit: number, cuts: readonly number[] = []): string | null {
  const framing = new Framing(limit)
  const ends = [...new Set([...cuts.map((cut) => cut % bytes.length), bytes.length])].toSorted((a, b) => a - b)
  let start = 0
  for (const end of ends) {
    const found = framing.refusalOf(bytes.subarray(start, end))
    if (found !== null) return found
    start = end
  }
  return null
}

/** Packet by packet, as section 2.2.3 of MQTT 3.1.1 reads: whether one is announced of more than `limit` bytes, or by a length without end. */
function hasTooLarge(bytes: Uint8Array, limit: number): boolean {
  for (let at = 0; at < bytes.length; ) {
    let length = 0
    let i = at + 1
    for (let place = 1; i < bytes.length; place *= 128) {
      const byte = bytes[i++]!
      length += (byte & 127) * place
      if (length > limit || (byte >= 128 && i === at + 5)) return true
      if (byte < 128) break
    }
    if (i === bytes.length && bytes[i - 1]! >= 128) return false
    at = i + length
  }
  return false
}

describe('the watch on packets', () => {
  it('lets a packet through that is as large as allowed, and no larger', () => {
    const body = 2 + 1 + 300
    expect(refusal(publish(300), body)).toBeNull()
    expect(refusal(publish(300), body - 1)).toContain('at most 302 are allowed')
  })

  it('refuses by the header alone', () => {
    expect(refusal(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f), 1_000_000)).toContain('packet of at least')
  })

  it('refuses a length of more than four bytes', () => {
    expect(refusal(Uint8Array.of(0x30, 0x80, 0x80, 0x80, 0x80), 1_000_000)).toContain('more than 4 bytes')
  })

  it('gives any bytes the same verdict however they are cut, and lets none through that holds a packet too large', () => {
    forAll(100, (random) => {
      for (let i = 0; i < INPUTS; i++) {
        const bytes = Uint8Array.from({ length: random.whole(1, 40) }, () => (random.chance(0.6) ? random.whole(0, 12) : random.whole(0, 255)))
        const cuts = Array.from({ length: random.whole(0, 6) }, () => random.whole(0, 40))
        const [whole, cut, expected] = [refusal(bytes, 9), refusal(bytes, 9, cuts), hasTooLarge(bytes, 9)]
        if (whole !== cut || (whole !== null) !== expected) expect({ bytes, cuts, whole, cut }).toEqual({ bytes, cuts, whole: expected, cut: expected })
      }
    })
  })

  it('finds the packet too large among others, however the bytes are cut', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(sizes, fc.array(fc.nat(4000), { maxLength: 12 }), (payloads, cuts) => {
        const found = refusal(Buffer.concat(payloads.map(publish)), 203, cuts)
        expect(found !== null).toBe(payloads.some((size) => size > 200))
      }),
    )
  })
})
