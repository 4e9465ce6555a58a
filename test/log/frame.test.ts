/** The frame: what goes in comes out, and what does not fit together is refused before anybody reads it. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isPipelineError } from '../../src/core/errors.ts'
import { FLAG_DUP, FLAG_QOS1 } from '../../src/core/message.ts'
import { isControl } from '../../src/log/control.ts'
import { decodeFrame, encodeFrame, FRAME_MESSAGES, FRAME_READINGS, type Frame, isFrame } from '../../src/log/frame.ts'
import { frameOf, type Sent, START, tickOf } from '../detect/fleet.ts'
import { encodeControl } from '../../src/log/control.ts'

const SENT: Sent[] = [
  { device: 'pump-1', metrics: { vibration: 1.5, running: true, mode: 'idle', spare: null }, arrival: START, labels: { class: 'pump', site: 'north' }, flags: FLAG_DUP },
  { device: 'pump-2', metrics: { vibration: -2e-300 }, arrival: START + 1, time: START - 5, flags: FLAG_QOS1 },
  { device: 'pump-1', metrics: {}, arrival: START + 2, labels: { class: 'pump', site: 'north' } },
]
const FRAME: Frame = { ...frameOf(SENT), categories: { 12345: 'idle' } }

/** Plain arrays, so that a Buffer and a Uint8Array of the same bytes are equal. */
function plain(frame: Frame): unknown {
  return Object.fromEntries(Object.entries(frame).map(([name, column]) => [name, ArrayBuffer.isView(column) ? [...(column as Float64Array)] : JSON.parse(JSON.stringify(column))]))
}

describe('a frame', () => {
  it('comes back as it was, every column and kind of value', () => {
    expect(plain(decodeFrame(encodeFrame(FRAME)))).toEqual(plain(FRAME))
  })

  it('comes back from bytes that lie anywhere, and keeps nothing of them', () => {
    const bytes = encodeFrame(FRAME)
    const around = new Uint8Array(bytes.length + 8)
    around.set(bytes, 3)
    const frame = decodeFrame(around.subarray(3, 3 + bytes.length))
    around.fill(0)
    expect([...frame.value]).toEqual([...FRAME.value])
    expect([...frame.arrival]).toEqual([...FRAME.arrival])
  })

  it('may be empty', () => {
    expect(decodeFrame(encodeFrame(frameOf([]))).device).toHaveLength(0)
  })

  it('is told from a control record', () => {
    const [frame, control] = [encodeFrame(FRAME), encodeControl(tickOf('t'))]
    expect([isFrame(frame), isControl(frame), isFrame(control), isControl(control)]).toEqual([true, false, false, true])
    expect(isFrame(Buffer.alloc(0))).toBe(false)
  })

  it('of any messages comes back as it was', () => {
    const value = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.string(), fc.constant(null))
    const sent = fc.record({
      device: fc.string({ minLength: 1 }).filter((name) => !name.includes('\u0000')),
      metrics: fc.dictionary(fc.string().filter((name) => name !== '__proto__'), value, { maxKeys: 5 }),
      arrival: fc.integer({ min: 0, max: 8e15 }),
      flags: fc.integer({ min: 0, max: 31 }),
    })
    const property = fc.property(fc.array(sent, { maxLength: 10 }), (messages) => {
      expect(plain(decodeFrame(encodeFrame(frameOf(messages))))).toEqual(plain(frameOf(messages)))
    })
    fc.assert(property, { numRuns: 200 })
  })
})

