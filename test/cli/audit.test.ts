/** `picket audit verify`: what was done to the ledger shows, and what was not is called whole. */
import { describe, expect, test } from 'vitest'
import type { LogReader } from '../../src/cli/log-reader.ts'
import type { LogRecord } from '../../src/log/log.ts'
import { appendLine, EMPTY_LEDGER } from '../../src/respond/ledger.ts'
import type { LedgerHead } from '../../src/respond/ledger.ts'
import { aConfig, makeLab, readerOf } from './lab.ts'

function ledger(length: number, word = 'why'): { lines: string[]; heads: LedgerHead[] } {
  const lines: string[] = []
  const heads = [EMPTY_LEDGER]
  for (let i = 0; i < length; i++) {
    const { line, head } = appendLine(heads.at(-1)!, { at: i, kind: 'decision', device: `pump-${i + 1}`, incident: '', action: 'quarantine', reason: word })
    lines.push(line)
    heads.push(head)
  }
  return { lines, heads }
}

const record = (key: string, text: string): LogRecord => ({ key, value: Buffer.from(text) })

function audit(lines: readonly string[], kept: LedgerHead | null, low = 0) {
  const actions = readerOf('actions', [lines.map((line) => record('x', line))], low)
  const leases = readerOf('leases', [kept ? [record('lease/pump-1', '{}'), record('ledger', JSON.stringify(kept))] : []])
  const reader: LogReader = {
    ...actions,
    bounds: (topic, partition) => (topic === 'leases' ? leases : actions).bounds(topic, partition),
    read: (topic, ...rest) => (topic === 'leases' ? leases : actions).read(topic, ...rest),
  }
  const lab = makeLab({ reader })
  return (...more: string[]) => lab.run('audit', 'verify', '--config', aConfig(), ...more)
}

describe('audit verify', () => {
  test('calls an untouched ledger whole and names its head', async () => {
    const { lines, heads } = ledger(3)
    const { code, stdout } = await audit(lines, heads[3]!)()
    expect(code).toBe(0)
    expect(stdout).toContain('whole: 3 lines')
    expect(stdout).toContain(`3:${heads[3]!.hash}`)
  })

  test('says so when nothing was decided yet', async () => {
    expect((await audit([], null)()).stdout).toContain('empty')
  })

  test('walks past what its state says while the chain grows beside it', async () => {
    const { lines, heads } = ledger(3)
    expect((await audit(lines, heads[2]!)()).code).toBe(0)
  })

  test('finds an edit, and names the line', async () => {
    const { lines, heads } = ledger(4)
    lines[1] = lines[1]!.replace('pump-2', 'pump-9')
    const { code, stderr } = await audit(lines, heads[4]!)()
    expect(code).toBe(1)
    expect(stderr).toContain('NOT whole')
    expect(stderr).toContain('line 2 (decision quarantine of pump-9)')
  })

  test('finds a deletion', async () => {
    const { lines, heads } = ledger(4)
    lines.splice(1, 1)
    expect((await audit(lines, heads[4]!)()).stderr).toContain('lines were deleted')
  })

  test('finds lines in another order', async () => {
    const { lines, heads } = ledger(4)
    lines.push(lines.splice(3, 1)[0]!, lines[1]!)
    expect((await audit(lines, heads[4]!)()).stderr).toContain('out of order')
  })

  test('finds that the newest lines were taken away', async () => {
    const { lines, heads } = ledger(4)
    expect((await audit(lines.slice(0, 2), heads[4]!)()).stderr).toContain('ends at line 2, but line 4 was written')
  })

  test('finds that the oldest were', async () => {
    const { lines, heads } = ledger(4)
    expect((await audit(lines, heads[4]!, 1)()).stderr).toContain('the oldest 1 records')
  })

  test('finds by a head noted elsewhere that all of it was written anew', async () => {
    const { heads } = ledger(4)
    const forged = ledger(4, 'another')
    const { code, stderr } = await audit(forged.lines, forged.heads[4]!)('--expect', `2:${heads[2]!.hash}`)
    expect(code).toBe(1)
    expect(stderr).toContain('written anew')
  })

  test('a head noted elsewhere that lies on the chain is no problem', async () => {
    const { lines, heads } = ledger(4)
    expect((await audit(lines, heads[4]!)('--expect', `2:${heads[2]!.hash}`)).code).toBe(0)
  })

  test('prints one JSON object for programs, sound or not', async () => {
    const { lines, heads } = ledger(2)
    expect((await audit(lines, heads[2]!)('--json')).json).toEqual([{ sound: true, lines: 2, head: heads[2]!.hash }])
    const bad = await audit(['rubbish'], null)('--json')
    expect(bad.json).toMatchObject([{ sound: false, line: 1 }])
    expect(bad.code).toBe(1)
  })

  test('refuses what is no head', async () => {
    expect((await audit([], null)('--expect', 'abc')).code).toBe(2)
  })
})
