/** CSV text as it comes in, cut into rows and cells: the first step of `replay`. Keeps one row at a time. */
import { PipelineError } from '../core/errors.ts'

/** Longest row in characters; more means an unclosed quote, or no CSV. */
export const MAX_ROW = 1024 * 1024

export interface CsvRow {
  /** Of its first character in the file, from 1. */
  readonly line: number
  /** Not empty; without its line end. */
  readonly text: string
}

export type Delimiter = ',' | ';'

/** Whichever of the two stands more often outside quotes in the header. */
export function detectDelimiter(header: string): Delimiter {
  const bare = header.replace(/"(?:[^"]|"")*"/g, '')
  return bare.split(';').length > bare.split(',').length ? ';' : ','
}

/**
 * Rows of RFC 4180 text, however it was cut into chunks; LF or CRLF, a leading byte order mark, empty lines skipped.
 * Throws REFUSED, naming the line, for a quote that is never closed or a row longer than `MAX_ROW`.
 */
export async function* csvRows(chunks: AsyncIterable<string>): AsyncGenerator<CsvRow> {
  let rest = ''
  let line = 1
  // Where the search for the row's end goes on, and whether inside quotes there.
  let scan = { at: 0, quoted: false }
  for await (const chunk of withFinalNewline(chunks)) {
    rest += chunk
    for (;;) {
      const end = endOfRow(rest, scan)
      if (!end.found) {
        scan = end
        break
      }
      const text = rest.slice(0, end.at).replace(/\r$/, '')
      rest = rest.slice(end.at + 1)
      scan = { at: 0, quoted: false }
      if (text !== '') yield { line, text }
      line += text.split('\n').length
    }
    if (rest.length > MAX_ROW) throw new PipelineError('REFUSED', `line ${line}: a row of more than ${MAX_ROW} characters; is a quote left open?`)
  }
  if (rest !== '') throw new PipelineError('REFUSED', `line ${line}: a quote is opened and never closed`)
}

async function* withFinalNewline(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let last = '\n'
  let first = true
  for await (const chunk of chunks) {
    if (chunk === '') continue
    yield first ? chunk.replace(/^\ufeff/, '') : chunk
    first = false
    last = chunk.slice(-1)
  }
  if (last !== '\n') yield '\n'
}

interface Scan {
  readonly at: number
  readonly quoted: boolean
}

/** The row's closing newline, or where to go on once there is more text. */
function endOfRow(text: string, from: Scan): Scan & { readonly found: boolean } {
  let quoted = from.quoted
  for (let i = from.at; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 34) quoted = !quoted
    else if (code === 10 && !quoted) return { at: i, quoted: false, found: true }
  }
  return { at: text.length, quoted, found: false }
}

/** The cells of one row, quotes taken off. Throws REFUSED. */
export function splitRow(text: string, delimiter: Delimiter): string[] {
  if (!text.includes('"')) return text.split(delimiter)
  const cells: string[] = []
  let at = 0
  for (;;) {
    const cell = text[at] === '"' ? quotedCell(text, at) : bareCell(text, at, delimiter)
    cells.push(cell.text)
    if (cell.end === text.length) return cells
    if (text[cell.end] !== delimiter) throw new PipelineError('REFUSED', `text after the closing quote of cell ${cells.length}`)
    at = cell.end + 1
  }
}

interface Cell {
  readonly text: string
  readonly end: number
}

function bareCell(text: string, at: number, delimiter: Delimiter): Cell {
  const found = text.indexOf(delimiter, at)
  const end = found < 0 ? text.length : found
  const cell = text.slice(at, end)
  if (cell.includes('"')) throw new PipelineError('REFUSED', 'a quote inside a cell that is not quoted')
  return { text: cell, end }
}

function quotedCell(text: string, at: number): Cell {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] !== '"') continue
    if (text[i + 1] === '"') i++
    else return { text: text.slice(at + 1, i).replaceAll('""', '"'), end: i + 1 }
  }
  throw new PipelineError('REFUSED', 'a quote that is never closed')
}
