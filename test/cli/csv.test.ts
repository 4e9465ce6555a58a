/** CSV text cut into rows and cells, however it arrives. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { csvRows, detectDelimiter, MAX_ROW, splitRow } from '../../src/cli/csv.ts'
import type { Delimiter } from '../../src/cli/csv.ts'

async function* chunksOf(...chunks: string[]): AsyncGenerator<string> {
  yield* chunks
}

async function rowsOf(...chunks: string[]) {
  const rows = []
  for await (const row of csvRows(chunksOf(...chunks))) rows.push(row)
  return rows
}

function quote(cell: string, delimiter: Delimiter): string {
  return cell.includes(delimiter) || /["\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}

/** Cuts `text` at the given fractions of its length. */
function cut(text: string, fractions: readonly number[]): string[] {
  const places = [0, ...fractions.map((fraction) => Math.floor(fraction * text.length)).sort((a, b) => a - b), text.length]
  return places.slice(1).map((end, i) => text.slice(places[i], end))
}

describe('csvRows', () => {
  test('numbers each row by the line it starts on, also after empty lines and quoted newlines', async () => {
    expect(await rowsOf('a,b\n\n"x\ny",1\nz,2\n')).toEqual([
      { line: 1, text: 'a,b' },
      { line: 3, text: '"x\ny",1' },
      { line: 5, text: 'z,2' },
    ])
  })

  test('takes CRLF, a byte order mark and a last line without its end', async () => {
    expect((await rowsOf('\ufeffa,b\r\n1,2')).map((row) => row.text)).toEqual(['a,b', '1,2'])
  })

  test('names the line of a quote that is never closed', async () => {
    await expect(rowsOf('a,b\n1,"2\n3,4\n')).rejects.toThrow('line 2: a quote is opened and never closed')
  })

  test('gives up on a row without end instead of keeping it', async () => {
    await expect(rowsOf('a\n', `"${'x'.repeat(MAX_ROW)}`, 'x')).rejects.toThrow(/line 2: a row of more than/)
  })

  test('gives back any cells, whatever stands in them and wherever the text was cut', async () => {
    const cell = fc.stringMatching(/^[a-z0-9 ,;"\r\n]{0,6}$/)
    const table = fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(table, fc.constantFrom<Delimiter>(',', ';'), fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }), async (cells, delimiter, cuts) => {
        const text = cells.map((row) => row.map((one) => quote(one, delimiter)).join(delimiter) + '\r\n').join('')
        const rows = await rowsOf(...cut(text, cuts))
        expect(rows.map((row) => splitRow(row.text, delimiter))).toEqual(cells)
      }),
    )
  })
})

describe('splitRow', () => {
  test('keeps empty cells, the last one too', () => {
    expect(splitRow(',1,', ',')).toEqual(['', '1', ''])
    expect(splitRow('"",1,', ',')).toEqual(['', '1', ''])
  })

  test('refuses a quote that is not where quotes may be', () => {
    expect(() => splitRow('5" pipe,1', ',')).toThrow('a quote inside a cell that is not quoted')
    expect(() => splitRow('1,"2"x', ',')).toThrow('text after the closing quote of cell 2')
  })
})

test('the delimiter is the one the header has more of outside quotes', () => {
  expect(detectDelimiter('datetime;Volume Flow RateRMS;anomaly')).toBe(';')
  expect(detectDelimiter('timestamp,value')).toBe(',')
  expect(detectDelimiter('"a;b;c",d')).toBe(',')
  expect(detectDelimiter('only')).toBe(',')
})
