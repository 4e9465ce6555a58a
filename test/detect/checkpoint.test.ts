/** The checkpoint: pages as they stood at the cut, however slowly they are written and whatever happens to the rows meanwhile. */
import { describe, expect, it } from 'vitest'
import { Checkpoint } from '../../src/detect/checkpoint.ts'
import type { RowPart } from '../../src/detect/detector.ts'
import type { Tables } from '../../src/detect/state.ts'
import { Table } from '../../src/detect/table.ts'
import type { Write } from '../../src/log/log.ts'
import { decodePage, PAGE_KINDS, PAGE_ROWS } from '../../src/log/page.ts'

const PART: RowPart = { name: 'a', version: 1, scope: 'series', fields: { present: [{ name: 'x', type: 'float64', width: 1 }], baseline: [] } }

function setUp(pages: number) {
  const checkpoint = new Checkpoint(3)
  const tables = Object.fromEntries(PAGE_KINDS.map((kind) => [kind, new Table(kind, 10 * PAGE_ROWS, [PART], checkpoint.beforeChange)])) as Tables
  const { series } = tables
  const rows = series.view('a')!
  for (let i = 0; i < pages * PAGE_ROWS; i++) series.allocate(`row ${i}`, '')
  const set = (row: number, value: number) => {
    series.touch(row)
    rows.float64[row * rows.stride64 + rows.at64] = value
  }
  return { checkpoint, tables, series, set }
}

/** First number of a page's first row, by key; null for a deleted page. */
function read(writes: Iterable<Write>): Record<string, number | null> {
  return Object.fromEntries([...writes].map(({ key, value }) => [key, value === null ? null : new DataView(new Uint8Array(decodePage(value).numbers).buffer).getFloat64(0, true)]))
}

describe('a checkpoint', () => {
  it('writes each changed page once, in its partition of the state', () => {
    const { checkpoint, tables, set } = setUp(3)
    set(0, 1)
    set(1, 1)
    checkpoint.begin(tables)
    const writes = [...checkpoint.writes()]
    expect(writes.map(({ topic, partition, key }) => `${topic}/${partition} ${key}`)).toEqual(['state/3 series/0', 'state/3 series/1', 'state/3 series/2'])
    checkpoint.begin(tables)
    expect([...checkpoint.writes()]).toEqual([])
  })

  it('writes a page changed meanwhile as it stood at the cut', () => {
    const { checkpoint, tables, set } = setUp(3)
    for (const page of [0, 1, 2]) set(page * PAGE_ROWS, 1)
    checkpoint.begin(tables)
    const drawn = checkpoint.writes()[Symbol.iterator]()
    const written: Write[] = []
    for (let next = drawn.next(); !next.done; next = drawn.next()) {
      written.push(next.value)
      for (const page of [0, 1, 2]) set(page * PAGE_ROWS, 2)
    }
    expect(read(written)).toEqual({ 'series/0': 1, 'series/1': 1, 'series/2': 1 })
  })

  it('writes what changed before anything was drawn as it stood at the cut', () => {
    const { checkpoint, tables, set } = setUp(2)
    set(0, 1)
    set(PAGE_ROWS, 1)
    checkpoint.begin(tables)
    set(PAGE_ROWS, 2)
    expect(read(checkpoint.writes())).toEqual({ 'series/0': 1, 'series/1': 1 })
  })

  it('writes with the next one what changed meanwhile', () => {
    const { checkpoint, tables, set } = setUp(2)
    set(0, 1)
    checkpoint.begin(tables)
    set(0, 2)
    read(checkpoint.writes())
    checkpoint.begin(tables)
    expect(read(checkpoint.writes())).toEqual({ 'series/0': 2 })
  })

  it('copies a page once, and only if it was marked and not written yet', () => {
    const { checkpoint, tables, set } = setUp(3)
    checkpoint.begin(tables)
    read(checkpoint.writes())
    set(0, 1)
    set(PAGE_ROWS, 1)
    checkpoint.begin(tables)
    expect(checkpoint.copies).toBe(0)
    set(0, 2)
    set(1, 2)
    expect(checkpoint.copies).toBe(1)
    set(2 * PAGE_ROWS, 2)
    expect(checkpoint.copies).toBe(1)
    read(checkpoint.writes())
    expect(checkpoint.copies).toBe(0)
    set(PAGE_ROWS, 3)
    expect(checkpoint.copies).toBe(0)
  })

  it('writes a row allocated or freed meanwhile as it was', () => {
    const { checkpoint, tables, series } = setUp(1)
    series.free(1)
    checkpoint.begin(tables)
    series.free(0)
    series.allocate('new', '')
    const [write] = [...checkpoint.writes()]
    expect(decodePage(write!.value!).rows.map(({ name }) => name).slice(0, 2)).toEqual(['row 0', 'row 2'])
  })

  it('deletes a page that has no rows left', () => {
    const { checkpoint, tables, series } = setUp(2)
    for (let row = PAGE_ROWS; row < 2 * PAGE_ROWS; row++) series.free(row)
    checkpoint.begin(tables)
    expect(read(checkpoint.writes())).toEqual({ 'series/0': 0, 'series/1': null })
  })
})
