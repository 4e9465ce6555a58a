/** The rows of one scope in one partition: fixed capacity, one stretch of memory, pages of 64 rows that know whether they changed. */
import { assert } from '../core/assert.ts'
import { PAGE_ROWS, type Page, type PageKind, type PageRow } from '../log/page.ts'
import type { RowPart, Rows } from './detector.ts'
import { type Layout, makeLayout, movesBetween } from './layout.ts'

/** Called before a page is changed for the first time since it was marked, so that a checkpoint under way keeps what stood there. */
export type BeforeChange = (kind: PageKind, page: number) => void

export class Table {
  readonly kind: PageKind
  /** Rows the config allows: no row at or past it is given out. */
  readonly capacity: number
  readonly layout: Layout
  readonly #float64: Float64Array
  readonly #float32: Float32Array
  readonly #bytes: Uint8Array
  readonly #names: (string | undefined)[] = []
  readonly #about: string[] = []
  readonly #rowOf = new Map<string, number>()
  readonly #dirty: Uint8Array
  readonly #beforeChange: BeforeChange
  #firstFree = 0
  #end = 0
  #dirtyPages = 0

  /** Rows of `parts`, zeros until allocated. `held`: rows that stored pages bring, be they more than the config now allows. */
  constructor(kind: PageKind, capacity: number, parts: readonly RowPart[], beforeChange: BeforeChange, held = 0) {
    this.kind = kind
    this.capacity = capacity
    this.layout = makeLayout(parts)
    const rows = Math.max(capacity, held)
    const buffer = new ArrayBuffer(rows * this.layout.stride)
    this.#float64 = new Float64Array(buffer)
    this.#float32 = new Float32Array(buffer)
    this.#bytes = new Uint8Array(buffer)
    this.#dirty = new Uint8Array(Math.ceil(rows / PAGE_ROWS))
    this.#beforeChange = beforeChange
  }

  /** Rows in use. */
  get size(): number {
    return this.#rowOf.size
  }

  /** One past the highest row in use. */
  get end(): number {
    return this.#end
  }

  /** Bytes of the rows in use. */
  get bytes(): number {
    return this.#rowOf.size * this.layout.stride
  }

  row(name: string): number | undefined {
    return this.#rowOf.get(name)
  }

  /** The row's name, or undefined when it is free. */
  name(row: number): string | undefined {
    return this.#names[row]
  }

  about(row: number): string {
    return this.#about[row] ?? ''
  }

  setAbout(row: number, about: string): void {
    this.touch(row)
    this.#about[row] = about
  }

  /** The lowest free row, so that which row a name gets depends on the rows in use alone; −1 when all are taken. */
  allocate(name: string, about: string): number {
    assert(!this.#rowOf.has(name), `row ${this.kind}/${name} is allocated once`)
    let row = this.#firstFree
    while (row < this.capacity && this.#names[row] !== undefined) row++
    this.#firstFree = row
    if (row >= this.capacity) return -1
    this.touch(row)
    this.#occupy(row, name, about)
    return row
  }

  #occupy(row: number, name: string, about: string): void {
    while (this.#names.length <= row) {
      this.#names.push(undefined)
      this.#about.push('')
    }
    this.#names[row] = name
    this.#about[row] = about
    this.#rowOf.set(name, row)
    this.#end = Math.max(this.#end, row + 1)
  }

  free(row: number): void {
    const name = this.#names[row]
    assert(name !== undefined, `row ${row} of ${this.kind} is in use`)
    this.touch(row)
    this.#rowOf.delete(name)
    this.#names[row] = undefined
    this.#about[row] = ''
    this.#bytes.fill(0, row * this.layout.stride, (row + 1) * this.layout.stride)
    this.#firstFree = Math.min(this.#firstFree, row)
    while (this.#end > 0 && this.#names[this.#end - 1] === undefined) this.#end--
  }

  /** To be called before any number or text of the row changes. */
  touch(row: number): void {
    const page = (row / PAGE_ROWS) | 0
    this.#beforeChange(this.kind, page)
    if (this.#dirty[page]) return
    this.#dirty[page] = 1
    this.#dirtyPages++
  }

  /** One part's view; undefined when the layout has no such part. */
  view(name: string): Rows | undefined {
    const place = this.layout.places.find(({ part }) => part.name === name)
    if (!place) return undefined
    const { stride } = this.layout
    return {
      float64: this.#float64,
      float32: this.#float32,
      stride64: stride / 8,
      stride32: stride / 4,
      at64: place.at64,
      at32: place.at32,
    }
  }

  /** Numbers of the pages changed since the last call. */
  takeDirty(): number[] {
    this.#dirtyPages = 0
    const pages: number[] = []
    for (let page = 0; page < this.#dirty.length; page++) {
      if (!this.#dirty[page]) continue
      this.#dirty[page] = 0
      pages.push(page)
    }
    return pages
  }

  /** Bytes a checkpoint would write now, about. */
  get dirtyBytes(): number {
    return this.#dirtyPages * PAGE_ROWS * this.layout.stride
  }

  /** Every page counts as changed: what stands in the log has another layout. */
  markAllChanged(): void {
    for (let page = 0; page < this.pages(); page++) this.touch(page * PAGE_ROWS)
  }

  /** Pages that hold rows. */
  pages(): number {
    return Math.ceil(this.#end / PAGE_ROWS)
  }

  /** A copy of the page as it stands. */
  page(number: number): Page {
    const first = number * PAGE_ROWS
    const rows: PageRow[] = []
    for (let slot = 0; slot < PAGE_ROWS; slot++) {
      const name = this.#names[first + slot]
      if (name !== undefined) rows.push({ slot, name, about: this.#about[first + slot]! })
    }
    const width = this.layout.parts.reduce((sum, part) => sum + 8 * part.float64 + 4 * part.float32, 0)
    const numbers = new Uint8Array(rows.length * width)
    rows.forEach(({ slot }, i) => {
      const at = (first + slot) * this.layout.stride
      numbers.set(this.#bytes.subarray(at, at + width), i * width)
    })
    return { kind: this.kind, number, parts: this.layout.parts, rows, numbers }
  }

  /** Puts a stored page's rows in place, by name and version of each part. */
  load(page: Page): void {
    const moves = movesBetween(page.parts, this.layout)
    const width = page.rows.length === 0 ? 0 : page.numbers.length / page.rows.length
    const bytes = new Uint8Array(page.numbers) // aligned copy
    const view = new DataView(bytes.buffer)
    page.rows.forEach(({ slot, name, about }, i) => {
      const row = page.number * PAGE_ROWS + slot
      assert(row < this.#dirty.length * PAGE_ROWS, `row ${row} of ${this.kind} has a place`)
      this.#occupy(row, name, about)
      const from = i * width
      const to64 = row * (this.layout.stride / 8)
      const to32 = row * (this.layout.stride / 4)
      for (const move of moves) {
        for (let k = 0; k < move.width64; k++) this.#float64[to64 + move.to64 + k] = view.getFloat64(from + 8 * (move.from64 + k), true)
        for (let k = 0; k < move.width32; k++) this.#float32[to32 + move.to32 + k] = view.getFloat32(from + 4 * (move.from32 + k), true)
      }
    })
  }
}
