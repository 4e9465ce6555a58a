/** `picket audit verify`: walks the ledger's chain from its first line and says whether anything was edited, deleted or put in another order. */
import { InvalidArgumentError } from 'commander'
import type { Command } from 'commander'
import { ChainWalk, EMPTY_LEDGER, parseLine } from '../respond/ledger.ts'
import type { ChainProblem, LedgerHead } from '../respond/ledger.ts'
import { Failure } from './io.ts'
import type { CliIo } from './io.ts'
import type { LogReader } from './log-reader.ts'
import { collect, readConfigForLog, withConfig } from './options.ts'
import type { ConfigOptions } from './options.ts'

interface Options extends ConfigOptions {
  readonly expect: readonly string[]
  readonly json?: boolean
}

/** Records read at a time. */
const RECORDS = 1024

const MEANING: Readonly<Record<ChainProblem, string>> = {
  unreadable: 'is no line of a ledger',
  edited: 'does not have the hash it is sealed with, or not that of the line before it: it or the line before was edited',
  missing: 'follows a line that is not there: lines were deleted',
  'out of order': 'stands out of order, or twice',
}

export function addAudit(program: Command, io: CliIo): void {
  const audit = program.command('audit').description('prove what was done')
  withConfig(audit.command('verify'))
    .description('walk the hash chain of the ledger (topic actions); works beside a running Picket. Exit code 1: it is not whole')
    .option('--expect <seq:hash>', 'a head noted elsewhere that must be on the chain: alone proves that no one wrote it all anew; repeatable', anchors, [])
    .option('--json', 'one JSON object')
    .action(async (options: Options) => {
      const reader = await io.openLog(readConfigForLog(options))
      try {
        await verify(io, reader, options)
      } finally {
        await reader.close()
      }
    })
}

async function verify(io: CliIo, reader: LogReader, options: Options): Promise<void> {
  // Read before the walk: the chain may grow meanwhile, its end may not lie before this.
  const kept = await keptHead(reader)
  const due = new Map([kept, ...options.expect.map(headOf)].map((head) => [head.seq, head.hash]))
  const conflict = options.expect.map(headOf).find(({ seq, hash }) => due.get(seq) !== hash)
  if (conflict) throw broken(io, options, conflict.seq, `two different heads are expected at line ${conflict.seq}`)
  due.delete(0)
  const walk = new ChainWalk()
  const oldest = (await reader.bounds('actions', 0)).low
  if (oldest > 0) throw broken(io, options, 1, `the oldest ${oldest} records of the ledger are not there`)
  for await (const { text, offset } of linesOf(reader)) {
    const problem = walk.step(text)
    if (problem) throw broken(io, options, walk.head.seq + 1, `actions/0, offset ${offset}: ${named(text)} ${MEANING[problem]}${damage(reader)}`)
    const hash = due.get(walk.head.seq)
    if (hash !== undefined && hash !== walk.head.hash) throw broken(io, options, walk.head.seq, `line ${walk.head.seq} has hash ${walk.head.hash}, expected is ${hash}: the ledger was written anew`)
    due.delete(walk.head.seq)
  }
  const [ahead] = [...due.keys()].sort((a, b) => a - b)
  if (ahead !== undefined) throw broken(io, options, walk.head.seq + 1, `it ends at line ${walk.head.seq}, but line ${ahead} was written: the newest lines were taken away${damage(reader)}`)
  const { seq, hash } = walk.head
  if (options.json) return io.stdout.write(`${JSON.stringify({ sound: true, lines: seq, head: hash })}\n`)
  if (seq === 0) return io.stdout.write('the ledger is empty: nothing was decided yet\n')
  io.stdout.write(`the ledger is whole: ${seq} lines, each sealed by the one before\n`)
  io.stdout.write(`its head is ${seq}:${hash}\nnote it elsewhere: --expect ${seq}:${hash} then proves that none of these lines was changed since\n`)
}

function broken(io: CliIo, options: Options, line: number, why: string): Failure {
  if (options.json) io.stdout.write(`${JSON.stringify({ sound: false, line, problem: why })}\n`)
  return new Failure(`the ledger is NOT whole: ${why}; keep a copy of the log before anything else is done with it`)
}

function damage(reader: LogReader): string {
  const places = reader.damaged.filter(({ what }) => what !== 'torn')
  return places.length === 0 ? '' : ` (${places.length} damaged places in the log, the first in ${places[0]!.file} at byte ${places[0]!.at})`
}

function named(text: string): string {
  const line = parseLine(text)
  return line ? `line ${line.seq} (${line.kind} ${line.action}${line.device === '' ? '' : ` of ${line.device}`})` : 'the record'
}

async function* linesOf(reader: LogReader): AsyncIterable<{ text: string; offset: number }> {
  for (let from = 0; ; ) {
    const slice = await reader.read('actions', 0, from, RECORDS)
    if (!slice) return
    for (const { value, offset } of slice.records) yield { text: value === null ? '' : Buffer.from(value).toString('utf8'), offset }
    from = slice.next
  }
}

/** Where respond's own state says the ledger ends. */
async function keptHead(reader: LogReader): Promise<LedgerHead> {
  let head: LedgerHead = EMPTY_LEDGER
  for (let from = (await reader.bounds('leases', 0)).low; ; ) {
    const slice = await reader.read('leases', 0, from, RECORDS)
    if (!slice) return head
    for (const { key, value } of slice.records) {
      if (key !== 'ledger' || value === null) continue
      head = headRow(Buffer.from(value).toString('utf8')) ?? head
    }
    from = slice.next
  }
}

/** Null for what is no head: the walk then has less to hold the ledger against, and still finds what was done inside it. */
function headRow(text: string): LedgerHead | null {
  const match = /"hash":"([0-9a-f]{64})"/.exec(text)
  const seq = /"seq":(\d{1,15})\b/.exec(text)
  return match && seq ? { seq: Number(seq[1]), hash: match[1]! } : null
}

function anchors(value: string, before: readonly string[]): readonly string[] {
  if (!/^\d{1,15}:[0-9a-f]{64}$/.test(value)) throw new InvalidArgumentError('Expected SEQ:HASH, as audit verify prints it.')
  return collect(value, before)
}

function headOf(text: string): LedgerHead {
  const [seq, hash] = text.split(':') as [string, string]
  return { seq: Number(seq), hash }
}
