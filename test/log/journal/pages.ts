/** What the killed process commits: pages that all bear the number of their commit, every third time so many that they span several files. */
import type { Write } from '../../../src/log/log.ts'

export const SMALL_FILES = { segmentBytes: { bulk: 64 * 1024, ledger: 64 * 1024 }, chunkBytes: 16 * 1024 }
const FEW = 3
const MANY = 200
const PAGE_BYTES = 1_000

/** The first few pages always, the rest when `n` is a multiple of three. */
export function pagesOf(n: number): Write[] {
  const count = n % 3 === 0 ? MANY : FEW
  return Array.from({ length: count }, (_, page) => ({ topic: 'state', partition: 0, key: `series/${page}`, value: Buffer.from(`${n} `.padEnd(PAGE_BYTES, 'x')) }))
}

/** Whether these rows are those after commit `n`. */
export function areOf(rows: ReadonlyMap<string, string>, n: number): boolean {
  const whole = n - (n % 3)
  return [...rows].every(([key, value]) => Number(value.split(' ')[0]) === (Number(key.slice(7)) < FEW ? n : whole)) && rows.size === (whole > 0 ? MANY : n > 0 ? FEW : 0)
}
