/** The event time of a payload: which field, which unit, which forms of ISO 8601, and that no other text is taken for a time. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TimeUnit } from '../../src/core/topic-rule.ts'
import { Prng } from '../../src/fleet/prng.ts'
import { decodePayload } from '../../src/ingest/codecs/codec.ts'
import { isoTime } from '../../src/ingest/codecs/iso-time.ts'
import { LIMITS, PLAN } from './lab.ts'
import { mutations } from './mutations.ts'

const decode = (text: string, timeUnit: TimeUnit = 'auto', timeFields: readonly string[] = PLAN.timeFields) =>
  decodePayload(Buffer.from(text, 'utf8'), null, { ...PLAN, timeUnit, timeFields }, LIMITS)[0]!
const timeOf = (claimed: string, unit: TimeUnit = 'auto') => decode(`{"ts":${claimed},"a":1}`, unit).time

describe('the event time', () => {
  it.each([
    ['1700000000123', 1_700_000_000_123],
    ['1700000000123.5', 1_700_000_000_123.5],
    ['1700000000', 1_700_000_000_000],
    ['1700000000.25', 1_700_000_000_250],
    ['1000000000', 1e12],
    ['9999999999.9', 9_999_999_999_900],
    ['1700000000123456', 1_700_000_000_123.456],
    ['0.5', 0.5],
    ['999999999', 999_999_999],
    ['10000000000', 1e10],
    ['-1700000000', -1_700_000_000],
  ])('%s is ms, s or µs by its digits', (text, time) => {
    expect(timeOf(text)).toBe(time)
  })

  it.each([
    ['ms', '1700000000', 1_700_000_000],
    ['s', '1700000000123', 1_700_000_000_123_000],
    ['s', '86400.5', 86_400_500],
    ['us', '1700000000', 1_700_000],
    ['iso', '"2026-01-31T08:00:00Z"', Date.UTC(2026, 0, 31, 8)],
  ] as const)('in %s of its topic is what it says: %s', (unit, text, time) => {
    expect(timeOf(text, unit)).toBe(time)
  })

  it.each([
    ['ms', '"2026-01-31T08:00:00Z"', 'ts is "2026-01-31T08:00:00Z", expected ms since epoch'],
    ['s', '8640000000001', 'ts is 8640000000001, expected seconds since epoch'],
    ['us', '"1"', 'ts is "1", expected µs since epoch'],
    ['iso', '1700000000', 'ts is 1700000000, expected ISO 8601'],
  ] as const)('in another unit than %s is refused: %s', (unit, text, message) => {
    expect(() => timeOf(text, unit)).toThrow(expect.objectContaining({ reason: 'event_time', message: expect.stringContaining(message) as string }))
  })

  it('takes minus zero for zero', () => {
    expect(Object.is(timeOf('-0'), 0)).toBe(true)
  })

  it('may be null', () => {
    expect(decode('{"ts":null}')).toMatchObject({ time: null, fields: [] })
  })

  it.each([
    '86400000000000001', '1e999', '-1e999', 'true', '{}', '[]', '"now"', '""', '"2026-01-31"', '"1700000000123"', '"20260131T080000Z"', '"2026-W05-6T08:00Z"',
    '" 2026-01-31T08:00:00Z"', '"2026-01-31T08:00:00Z "', '"2026-01-31T08:00:00 Z"', '"2026-1-31T08:00:00Z"', '"2026-01-31T08"', '"2026-01-31T08:00:00."',
    '"2026-01-31T08:00:00.1234567890Z"', '"2026-01-31T08:00:00+24:00"', '"2026-01-31T08:00:00+02:60"', '"2026-01-31T08:00:00+2"', '"٢٠٢٦-01-31T08:00:00Z"',
    '"2026-02-29T08:00:00Z"', '"1900-02-29T08:00:00Z"', '"2026-04-31T08:00:00Z"', '"2026-00-10T08:00:00Z"', '"2026-01-00T08:00:00Z"',
    '"2026-13-01T08:00:00Z"', '"2026-01-31T24:00:00Z"', '"2026-01-31T08:60:00Z"', '"2026-01-31T08:00:60Z"', '"Sat, 31 Jan 2026 08:00:00 GMT"',
  ])('%s is refused', (text) => {
    expect(() => timeOf(text)).toThrow(expect.objectContaining({ reason: 'event_time' }))
  })
})

describe('ISO 8601', () => {
  it.each([
    ['2026-01-31T08:00:00Z', Date.UTC(2026, 0, 31, 8)],
    ['2026-01-31T08:00:00', Date.UTC(2026, 0, 31, 8)],
    ['2026-01-31 08:00', Date.UTC(2026, 0, 31, 8)],
    ['2026-01-31T08:00:00.250+02:00', Date.UTC(2026, 0, 31, 6, 0, 0, 250)],
    ['2026-01-31 08:00:00,5-0330', Date.UTC(2026, 0, 31, 11, 30, 0, 500)],
    ['2026-01-31 08:00:00+02', Date.UTC(2026, 0, 31, 6)],
    ['2024-02-29t08:00z', Date.UTC(2024, 1, 29, 8)],
    ['2000-02-29T00:00:00-00:00', Date.UTC(2000, 1, 29)],
    ['2026-01-31T08:00:00.123456Z', Date.UTC(2026, 0, 31, 8, 0, 0, 123) + 0.456],
    ['0050-01-01T00:00:00Z', Date.parse('0050-01-01T00:00:00Z')],
  ])('%s is read', (text, time) => {
    expect(isoTime(text)).toBeCloseTo(time, 3)
  })

  it('of any second of any year is as Date.parse reads its one form', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const random = new Prng(seed)
        for (let i = 0; i < 500; i++) {
          const date = new Date(random.whole(-62_167_219_200_000, 253_402_300_799_999))
          const text = date.toISOString()
          if (isoTime(text) !== date.getTime()) throw new Error(`${text} is read as ${isoTime(text)}`)
        }
      }),
      { numRuns: 100 },
    )
  })

  it('with any offset is the time of UTC that is meant', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), fc.integer({ min: -1439, max: 1439 }), (second, minutes) => {
        const local = new Date(1000 * second + 60_000 * minutes).toISOString().slice(0, 19)
        const [sign, size] = [minutes < 0 ? '-' : '+', Math.abs(minutes)]
        const offset = [Math.floor(size / 60), size % 60].map((part) => String(part).padStart(2, '0'))
        expect(isoTime(`${local}${sign}${offset.join(':')}`)).toBe(1000 * second)
        expect(isoTime(`${local}${sign}${offset.join('')}`)).toBe(1000 * second)
      }),
    )
  })

  it('that is nearly right is a time between the years 0 and 9999 or none, never anything else', () => {
    const valid = fc.constantFrom('2026-01-31T08:00:00Z', '2024-02-29 23:59:59.999999999+23:59', '0000-01-01t00:00z', '9999-12-31T23:59:59,9-0000')
    fc.assert(
      fc.property(valid, fc.nat(), (base, seed) => {
        for (const text of mutations(base, new Prng(seed), 500)) {
          const time = isoTime(text)
          if (time !== null && !(time > -62_167_305_600_000 && time < 253_402_387_200_000)) throw new Error(`${JSON.stringify(text)} is read as ${time}`)
        }
      }),
      { numRuns: 100 },
    )
  })
})

describe('the field of the event time', () => {
  it('is ts, timestamp or time, the first that a sample has', () => {
    const read = (text: string) => {
      const { time, fields } = decode(text)
      return [time, fields.map(({ metric }) => metric)]
    }
    expect(read('{"time":1700000000003,"timestamp":1700000000002,"ts":1700000000001}')).toEqual([1_700_000_000_001, ['time', 'timestamp']])
    expect(read('{"time":1700000000003,"timestamp":1700000000002}')).toEqual([1_700_000_000_002, ['time']])
    expect(read('{"time":1700000000003,"a":1}')).toEqual([1_700_000_000_003, ['a']])
  })

  it('is looked for at the top alone', () => {
    expect(decode('{"a":{"ts":5}}')).toEqual({ time: null, fields: [{ metric: 'a.ts', kind: 0, value: 5, text: '' }], names: [] })
  })

  it('is the one its topic names, also a nested one', () => {
    const { time, fields } = decode('{"ts":5,"meta":{"at":1700000000,"fw":2}}', 'auto', ['meta.at'])
    expect([time, fields.map(({ metric }) => metric)]).toEqual([1_700_000_000_000, ['ts', 'meta.fw']])
  })

  it.each([
    ['{"ts":{}}', 'ts is an object, expected'], ['{"ts":[]}', 'ts is a list, expected'], ['{"ts":true}', 'ts is true, expected'],
    ['{"time":"fast"}', 'time is "fast", expected seconds, ms or µs since epoch or ISO 8601 such as "2026-01-31T08:00:00Z"'],
  ])('of %s is named in the refusal', (text, message) => {
    expect(() => decode(text)).toThrow(message)
  })
})
