/** Rubbish at the door of `replay`: any text is rows, or an error that names what is wrong with it. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { csvRows, detectDelimiter, splitRow } from '../../src/cli/csv.ts'
import { makeRowReader, parseTime } from '../../src/cli/replay-rows.ts'
import { isPipelineError } from '../../src/core/errors.ts'

const RUNS = 100_000

/** What stands in CSV files, and what must not bring them down. */
const piece = fc.constantFrom('"', '""', ',', ';', '\n', '\r\n', '\ufeff', '0', '-1.5e3', '1e999', 'NaN', 'ts', 'time', 'datetime', '2024-02-30 25:00', '2024-03-01T00:00:00Z', 'a', '__proto__', 'constructor', '\u0000', '\ud800', ' ')
const text = fc.oneof({ weight: 4, arbitrary: fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join('')) }, { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) })

/** Of all rows of a text; null where it was refused by name. Anything else that is thrown is a failure of the test. */
async function read(...chunks: string[]): Promise<{ time: number; values: object }[] | null> {
  async function* source() {
    yield* chunks
  }
  try {
    const rows = []
    let reader: ReturnType<typeof makeRowReader> | null = null
    let delimiter: ',' | ';' = ','
    for await (const { text: row } of csvRows(source())) {
      if (!reader) {
        delimiter = detectDelimiter(row)
        reader = makeRowReader(splitRow(row, delimiter), [])
      } else rows.push(reader(splitRow(row, delimiter)))
    }
    return rows
  } catch (error) {
    if (!isPipelineError(error, 'REFUSED', 'BAD_CONFIG')) throw error
    expect(error.message.length).toBeGreaterThan(10)
    return null
  }
}

describe('a CSV of rubbish', () => {
  test('is read or refused by name, the same however it was cut', async () => {
    await fc.assert(
      fc.asyncProperty(text, fc.nat(), async (rubbish, at) => {
        const whole = `ts,a\n0,1\n${rubbish}`
        const place = at % (whole.length + 1)
        const [once, twice] = [await read(whole), await read(whole.slice(0, place), whole.slice(place))]
        expect(twice).toEqual(once)
      }),
      { numRuns: RUNS / 2 },
    )
  }, 60_000)

  test('has no header that brings the reader down, and no value that is no number', async () => {
    await fc.assert(
      fc.asyncProperty(text, async (rubbish) => {
        for (const { time, values } of (await read(rubbish)) ?? []) {
          expect(Number.isFinite(time)).toBe(true)
          for (const value of Object.values(values)) expect(typeof value === 'number' ? Number.isFinite(value) : true).toBe(true)
        }
      }),
      { numRuns: RUNS / 2 },
    )
  }, 60_000)

  test('has no time but one that a calendar can show', () => {
    fc.assert(
      fc.property(text, (rubbish) => {
        const time = parseTime(rubbish)
        if (time !== null) expect(() => new Date(time).toISOString()).not.toThrow()
      }),
      { numRuns: RUNS },
    )
  }, 60_000)
})
