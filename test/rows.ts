/** What stands in a state topic, row by row: to compare two runs that should have come to the same. */
import type { StoredRecord } from '../src/log/log.ts'
import { decodePage, rowBytes } from '../src/log/page.ts'

/** `kind/name` → what the row says and holds, as text. Later records of a key stand for earlier ones; the header is left out. */
export function rowsOf(records: readonly Pick<StoredRecord, 'key' | 'value'>[]): Map<string, string> {
  const live = new Map<string, Uint8Array>()
  for (const { key, value } of records) {
    if (value === null) live.delete(key)
    else if (!key.startsWith('header')) live.set(key, value)
  }
  const rows = new Map<string, string>()
  for (const value of live.values()) {
    const page = decodePage(value)
    const width = rowBytes(page.parts)
    const parts = page.parts.map(({ name, version }) => `${name}@${version}`).join(' ')
    page.rows.forEach(({ name, about }, i) => {
      const numbers = Buffer.from(page.numbers.subarray(i * width, (i + 1) * width)).toString('hex')
      rows.set(`${page.kind}/${name}`, `${about} | ${parts} | ${numbers}`)
    })
  }
  return rows
}

/** Names of the rows that differ, each with how; empty when the two are equal. */
export function differences(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string[] {
  const names = [...new Set([...a.keys(), ...b.keys()])].sort()
  return names.flatMap((name) => {
    const [left, right] = [a.get(name), b.get(name)]
    if (left === right) return []
    return `${name}: ${left === undefined ? 'only in the second' : right === undefined ? 'only in the first' : firstDifference(left, right)}`
  })
}

function firstDifference(left: string, right: string): string {
  let at = 0
  while (left[at] === right[at]) at++
  const around = (text: string) => text.slice(Math.max(0, at - 40), at + 40)
  return `at ${at}: …${around(left)}… is not …${around(right)}…`
}
