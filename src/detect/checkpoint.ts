/** A checkpoint of a partition's rows: the pages changed since the last one, as they stood at the cut, while scoring goes on. */
import { encodePage, PAGE_KINDS, type PageKind, pageKey } from '../log/page.ts'
import type { Write } from '../log/log.ts'
import type { Tables } from './state.ts'

export class Checkpoint {
  readonly #marked: Record<PageKind, Set<number>> = { series: new Set(), device: new Set(), class: new Set(), incident: new Set(), task: new Set() }
  readonly #copies: Write[] = []
  readonly #partition: number
  #tables: Tables | null = null
  #left = 0

  constructor(partition: number) {
    this.#partition = partition
  }

  /** Marked pages that changed before they were written, so that a copy of each is held. */
  get copies(): number {
    return this.#copies.length
  }

  /** Marks all changed pages: what `writes` gives is how they stand now. One at a time. */
  begin(tables: Tables): void {
    this.#tables = tables
    for (const kind of PAGE_KINDS) for (const page of tables[kind].takeDirty()) this.#marked[kind].add(page)
    this.#left = PAGE_KINDS.reduce((sum, kind) => sum + this.#marked[kind].size, 0)
  }

  /** Called before a page changes. */
  readonly beforeChange = (kind: PageKind, page: number): void => {
    if (this.#left === 0 || !this.#marked[kind].has(page)) return
    this.#copies.push(this.#take(kind, page))
  }

  /** The marked pages, drawn one by one; null values for pages left without rows. */
  *writes(): Iterable<Write> {
    for (const kind of PAGE_KINDS) {
      for (const page of this.#marked[kind]) {
        yield* this.#copies.splice(0)
        // May have been copied, and so unmarked, while the caller awaited.
        if (this.#marked[kind].has(page)) yield this.#take(kind, page)
      }
    }
    yield* this.#copies.splice(0)
  }

  #take(kind: PageKind, page: number): Write {
    this.#marked[kind].delete(page)
    this.#left--
    const content = this.#tables![kind].page(page)
    return { topic: 'state', partition: this.#partition, key: pageKey(kind, page), value: content.rows.length === 0 ? null : encodePage(content) }
  }
}
