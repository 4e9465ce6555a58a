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

export type ChainProblem = 'unreadable' | 'edited' | 'missing' | 'out of order'

/** Walks the chain line by line: `picket audit verify` and the tests. Holds one head, whatever the length of the ledger. */
export class ChainWalk {
  /** The newest sound line's place. */
  head: LedgerHead

  /** `from`: the head before the first line to come; that of an empty ledger when all of it is walked. */
  constructor(from: LedgerHead = EMPTY_LEDGER) {
    this.head = from
  }

  /** What is wrong with the next line; null: it continues the chain. After a problem the walk is over. */
  step(text: string): ChainProblem | null {
    const line = parseLine(text)
    if (!line) return 'unreadable'
    const { hash, ...body } = line
    if (hashOf(body) !== hash) return 'edited'
    if (line.seq !== this.head.seq + 1) return line.seq > this.head.seq ? 'missing' : 'out of order'
    if (line.prev !== this.head.hash) return 'edited'
    this.head = { seq: line.seq, hash }
    return null
  }
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
