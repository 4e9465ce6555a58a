/** Rows and their layout: where a row comes to lie, what restore finds again, and which pages count as changed. */
import { describe, expect, it } from 'vitest'
import type { Field, RowPart } from '../../src/detect/detector.ts'
import { Table } from '../../src/detect/table.ts'
import { decodePage, encodePage, type Page } from '../../src/log/page.ts'

const field = (name: string, type: Field['type'], width = 1): Field => ({ name, type, width })

function part(name: string, version = 1, wide = 1, narrow = 1): RowPart {
  return { name, version, scope: 'series', fields: { present: [field('x', 'float64', wide)], baseline: [field('y', 'float32', narrow)] } }
}

function tableOf(parts: readonly RowPart[], capacity = 200, held = 0): Table {
  return new Table('series', capacity, parts, () => {}, held)
}

/** Fills all numbers of one part of a row, from `first` up. */
function fill(table: Table, name: string, row: number, first: number): void {
  const place = table.layout.places.find((one) => one.part.name === name)!
  const rows = table.view(name)!
  table.touch(row)
  for (let k = 0; k < place.width64; k++) rows.float64[row * rows.stride64 + rows.at64 + k] = first + k
  for (let k = 0; k < place.width32; k++) rows.float32[row * rows.stride32 + rows.at32 + k] = first + place.width64 + k
}

function numbers(table: Table, name: string, row: number): number[] {
  const place = table.layout.places.find((one) => one.part.name === name)!
  const rows = table.view(name)!
  const at64 = row * rows.stride64 + rows.at64
  const at32 = row * rows.stride32 + rows.at32
  return [...rows.float64.subarray(at64, at64 + place.width64), ...rows.float32.subarray(at32, at32 + place.width32)]
}

/** Through the bytes of the log. */
function moved(from: Table, to: Table): Table {
  for (let page = 0; page < from.pages(); page++) to.load(decodePage(encodePage(from.page(page))))
  return to
}

describe('a table', () => {
  it('gives the lowest free row, whatever was freed in which order', () => {
    const table = tableOf([part('a')])
    const rows = ['p', 'q', 'r', 's'].map((name) => table.allocate(name, ''))
    table.free(2)
    table.free(0)
    expect([...rows, table.allocate('t', ''), table.allocate('u', ''), table.allocate('v', '')]).toEqual([0, 1, 2, 3, 0, 2, 4])
  })

  it('gives the same row after a restore as it would have without', () => {
    const table = tableOf([part('a')])
    for (const name of ['p', 'q', 'r']) table.allocate(name, '')
    table.free(1)
    expect(moved(table, tableOf([part('a')])).allocate('s', '')).toBe(table.allocate('s', ''))
  })

  it('refuses a row beyond its capacity', () => {
    const table = tableOf([part('a')], 2)
    expect([table.allocate('p', ''), table.allocate('q', ''), table.allocate('r', '')]).toEqual([0, 1, -1])
    table.free(0)
    expect(table.allocate('r', '')).toBe(0)
  })

  it('keeps rows beyond a capacity that shrank, and gives none there', () => {
    const big = tableOf([part('a')], 200)
    for (let i = 0; i < 130; i++) big.allocate(`row ${i}`, '')
    const small = moved(big, tableOf([part('a')], 100, 192))
    expect(small.size).toBe(130)
    expect(small.allocate('new', '')).toBe(-1)
    small.free(120)
    expect(small.allocate('new', '')).toBe(-1)
    small.free(99)
    expect(small.allocate('new', '')).toBe(99)
  })

  it('keeps no row of a page that merely has room for it', () => {
    const table = tableOf([part('a')], 70)
    for (let i = 0; i < 66; i++) table.allocate(`row ${i}`, '')
    const again = moved(table, tableOf([part('a')], 70, 128))
    const given = Array.from({ length: 5 }, (_, i) => again.allocate(`new ${i}`, ''))
    expect(given).toEqual([66, 67, 68, 69, -1])
  })

  it('clears a freed row', () => {
    const table = tableOf([part('a', 1, 2, 3)])
    table.allocate('p', 'about')
    table.allocate('q', '')
    fill(table, 'a', 0, 1)
    fill(table, 'a', 1, 10)
    table.free(0)
    expect([numbers(table, 'a', 0), table.about(0), table.name(0)]).toEqual([[0, 0, 0, 0, 0], '', undefined])
    expect(numbers(table, 'a', 1)).toEqual([10, 11, 12, 13, 14])
  })

  it('lays its parts side by side, none over another', () => {
    const table = tableOf([part('a', 1, 2, 3), part('b', 1, 1, 2), part('c', 1, 0, 1)])
    for (const name of ['p', 'q', 'r']) table.allocate(name, '')
    for (let row = 0; row < 3; row++) for (const [i, name] of ['a', 'b', 'c'].entries()) fill(table, name, row, 100 * row + 10 * i)
    expect(numbers(table, 'a', 1)).toEqual([100, 101, 102, 103, 104])
    expect(numbers(table, 'b', 1)).toEqual([110, 111, 112])
    expect(numbers(table, 'c', 2)).toEqual([220])
  })
})

