/** Frames from decoded messages: columns, dictionaries, limits; and the hashes repeats and shapes are told by. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashText } from '../../src/core/hash.ts'
import { KIND_CATEGORY, KIND_NUMBER } from '../../src/core/message.ts'
import type { Field } from '../../src/core/message.ts'
import { flagsOf, SampleHasher } from '../../src/ingest/decoded.ts'
import type { DecodedMessage } from '../../src/ingest/decoded.ts'
import { fitsAFrame, FrameBuilder, roomOf } from '../../src/ingest/frame-builder.ts'
import { decodeFrame, encodeFrame, FRAME_BYTES, FRAME_MESSAGES, FRAME_READINGS } from '../../src/log/frame.ts'

const number = (metric: string, value: number): Field => ({ metric, kind: KIND_NUMBER, value, text: '' })
const category = (metric: string, text: string): Field => ({ metric, kind: KIND_CATEGORY, value: hashText(text), text })

function message(device: string, fields: readonly Field[], more: Partial<DecodedMessage> = {}): DecodedMessage {
  const labels = { class: 'pump' }
  return {
    source: 'field', device: { name: device, labels }, deviceKey: JSON.stringify([device, labels]),
    samples: [{ time: 5, fields, payload: 11, shape: 12 }], arrival: 7, size: 20, flags: 4, ...more,
  }
}

function build(messages: readonly DecodedMessage[]) {
  const builder = new FrameBuilder('field')
  for (const one of messages) builder.add(one)
  return decodeFrame(encodeFrame(builder.build()))
}

describe('a frame', () => {
  it('keeps a message as one row with its readings', () => {
    const frame = build([message('a', [number('t', 1), number('v', 2)]), message('b', [number('v', 3)])])
    expect(frame.devices).toEqual([{ name: 'a', labels: { class: 'pump' } }, { name: 'b', labels: { class: 'pump' } }])
    expect([frame.device, frame.start, frame.count].map((column) => [...column])).toEqual([[0, 1], [0, 2], [2, 1]])
    expect([...frame.metric].map((metric) => frame.metrics[metric])).toEqual(['t', 'v', 'v'])
    expect([...frame.value]).toEqual([1, 2, 3])
  })

  it('carries time, arrival, size, hashes and flags of each message', () => {
    const frame = build([message('a', [])])
    expect([frame.time, frame.arrival, frame.size, frame.payload, frame.shape, frame.flags].map((column) => column[0])).toEqual([5, 7, 20, 11, 12, 4])
  })

  it('has NaN where a device claims no event time', () => {
    expect(build([message('a', [], { samples: [{ time: null, fields: [], payload: 1, shape: 1 }] })]).time[0]).toBeNaN()
  })

  it('keeps the text of each category once, by its hash', () => {
    const frame = build([message('a', [category('s', 'open')]), message('b', [category('s', 'open'), category('r', '')])])
    expect(frame.categories).toEqual({ [String(hashText('open'))]: 'open', [String(hashText(''))]: '' })
  })

  it('names a device once, and once more where its labels differ', () => {
    const other = message('a', [], { device: { name: 'a', labels: {} }, deviceKey: 'other' })
    expect([...build([message('a', []), other, message('a', [])]).device]).toEqual([0, 1, 0])
  })

  it('has several samples of a message as several messages', () => {
    const samples = [1, 2].map((n) => ({ time: n, fields: [number('t', n)], payload: n, shape: 1 }))
    expect([...build([message('a', [], { samples })]).time]).toEqual([1, 2])
  })

  it('is full at its number of messages', () => {
    const builder = new FrameBuilder('field')
    const one = message('a', [])
    for (let i = 0; i < FRAME_MESSAGES; i++) builder.add(one)
    expect(builder.fits(one, roomOf(one))).toBe(false)
  })

  it('takes no message of another source', () => {
    const one = message('a', [], { source: 'other' })
    expect(new FrameBuilder('field').fits(one, roomOf(one))).toBe(false)
  })

  it('takes any messages it says it has room for, and stays within its bytes', () => {
    const text = fc.oneof(fc.string({ maxLength: 2_000 }), fc.string({ unit: 'grapheme', maxLength: 500 }))
    const fields = fc.array(fc.oneof(text.map((one) => category(one.slice(0, 100), one)), text.map((one) => number(one, 1))), { maxLength: 40 })
    fc.assert(
      fc.property(fc.array(fc.tuple(text, fields), { maxLength: 60 }), (drawn) => {
        const builder = new FrameBuilder('field')
        for (const [device, some] of drawn) {
          const one = message(device, some)
          if (builder.fits(one, roomOf(one))) builder.add(one)
        }
        expect(encodeFrame(builder.build()).length).toBeLessThanOrEqual(FRAME_BYTES)
      }),
      { numRuns: 50 },
    )
  })
})

describe('a message alone', () => {
  it('fits a frame as a rule', () => {
    expect(fitsAFrame(roomOf(message('a', [number('t', 1)])))).toBe(true)
  })

  it.each([
    ['too many samples', message('a', [], { samples: Array.from({ length: FRAME_MESSAGES + 1 }, () => ({ time: 1, fields: [], payload: 1, shape: 1 })) })],
    ['too many readings', message('a', Array.from({ length: FRAME_READINGS + 1 }, () => number('', 1)))],
    ['too many bytes', message('a', [category('s', 'x'.repeat(FRAME_BYTES / 3))])],
  ])('does not with %s', (_, one) => {
    expect(fitsAFrame(roomOf(one))).toBe(false)
  })
})

describe('the hashes of a sample', () => {
  const sample = (...fields: Field[]) => ({ time: null, fields })
  const hash = (payload: string, metric: string | null, ...fields: Field[]) => new SampleHasher().hash(Buffer.from(payload), metric, [sample(...fields)])[0]!

  it('are equal for equal payloads', () => {
    expect(hash('1', 'a', number('a', 1))).toEqual(hash('1', 'a', number('a', 1)))
  })

  it('tell payloads, topic metrics and places in the payload apart', () => {
    const [first, second] = new SampleHasher().hash(Buffer.from('1'), 'a', [sample(), sample()])
    const payloads = [first!.payload, second!.payload, hash('1', 'b').payload, hash('2', 'a').payload, hash('1', null).payload]
    expect(new Set(payloads).size).toBe(5)
  })

  it('have one shape for fields in any order, whatever their values', () => {
    expect(hash('x', null, number('a', 1), number('b', 2)).shape).toBe(hash('y', null, number('b', 3), number('a', 4)).shape)
  })

  it('have other shapes for other names, kinds and numbers of fields', () => {
    const shapes = [[number('a', 1)], [number('b', 1)], [category('a', 'x')], [number('a', 1), number('b', 1)], []].map((fields) => hash('x', null, ...fields).shape)
    expect(new Set(shapes).size).toBe(5)
  })
})

describe('the flags of a message', () => {
  it.each([
    [{ dup: false, retain: false, qos: 0 as const }, 0], [{ dup: true, retain: false, qos: 1 as const }, 5], [{ dup: false, retain: true, qos: 2 as const }, 10],
  ])('of %j are %i', (fields, flags) => {
    expect(flagsOf(fields)).toBe(flags)
  })
})
