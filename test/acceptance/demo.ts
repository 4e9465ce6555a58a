/**
 * Acceptance of the demonstration: `picket demo --check` of the built service as a process of its own, for fixed seeds, or with `--fresh N` for seeds nobody
 * has seen. A line a seed; of a bad one what was wrong and how to see it again.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** Arguments: seeds, or `--fresh N`. Without any, these. */
const SEEDS = [8, 17]
/** At a time: a demonstration takes a fifth of a core. */
const AT_ONCE = 2
const LIMIT_MS = 90_000

interface Outcome {
  readonly seed: number
  readonly seconds: number
  readonly code: number | null
  readonly lines: readonly string[]
  readonly errors: string
}

interface Verdict {
  readonly kind: string
  readonly faults: readonly { readonly device: string; readonly kind: string; readonly after: number | null; readonly cause: string | null }[]
  readonly healthyQuarantined: readonly string[]
  readonly wholeQuarantines: readonly string[]
  readonly falseIncidents: number
}

async function run(seed: number): Promise<Outcome> {
  const began = performance.now()
  const child: ChildProcess = spawn(process.execPath, ['dist/main.js', 'demo', '--check', '--json', '--seed', String(seed)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  let errors = ''
  child.stdout!.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr!.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { seed, seconds: (performance.now() - began) / 1000, code, lines: text.trimEnd().split('\n'), errors }
}

/** Prints the outcome; whether it was as it should be. */
function report({ seed, seconds, code, lines, errors }: Outcome): boolean {
  const took = `${seconds.toFixed(0)} s`
  const verdict = lines.map((line) => (line.startsWith('{') ? (JSON.parse(line) as Verdict) : null)).findLast((one) => one?.kind === 'end')
  const faults = verdict?.faults.map(({ kind, after, cause }) => (after === null ? `${kind} MISSED` : `${kind} ${(after / 1000).toFixed(1)} s by ${cause}`)) ?? []
  const rest = verdict ? [`quarantines to their end ${verdict.wholeQuarantines.length}`, `healthy quarantined ${verdict.healthyQuarantined.length}`, `false incidents ${verdict.falseIncidents}`] : []
  const isGood = code === 0 && seconds * 1000 <= LIMIT_MS
  process.stdout.write(`seed ${seed} ${isGood ? 'ok' : 'FAILED'} in ${took}: ${[...faults, ...rest].join(', ')}\n`)
  if (isGood) return true
  const why = code === 0 ? `it took ${took}, allowed are ${LIMIT_MS / 1000} s\n` : errors
  process.stdout.write(`  ${why.trimEnd()}\n  again: npm run demo -- --check --seed ${seed}\n`)
  return false
}

function seedsOf(args: readonly string[]): number[] {
  if (args[0] === '--fresh') return Array.from({ length: Number(args[1] ?? 1) }, (_, i) => (Date.now() + i) % 2 ** 31)
  return args.length > 0 ? args.map(Number) : SEEDS
}

const seeds = seedsOf(process.argv.slice(2))
let bad = 0
const waiting = [...seeds]
const worker = async () => {
  for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) if (!report(await run(seed))) bad++
}
await Promise.all(Array.from({ length: AT_ONCE }, worker))
process.stdout.write(`${seeds.length} seeds, ${bad} failures\n`)
process.exitCode = bad === 0 ? 0 : 1
