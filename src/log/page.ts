/** The page: up to 64 rows of one kind as one record of the state topic, describing its own layout; detect writes and restores it. */
import { PipelineError } from '../core/errors.ts'
import { loadSchema } from './schema.ts'

/** Rows a page. */
export const PAGE_ROWS = 64

export const PAGE_KINDS = ['series', 'device', 'class', 'incident', 'task'] as const
export type PageKind = (typeof PAGE_KINDS)[number]

/** What one detector keeps in a row: `float64` numbers and `float32` numbers. In a row all float64 come first, part after part, then all float32. */
export interface PagePart {
  readonly name: string
  readonly version: number
  readonly float64: number
  readonly float32: number
}

export interface PageRow {
  /** 0 to 63. */
  readonly slot: number
  readonly name: string
  /** JSON, or ''. */
  readonly about: string
}

export interface Page {
  readonly kind: PageKind
  readonly number: number
  readonly parts: readonly PagePart[]
  readonly rows: readonly PageRow[]
  /** Row after row, little-endian. */
  readonly numbers: Uint8Array
}

const schema = loadSchema<Page>('page.avsc')

export function pageKey(kind: PageKind, number: number): string {
  return `${kind}/${number}`
}

export function encodePage(page: Page): Buffer {
  return schema.encode({ ...page, numbers: Buffer.from(page.numbers.buffer, page.numbers.byteOffset, page.numbers.byteLength) })
}

/** Throws BAD_RECORD, also when the numbers are not as many as the rows and parts say. */
export function decodePage(bytes: Uint8Array): Page {
  const page = schema.decode(bytes)
  const width = rowBytes(page.parts)
  if (page.number < 0 || page.parts.some((part) => part.float64 < 0 || part.float32 < 0))
    throw new PipelineError('BAD_RECORD', `damaged page ${pageKey(page.kind, page.number)}: a negative number or width`)
  if (page.numbers.length !== width * page.rows.length)
    throw new PipelineError('BAD_RECORD', `damaged page ${pageKey(page.kind, page.number)}: ${page.numbers.length} bytes for ${page.rows.length} rows of ${width}`)
  for (const row of page.rows)
    if (!(row.slot >= 0 && row.slot < PAGE_ROWS)) throw new PipelineError('BAD_RECORD', `damaged page ${pageKey(page.kind, page.number)}: slot ${row.slot}`)
  return page
}

/** Bytes of one row of these parts, unpadded. */
export function rowBytes(parts: readonly PagePart[]): number {
  return parts.reduce((sum, part) => sum + 8 * part.float64 + 4 * part.float32, 0)
}
