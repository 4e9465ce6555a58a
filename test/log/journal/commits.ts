/** Commits that tell of themselves: what the tests of compaction write, and how they know which commit a state is of. */
import { expect } from 'vitest'
import type { Write } from '../../../src/log/log.ts'
import type { Disk } from './disk.ts'
import { put, rest } from './rig.ts'
import type { Owner } from './rig.ts'

export const cut = (next: number) => ({ next: new Map([['readings/0', next]]), incarnation: 'i' })
/** Written once, at the first commit, and never again. */
export const COLD = 3
const HOT = 3

/** State `n`: cold pages as commit 1 wrote them, hot ones of commit `n`, one that comes with every even commit and goes with every odd. */
export function writesOf(n: number): Write[] {
  const cold = n === 1 ? Array.from({ length: COLD }, (_, page) => put('state', 0, `cold/${page}`, `cold ${page}`)) : []
  const hot = Array.from({ length: HOT }, (_, page) => put('state', 0, `hot/${page}`, `${n} ${'x'.repeat(100)}`))
  return [...cold, ...hot, put('state', 0, 'even', n % 2 === 0 ? `${n}` : null), put('incidents', 0, '', `incident ${n}`)]
}

export function expectState({ rows, restored }: Pick<Owner, 'rows' | 'restored'>, about = ''): number {
  const at = restored.next.get('readings/0') ?? 0
  const wanted = at === 0 ? [] : [
    ...Array.from({ length: COLD }, (_, page) => [`cold/${page}`, `cold ${page}`]),
    ...(at % 2 === 0 ? [['even', `${at}`]] : []),
    ...Array.from({ length: HOT }, (_, page) => [`hot/${page}`, `${at} ${'x'.repeat(100)}`]),
  ]
  expect([...rows].toSorted(), about).toEqual(wanted)
  return at
}

export async function commits(owner: Owner, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) {
    await owner.owned.commit(writesOf(n), cut(n))
    await rest()
  }
}

export const ledgers = (disk: Disk) => disk.names().filter((name) => name.startsWith('ledger'))
export const incidentsTo = (n: number) => Array.from({ length: n }, (_, i) => `incident ${i + 1}`)
