/** The ledger's chain: what was done to it shows. */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { appendLine, EMPTY_LEDGER } from '../../src/respond/ledger.ts'
import type { LedgerHead, LineFields } from '../../src/respond/ledger.ts'
import { verifyChain } from './chain.ts'
import { START } from './fleet.ts'

function chain(length: number): { lines: string[]; head: LedgerHead } {
  let head = EMPTY_LEDGER
  const lines: string[] = []
  for (let i = 0; i < length; i++) {
    const fields: LineFields = { at: START + i, kind: 'decision', device: `pump-${i}`, incident: '', action: 'quarantine', reason: 'why' }
    const appended = appendLine(head, fields)
    lines.push(appended.line)
    head = appended.head
  }
  return { lines, head }
}

describe('the ledger', () => {
  it('numbers lines from 1 and chains each to the one before', () => {
    const [first, second] = chain(2).lines.map((line) => JSON.parse(line))
    expect(first).toMatchObject({ seq: 1, prev: '0'.repeat(64) })
    expect(second).toMatchObject({ seq: 2, prev: first.hash })
  })

  it('seals a line with SHA-256 over its canonical text without the hash', () => {
    const { hash, ...rest } = JSON.parse(chain(1).lines[0]!) as Record<string, unknown>
    const text = JSON.stringify(Object.fromEntries(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1))))
    expect(hash).toBe(createHash('sha256').update(text).digest('hex'))
  })

  it('is sound as it was written', () => {
    const { lines, head } = chain(5)
    expect(verifyChain(lines, { to: head })).toEqual({ sound: true, head })
  })

  it('shows an edited line', () => {
    const { lines } = chain(5)
    lines[2] = lines[2]!.replace('pump-2', 'pump-9')
    expect(verifyChain(lines)).toEqual({ sound: false, index: 2, problem: 'edited' })
  })

  it('shows a line edited and sealed again, at the next one', () => {
    const { lines } = chain(5)
    const before = JSON.parse(lines[1]!) as { seq: number; hash: string }
    const { seq: _seq, prev: _prev, hash: _hash, ...fields } = JSON.parse(lines[2]!)
    lines[2] = appendLine(before, { ...fields, reason: 'another' }).line
    expect(verifyChain(lines)).toEqual({ sound: false, index: 3, problem: 'edited' })
  })

  it('shows a deleted line', () => {
    const { lines } = chain(5)
    lines.splice(2, 1)
    expect(verifyChain(lines)).toEqual({ sound: false, index: 2, problem: 'missing' })
  })

  it('shows lines in another order', () => {
    const { lines } = chain(5)
    lines.push(lines.splice(1, 1)[0]!)
    expect(verifyChain(lines)).toMatchObject({ sound: false, index: 1 })
    expect(verifyChain([lines[0]!, lines[0]!])).toEqual({ sound: false, index: 1, problem: 'out of order' })
  })

  it('shows a missing end against the head it should have', () => {
    const { lines, head } = chain(5)
    expect(verifyChain(lines.slice(0, 4), { to: head })).toEqual({ sound: false, index: 4, problem: 'cut off' })
  })

  it('can be verified from a head in the middle', () => {
    const { lines, head } = chain(5)
    const middle = verifyChain(lines.slice(0, 2))
    expect(middle.sound && verifyChain(lines.slice(2), { from: middle.head, to: head })).toEqual({ sound: true, head })
  })

  it('shows what is no line', () => {
    expect(verifyChain(['nonsense'])).toEqual({ sound: false, index: 0, problem: 'unreadable' })
    expect(verifyChain(['null'])).toEqual({ sound: false, index: 0, problem: 'unreadable' })
  })
})
