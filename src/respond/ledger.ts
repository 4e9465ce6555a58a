/** The ledger: every decision, effect and outcome as a line of the `actions` topic, each sealed by the hash of the one before. Pure. */
import { createHash } from 'node:crypto'
import { canonicalJson } from '../log/control.ts'

export interface LineFields {
  /** ms since epoch. */
  readonly at: number
  readonly kind: 'decision' | 'effect' | 'outcome' | 'note'
  /** '' where it is about no one device. */
  readonly device: string
  /** '' where there is none. */
  readonly incident: string
  readonly action: string
  readonly reason: string
  /** Id under which the effect is known outside. */
  readonly command?: string
  readonly outcome?: string
}

export interface Line extends LineFields {
  /** From 1, without gaps. */
  readonly seq: number
  /** Hash of the line before; 64 zeros for the first. */
  readonly prev: string
  /** SHA-256, hex, over the canonical JSON of the line without it. */
  readonly hash: string
}

/** The newest line's place: the row `ledger` of respond's state. */
export interface LedgerHead {
  readonly seq: number
  readonly hash: string
}

export const EMPTY_LEDGER: LedgerHead = { seq: 0, hash: '0'.repeat(64) }

/** The line as it goes into the log, and the head after it. */
export function appendLine(head: LedgerHead, fields: LineFields): { readonly line: string; readonly head: LedgerHead } {
  const body = { ...fields, seq: head.seq + 1, prev: head.hash }
  const hash = hashOf(body)
  return { line: canonicalJson({ ...body, hash }), head: { seq: body.seq, hash } }
}

export type ChainProblem = 'unreadable' | 'edited' | 'missing' | 'out of order' | 'cut off'

export type ChainVerdict =
  | { readonly sound: true; readonly head: LedgerHead }
  /** `index`: of the first bad line, from 0; the number of lines when the end is missing. */
  | { readonly sound: false; readonly index: number; readonly problem: ChainProblem }

/**
 * Whether the lines are a whole chain. `from`: the head before the first of them, by default that of an empty ledger;
 * `to`: the head they must end at, which alone shows that the newest lines were taken away.
 */
export function verifyChain(lines: Iterable<string>, ends: { readonly from?: LedgerHead; readonly to?: LedgerHead } = {}): ChainVerdict {
  let head = ends.from ?? EMPTY_LEDGER
  let index = 0
  for (const text of lines) {
    const line = parseLine(text)
    if (!line) return { sound: false, index, problem: 'unreadable' }
    const { hash, ...body } = line
    if (hashOf(body) !== hash) return { sound: false, index, problem: 'edited' }
    if (line.seq !== head.seq + 1) return { sound: false, index, problem: line.seq > head.seq ? 'missing' : 'out of order' }
    if (line.prev !== head.hash) return { sound: false, index, problem: 'edited' }
    head = { seq: line.seq, hash }
    index++
  }
  if (ends.to && (ends.to.seq !== head.seq || ends.to.hash !== head.hash)) return { sound: false, index, problem: 'cut off' }
  return { sound: true, head }
}

/** Null for what is no line. */
export function parseLine(text: string): Line | null {
  try {
    const line = JSON.parse(text) as Partial<Line> | null
    return typeof line?.seq === 'number' && typeof line.hash === 'string' && typeof line.prev === 'string' ? (line as Line) : null
  } catch {
    return null // told to the caller as a line that can't be read: the verdict is the handling
  }
}

function hashOf(body: Omit<Line, 'hash'>): string {
  return createHash('sha256').update(canonicalJson(body)).digest('hex')
}
