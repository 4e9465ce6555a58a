/** What a row of a CSV becomes, and which rows and headers are refused. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { makeRowReader, parseTime } from '../../src/cli/replay-rows.ts'

const NOON = Date.UTC(2020, 2, 9, 12, 0, 0)

describe('makeRowReader', () => {
  test('reads numbers, categories and missing values under their names', () => {
    const read = makeRowReader(['datetime', 'Pressure', 'Volume Flow RateRMS', 'mode'], [])
    expect(read(['2020-03-09 12:00:00', '0.05', '', 'auto'])).toEqual({ time: NOON, values: { Pressure: 0.05, 'Volume Flow RateRMS': null, mode: 'auto' } })
  })

  test('leaves out ignored columns', () => {
    const read = makeRowReader(['ts', 'x', 'anomaly', 'changepoint'], ['anomaly', 'changepoint'])
    expect(read(['1583755200', '1', '0.0', '0.0']).values).toEqual({ x: 1 })
  })

  test('keeps a column of text a category where a value looks like a number', () => {
    const read = makeRowReader(['ts', 'mode'], [])
    read(['1', 'auto'])
    expect(read(['2', '3']).values).toEqual({ mode: '3' })
  })

  test('refuses a text in a column of numbers, naming column and text', () => {
    const read = makeRowReader(['ts', 'Pressure'], [])
    read(['1', '3'])
    expect(() => read(['2', 'abc'])).toThrow("Pressure is 'abc', expected a number")
    expect(() => read(['2', '1e999'])).toThrow("Pressure is '1e999', expected a number")
  })

  test('takes NaN and NA for missing', () => {
    const read = makeRowReader(['ts', 'a', 'b'], [])
    expect(read(['1', 'NaN', 'NA']).values).toEqual({ a: null, b: null })
  })

  test('refuses a row that is too short or has no time', () => {
    const read = makeRowReader(['time', 'x'], [])
    expect(() => read(['1'])).toThrow('1 cells, the header has 2')
    expect(() => read(['yesterday', '1'])).toThrow("time is 'yesterday', expected ISO 8601")
  })

  test('refuses a header without a time column, naming those it has', () => {
    expect(() => makeRowReader(['when', 'x'], [])).toThrow(/no time column among when, x; one must be called timestamp/)
  })

  test('refuses a header with a name twice, without a name, or with nothing to send', () => {
    expect(() => makeRowReader(['ts', 'x', 'x'], [])).toThrow("column 3: 'x' stands for two things")
    expect(() => makeRowReader(['timestamp', 'ts'], [])).toThrow("column 2: 'ts' stands for two things")
    expect(() => makeRowReader(['ts', ''], [])).toThrow('column 2 has no name')
    expect(() => makeRowReader(['ts', 'anomaly'], ['anomaly'])).toThrow('no column is left to send')
  })

  test('keeps a column named __proto__ a plain name', () => {
    const { values } = makeRowReader(['ts', '__proto__'], [])(['1', '5'])
    expect(JSON.stringify(values)).toBe('{"__proto__":5}')
  })
})

describe('parseTime', () => {
  test.each([
    ['2020-03-09 12:00:00', NOON],
    ['2020-03-09T12:00:00', NOON],
    ['2020-03-09T12:00:00Z', NOON],
    ['2020-03-09T13:00:00+01:00', NOON],
    ['2020-03-09 13:00:00+0100', NOON],
    ['2020-03-09 12:00:00.250', NOON + 250],
    ['2020-03-09 12:00', NOON],
    ['2020-03-09', NOON - 12 * 3_600_000],
    ['1583755200', NOON],
    ['1583755200.5', NOON + 500],
    ['1583755200000', NOON],
  ])('reads %s', (text, expected) => {
    expect(parseTime(text)).toBe(expected)
  })

  test.each(['', 'NaN', '12:00', '2020-13-01', '2021-02-30', '2020-03-09 25:00:00', '1e300', '09/03/2020'])('takes %j for no time', (text) => {
    expect(parseTime(text)).toBeNull()
  })

  test('reads back every ISO time', () => {
    fc.assert(
      fc.property(fc.date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }), (date) => {
        expect(parseTime(date.toISOString())).toBe(date.getTime())
      }),
    )
  })
})
