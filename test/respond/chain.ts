/** The verdict on a whole ledger, out of the product's walk over it. */
import { ChainWalk } from '../../src/respond/ledger.ts'
import type { ChainProblem, LedgerHead } from '../../src/respond/ledger.ts'

export type ChainVerdict =
  | { readonly sound: true; readonly head: LedgerHead }
  /** `index`: of the first bad line, from 0; the number of lines when the end is missing. */
  | { readonly sound: false; readonly index: number; readonly problem: ChainProblem | 'cut off' }

/** `from`: the head before the first line; `to`: the head they must end at. */
export function verifyChain(lines: readonly string[], ends: { readonly from?: LedgerHead; readonly to?: LedgerHead } = {}): ChainVerdict {
  const walk = new ChainWalk(ends.from)
  for (const [index, text] of lines.entries()) {
    const problem = walk.step(text)
    if (problem !== null) return { sound: false, index, problem }
  }
  const { head } = walk
  if (ends.to && (ends.to.seq !== head.seq || ends.to.hash !== head.hash)) return { sound: false, index: lines.length, problem: 'cut off' }
  return { sound: true, head }
}
