/**
 * Bench: from a frame to the durable decision that follows it, on the embedded log, with small frames in the ledger's group and in the bulk
 * file, turn by turn in one run; and the disk's own fdatasync beside it. Works in a folder of its own, in that for temporary files or in the
 * one given, and removes it. How to run it stands in docs/journal.md.
 */
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openJournal } from '../src/log/journal/journal.ts'
import type { Journal } from '../src/log/journal/journal.ts'
import type { Owned } from '../src/log/log.ts'
import { delay, systemClock } from '../src/ops/clock.ts'
import { systemRandom } from '../src/ops/random.ts'

const folder = await mkdtemp(join(process.argv[2] ?? tmpdir(), 'picket-journal-bench-'))
const WINDOW_MS = 1_000
const WINDOWS = 8
/** 200 B a message. */
const MESSAGE_BYTES = 200

interface Load {
  readonly name: string
  readonly messagesPerSecond: number
  /** Between two frames. */
  readonly frameMs: number
  /** Frames that end in a decision: one in so many. */
  readonly oddOneIn: number
}

const LOADS: readonly Load[] = [
  { name: 'idle: a frame, then nothing for 20 ms', messagesPerSecond: 50, frameMs: 20, oddOneIn: 1 },
  { name: '5,000 messages/s, a frame each 1 ms', messagesPerSecond: 5_000, frameMs: 1, oddOneIn: 20 },
  { name: '20,000 messages/s, a frame each 1 ms', messagesPerSecond: 20_000, frameMs: 1, oddOneIn: 20 },
]

/** How a bulk record is placed that is flushed together with ledger records. */
interface Placement {
  readonly name: string
  readonly riderBytes: number
}

const PLACEMENTS: readonly Placement[] = [
  { name: 'rides in the ledger', riderBytes: 256 * 1024 },
  { name: 'bulk, then ledger', riderBytes: 0 },
]

interface Run {
  readonly placement: Placement
  readonly path: string
  readonly journal: Journal
  readonly frame: Owned
  readonly acked: number[]
  readonly decided: number[]
  kept: number
  /** Decisions that are to come. */
  asked: number
}

async function start(placement: Placement): Promise<Run> {
  const path = await mkdtemp(join(folder, 'journal-'))
  const journal = await openJournal({ path, partitions: 4, key: 'device', clock: systemClock, random: systemRandom, riderBytes: placement.riderBytes })
  const frame = await new Promise<Owned>((resolve) => {
    const lead = async (owned: Owned) => {
      await owned.restore(() => undefined)
      resolve(owned)
      await new Promise<void>((end) => owned.signal.addEventListener('abort', () => end(), { once: true }))
    }
    void journal.lead('respond', lead, new AbortController().signal)
  })
  const run: Run = { placement, path, journal, frame, acked: [], decided: [], kept: 0, asked: 0 }
  void journal.tail('readings', new Map(), (slice) => detect(run, slice.records), new AbortController().signal)
  void journal.tail('incidents', new Map(), (slice) => respond(run, slice.records), new AbortController().signal)
  return run
}

interface Timed {
  readonly key: string
  readonly value: Uint8Array | null
}

/** Stands for detect: a key tells when the frame came and that an incident follows. */
async function detect(run: Run, records: readonly Timed[]): Promise<void> {
  for (const { key } of records) if (key) await run.journal.append('incidents', 0, [{ key, value: Buffer.alloc(900, 1) }])
}

/** Stands for respond: the decision as one commit, after whose flush the command would leave. */
async function respond(run: Run, records: readonly Timed[]): Promise<void> {
  for (const { key } of records) {
    const writes = [
      { topic: 'actions', partition: 0, key: '', value: Buffer.alloc(500, 1) },
      { topic: 'leases', partition: 0, key: `lease/${key}`, value: Buffer.alloc(300, 1) },
      { topic: 'leases', partition: 0, key: `outbox/${key}`, value: Buffer.alloc(600, 1) },
    ] as const
    const cut = { next: new Map([['incidents/0', 0]]), incarnation: '' }
    void run.frame.commit(writes, cut).then(() => run.decided.push(performance.now() - Number(key)))
  }
}

async function window(run: Run, load: Load): Promise<void> {
  const bytes = Math.max(1, Math.round((load.messagesPerSecond * load.frameMs) / 1_000)) * MESSAGE_BYTES
  const end = performance.now() + WINDOW_MS
  for (let n = 0; performance.now() < end; n++) {
    const began = performance.now()
    const key = n % load.oddOneIn === 0 ? String(began) : ''
    if (key) run.asked++
    const { flushed } = await run.journal.append('readings', n % 4, [{ key, value: Buffer.alloc(bytes, n) }])
    run.kept += bytes
    void flushed.then(() => run.acked.push(performance.now() - began))
    await delay(systemClock, load.frameMs)
  }
  while (run.decided.length < run.asked) await delay(systemClock, 1)
}

/** What an append of 4 KiB and its fdatasync take at the load's pace, nothing else going on. */
async function syncs({ frameMs }: Load): Promise<number[]> {
  const path = join(folder, 'sync')
  const file = await open(path, 'w')
  const took: number[] = []
  const bytes = Buffer.alloc(4_096, 1)
  for (const end = performance.now() + WINDOW_MS / 2; performance.now() < end; ) {
    await file.write(bytes, 0, bytes.length, took.length * bytes.length)
    const began = performance.now()
    await file.datasync()
    took.push(performance.now() - began)
    await delay(systemClock, frameMs)
  }
  await file.close()
  await rm(path)
  return took
}

function quantiles(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (part: number) => (sorted[Math.floor((sorted.length - 1) * part)] ?? NaN).toFixed(2).padStart(6)
  return `p50 ${at(0.5)}  p99 ${at(0.99)} ms (${sorted.length})`
}

async function sizeOf(path: string): Promise<number> {
  const sizes = await Promise.all((await readdir(path)).map(async (name) => (await stat(join(path, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function measure(load: Load): Promise<void> {
  say(`\n${load.name}`)
  const took: number[] = []
  const runs = [await start(PLACEMENTS[0]!), await start(PLACEMENTS[1]!)]
  for (const run of runs) await window(run, load)
  for (const run of runs) run.acked.length = run.decided.length = run.asked = 0
  for (let n = 0; n < WINDOWS; n++) {
    took.push(...(await syncs(load)))
    for (const run of n % 2 ? runs.toReversed() : runs) await window(run, load)
  }
  say(`  fdatasync alone                 ${quantiles(took)}`)
  for (const run of runs) {
    const name = run.placement.name.padEnd(20)
    say(`  ${name} frame    ${quantiles(run.acked)}`)
    say(`  ${name} decision ${quantiles(run.decided)}`)
    say(`  ${name} ${((await sizeOf(run.path)) / run.kept).toFixed(2)} bytes on disk a byte of frame`)
    await run.journal.close()
  }
}

say(`in ${folder}, which is removed at the end`)
try {
  for (const load of LOADS) await measure(load)
} finally {
  await rm(folder, { recursive: true })
}