describe('a restored row', () => {
  const full = () => {
    const table = tableOf([part('a', 1, 2, 3), part('b', 1, 1, 2)])
    for (let i = 0; i < 70; i++) {
      table.allocate(`row ${i}`, `about ${i}`)
      fill(table, 'a', i, i)
      fill(table, 'b', i, 1_000 + i)
    }
    return table
  }

  it('has name, text and numbers as they were', () => {
    const table = moved(full(), tableOf([part('a', 1, 2, 3), part('b', 1, 1, 2)]))
    expect([table.row('row 69'), table.about(69)]).toEqual([69, 'about 69'])
    expect(numbers(table, 'a', 69)).toEqual([69, 70, 71, 72, 73])
    expect(numbers(table, 'b', 69)).toEqual([1_069, 1_070, 1_071])
  })

  it('keeps what its parts learnt when others stand before and between them', () => {
    const table = moved(full(), tableOf([part('new', 1, 3, 1), part('b', 1, 1, 2), part('newer', 1, 0, 5), part('a', 1, 2, 3)]))
    expect(numbers(table, 'a', 7)).toEqual([7, 8, 9, 10, 11])
    expect(numbers(table, 'b', 7)).toEqual([1_007, 1_008, 1_009])
    expect(numbers(table, 'new', 7)).toEqual([0, 0, 0, 0])
    expect(numbers(table, 'newer', 7)).toEqual([0, 0, 0, 0, 0])
  })

  it('keeps them when another part is gone', () => {
    const table = moved(full(), tableOf([part('b', 1, 1, 2)]))
    expect(numbers(table, 'b', 7)).toEqual([1_007, 1_008, 1_009])
  })

  it.each([
    ['another version', part('a', 2, 2, 3)],
    ['another width', part('a', 1, 2, 4)],
  ])('warms a part of %s up anew', (_, changed) => {
    const table = moved(full(), tableOf([changed, part('b', 1, 1, 2)]))
    expect(numbers(table, 'a', 7).every((number) => number === 0)).toBe(true)
    expect(numbers(table, 'b', 7)).toEqual([1_007, 1_008, 1_009])
  })
})

describe('the changed pages', () => {
  it('are those touched since they were last taken', () => {
    const table = tableOf([part('a')])
    for (let i = 0; i < 130; i++) table.allocate(`row ${i}`, '')
    expect(table.takeDirty()).toEqual([0, 1, 2])
    expect(table.dirtyBytes).toBe(0)
    table.touch(64)
    table.setAbout(65, 'x')
    expect(table.dirtyBytes).toBe(64 * table.layout.stride)
    expect(table.takeDirty()).toEqual([1])
    expect(table.takeDirty()).toEqual([])
  })

  it('are told before the change', () => {
    const table: Table = new Table('series', 64, [part('a')], () => seen.push(table.page(0).rows.map(({ name }) => name)))
    const seen: string[][] = []
    table.allocate('p', '')
    table.free(0)
    expect(seen).toEqual([[], ['p']])
  })

  it('are all of them when the layout is another', () => {
    const table = moved(tableOfRows(130), tableOf([part('a', 2)]))
    expect(table.takeDirty()).toEqual([])
    table.markAllChanged()
    expect(table.takeDirty()).toEqual([0, 1, 2])
  })
})

function tableOfRows(rows: number): Table {
  const table = tableOf([part('a')])
  for (let i = 0; i < rows; i++) table.allocate(`row ${i}`, '')
  return table
}

describe('a page', () => {
  it('holds only rows in use, each at its slot', () => {
    const table = tableOfRows(66)
    table.free(64)
    const page: Page = table.page(1)
    expect(page.rows).toEqual([{ slot: 1, name: 'row 65', about: '' }])
    expect(page.numbers).toHaveLength(12)
  })
})
