/** How verbs that list something print it: a table for people, a JSON object a line for scripts. */
import type { CliIo } from './io.ts'
import { table } from './table.ts'

export interface Listing<T> {
  readonly json: boolean
  readonly header: readonly string[]
  readonly row: (one: T) => readonly string[]
  /** Said to people instead of an empty table. */
  readonly none: string
}

/** Rows a table lines up at a time, so that a long list is not held whole. */
const TABLE_ROWS = 1000

export async function printRows<T>(io: Pick<CliIo, 'stdout'>, rows: AsyncIterable<T> | Iterable<T>, listing: Listing<T>): Promise<void> {
  let waiting: T[] = []
  let printed = 0
  const print = () => {
    if (waiting.length === 0) return
    io.stdout.write(listing.json ? waiting.map((one) => `${JSON.stringify(one)}\n`).join('') : table(listing.header, waiting.map(listing.row)))
    printed += waiting.length
    waiting = []
  }
  for await (const row of rows) {
    waiting.push(row)
    if (waiting.length === TABLE_ROWS) print()
  }
  print()
  if (printed === 0 && !listing.json) io.stdout.write(`${listing.none}\n`)
}