describe('a frame that does not fit together', () => {
  const device = (...values: number[]) => Int32Array.from(values)
  it.each<[string, Partial<Frame>, RegExp]>([
    ['with too few event times', { time: new Float64Array(2) }, /column time has 2 values for 3 messages/],
    ['with too many arrivals', { arrival: new Float64Array(4) }, /column arrival/],
    ['with too few starts', { start: device(0, 4) }, /column start/],
    ['with too few counts', { count: device(4, 1) }, /column count/],
    ['with too few sizes', { size: device(1) }, /column size/],
    ['with too few payload hashes', { payload: new Float64Array(0) }, /column payload/],
    ['with too few shapes', { shape: new Float64Array(0) }, /column shape/],
    ['with too few flags', { flags: new Uint8Array(2) }, /column flags/],
    ['whose message names no device', { device: device(0, 2, 0) }, /message 1 names no device/],
    ['whose message names a negative device', { device: device(0, -1, 0) }, /message 1 names no device/],
    ['whose messages overlap', { start: device(0, 3, 5) }, /message 1 does not start where the one before ends/],
    ['whose messages leave a gap', { start: device(0, 4, 6) }, /message 2 does not start/],
    ['whose message has a negative count', { count: device(4, -1, 2) }, /message 1 does not start/],
    ['whose messages hold more than there is', { count: device(4, 1, 1) }, /5 readings, the messages hold 6/],
    ['whose messages hold less than there is', { count: device(4, 0, 0), start: device(0, 4, 4) }, /5 readings, the messages hold 4/],
    ['whose message has no arrival', { arrival: Float64Array.of(START, NaN, START) }, /message 1 has no arrival time/],
    ['whose message has an endless event time', { time: Float64Array.of(NaN, Infinity, NaN) }, /message 1 has an impossible event time/],
    ['whose message has an event time beyond all dates', { time: Float64Array.of(NaN, 9e15, NaN) }, /message 1 has an impossible event time/],
    ['whose readings have too few kinds', { kind: new Uint8Array(4) }, /readings columns differ/],
    ['whose readings have too few values', { value: new Float64Array(4) }, /readings columns differ/],
    ['whose reading names no metric', { metric: device(0, 1, 2, 4, 0) }, /reading 3 names no metric/],
    ['whose reading is of an unknown kind', { kind: Uint8Array.of(0, 1, 2, 4, 0) }, /reading 3 has no value of a known kind/],
    ['whose reading is no finite number', { value: Float64Array.of(1, 1, 1, 0, Infinity) }, /reading 4 has no value/],
    ['whose device has no name', { devices: [{ name: '', labels: {} }, FRAME.devices[1]!] }, /a device without a usable name/],
    ['whose device has NUL in its name', { devices: [{ name: 'a\u0000b', labels: {} }, FRAME.devices[1]!] }, /a device without a usable name/],
  ])('%s is BAD_RECORD', (_, change, message) => {
    expect(() => decodeFrame(encodeFrame({ ...FRAME, ...change }))).toThrow(expect.objectContaining({ code: 'BAD_RECORD', message: expect.stringMatching(message) }))
  })

  it.each(['device', 'time', 'arrival', 'metric', 'value'] as const)('whose column %s ends inside a number is BAD_RECORD', (name) => {
    const column = FRAME[name]
    const cut = new Uint8Array(column.buffer, column.byteOffset, column.byteLength - 1) as unknown as Int32Array & Float64Array
    expect(() => decodeFrame(encodeFrame({ ...FRAME, [name]: cut }))).toThrow(expect.objectContaining({ code: 'BAD_RECORD', message: 'damaged frame: a column ends inside a number' }))
  })

  it.each([
    ['messages', FRAME_MESSAGES, Array.from({ length: FRAME_MESSAGES }, (): Sent => ({ device: 'd', metrics: {}, arrival: START }))],
    ['readings', FRAME_READINGS, [{ device: 'd', metrics: Object.fromEntries(Array.from({ length: FRAME_READINGS }, (_, i) => [`m${i}`, i])), arrival: START }]],
  ] as const)('with more %s than %i is BAD_RECORD, with as many it is not', (_, most, sent) => {
    const full = frameOf(sent)
    expect(decodeFrame(encodeFrame(full)).device.length).toBe(sent.length)
    const over = frameOf([...sent, { device: 'd', metrics: { m0: 1 }, arrival: START }])
    expect(() => decodeFrame(encodeFrame(over))).toThrow(`${most + 1}`)
  })
})

describe('a damaged frame', () => {
  const whole = encodeFrame(FRAME)

  it('is BAD_RECORD or a frame that fits together, whatever bytes were changed', () => {
    const changes = fc.array(fc.tuple(fc.integer({ min: 0, max: whole.length - 1 }), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(changes, (bytes) => {
        const copy = Buffer.from(whole)
        for (const [at, byte] of bytes) copy[at] = byte
        try {
          const frame = decodeFrame(copy)
          expect(decodeFrame(encodeFrame(frame)).device).toHaveLength(frame.device.length)
        } catch (error) {
          if (!isPipelineError(error, 'BAD_RECORD')) throw error
        }
      }),
      { numRuns: 3_000 },
    )
  })

  it('that claims an endless list is BAD_RECORD, at once', () => {
    // The count of its devices, two of them as a zigzag varint, becomes some four thousand million.
    const at = 10 + 1 + 'field'.length
    expect(whole[at]).toBe(4)
    const endless = Buffer.concat([whole.subarray(0, at), Buffer.from('fcffffff1f', 'hex'), whole.subarray(at + 1)])
    expect(() => decodeFrame(endless)).toThrow(expect.objectContaining({ code: 'BAD_RECORD' }))
  })

  it('cut anywhere is BAD_RECORD', () => {
    for (let length = 0; length < whole.length; length++) expect(() => decodeFrame(whole.subarray(0, length))).toThrow(expect.objectContaining({ code: 'BAD_RECORD' }))
  })
})
