/** The page: rows come back as they were, and one whose parts, rows and numbers disagree is refused. */
import { describe, expect, it } from 'vitest'
import { decodePage, encodePage, PAGE_KINDS, PAGE_ROWS, pageKey, rowBytes, type Page } from '../../src/log/page.ts'

const PARTS = [{ name: 'level', version: 2, float64: 1, float32: 3 }, { name: 'gate', version: 1, float64: 0, float32: 2 }]

const PAGE: Page = {
  kind: 'series', number: 7, parts: PARTS,
  rows: [{ slot: 0, name: 'pump-1\u0000vibration', about: '' }, { slot: 63, name: 'pump-2\u0000vibration', about: '{"class":"pump"}' }],
  numbers: Uint8Array.from({ length: 2 * 28 }, (_, i) => i),
}

describe('a page', () => {
  it.each(PAGE_KINDS)('of kind %s comes back as it was', (kind) => {
    const page = decodePage(encodePage({ ...PAGE, kind }))
    expect(JSON.parse(JSON.stringify({ ...page, numbers: [...page.numbers] }))).toEqual({ ...PAGE, kind, numbers: [...PAGE.numbers] })
  })

  it('is known by its kind and number', () => {
    expect(pageKey('device', 12)).toBe('device/12')
  })

  it('takes the part of a larger buffer it is given', () => {
    const around = Uint8Array.from([9, 9, ...PAGE.numbers, 9])
    expect([...decodePage(encodePage({ ...PAGE, numbers: around.subarray(2, -1) })).numbers]).toEqual([...PAGE.numbers])
  })

  it('counts the bytes of a row by its parts', () => {
    expect(rowBytes(PARTS)).toBe(28)
    expect(rowBytes([])).toBe(0)
  })

  it.each<[string, Partial<Page>, RegExp]>([
    ['too few numbers', { numbers: PAGE.numbers.subarray(1) }, /damaged page series\/7: 55 bytes for 2 rows of 28/],
    ['too many numbers', { rows: PAGE.rows.slice(1) }, /56 bytes for 1 rows/],
    ['a slot beyond its rows', { rows: [PAGE.rows[0]!, { slot: PAGE_ROWS, name: 'x', about: '' }] }, /slot 64/],
    ['a slot before its rows', { rows: [PAGE.rows[0]!, { slot: -1, name: 'x', about: '' }] }, /slot -1/],
    ['a number before the first', { number: -1 }, /a negative number or width/],
    ['a part of negative width', { parts: [...PARTS, { name: 'x', version: 1, float64: -1, float32: 2 }] }, /a negative number or width/],
  ])('with %s is BAD_RECORD', (_, change, message) => {
    expect(() => decodePage(encodePage({ ...PAGE, ...change }))).toThrow(expect.objectContaining({ code: 'BAD_RECORD', message: expect.stringMatching(message) }))
  })
})
