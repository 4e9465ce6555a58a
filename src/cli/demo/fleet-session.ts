/** The fleet alone, from its first connection to its last: faults come in rounds, and are said as they begin. */
import { readFileSync } from 'node:fs'
import { errorText, PipelineError } from '../../core/errors.ts'
import { type DemoFleet, drawFleet, drawRound } from '../../fleet/demo-fleet.ts'
import { type OpenLink, RunningFleet } from '../../fleet/running-fleet.ts'
import type { Truth } from '../../fleet/truth.ts'
import { delay } from '../../ops/clock.ts'
import type { FleetOptions } from '../fleet.ts'
import { type CliIo, Failure } from '../io.ts'
import { endingOf } from './ending.ts'
import { elapsed } from './happening.ts'
import { linksTo, type Login } from './link.ts'
import { lineOf } from './screen.ts'

const LOOK_MS = 250
/** How often it says what it has sent, ms. */
const SAY_MS = 60_000
/** Pauses between attempts to connect, ms. */
const RETRY_FIRST_MS = 500
const RETRY_MOST_MS = 5_000

/** Resolves once all has ended. Throws a Failure when an error ended it, BAD_CONFIG for passwords that are not there. */
export async function runFleet(io: CliIo, options: FleetOptions, open: OpenLink | null = null): Promise<void> {
  const seed = options.seed ?? Math.floor(io.random.fraction() * 1_000_000)
  const fleet = drawFleet(seed)
  const login = options.passwords === undefined ? null : readPasswords(options.passwords, fleet)
  const ending = endingOf(io, () => undefined)
  const running = new RunningFleet(fleet, { clock: io.clock, open: patiently(open ?? linksTo(options.url, login), io, ending.signal) })
  try {
    await running.start()
    io.stdout.write(`${fleet.devices.length} devices at ${options.url}, seed ${seed}\n`)
    await rounds(io, fleet, running, ending.signal)
  } catch (error) {
    if (!ending.signal.aborted) throw error
  } finally {
    await running.stop()
  }
  if (ending.error !== null) throw new Failure(`ended by an error: ${ending.error}`)
}

/** A broker that is not there yet is waited for, until `signal` aborts; then it rejects. */
function patiently(open: OpenLink, { clock, stderr }: CliIo, signal: AbortSignal): OpenLink {
  const state = { saidAt: Number.NEGATIVE_INFINITY }
  return async (options) => {
    for (let wait = RETRY_FIRST_MS; ; wait = Math.min(2 * wait, RETRY_MOST_MS)) {
      try {
        return await open(options)
      } catch (error) {
        if (signal.aborted) throw error
        if (clock.monotonic() - state.saidAt >= RETRY_MOST_MS) {
          state.saidAt = clock.monotonic()
          stderr.write(`picket: ${options.client} can't connect, and tries again: ${errorText(error)}\n`)
        }
        await delay(clock, wait, signal)
        if (signal.aborted) throw error
      }
    }
  }
}

/** Until `signal` aborts. */
async function rounds({ clock, stdout }: CliIo, fleet: DemoFleet, running: RunningFleet, signal: AbortSignal): Promise<void> {
  let coming: readonly Truth[] = fleet.truths
  let saidAt = 0
  for (let round = 0; !signal.aborted; await delay(clock, LOOK_MS, signal)) {
    const at = running.elapsed
    for (const truth of coming.filter(({ from }) => from <= at)) stdout.write(`${lineOf({ kind: 'fault', at: truth.from, device: truth.device, truth })}\n`)
    coming = coming.filter(({ from }) => from > at)
    // A round's faults are given out when those of the one before are over.
    if (coming.length === 0 && fleet.devices.every(({ truth }) => truth === null || truth.to < at)) {
      coming = drawRound(fleet, ++round)
      for (const truth of coming) fleet.devices.find(({ member }) => member.id === truth.device)?.befall(truth)
    }
    if (at - saidAt < SAY_MS) continue
    saidAt = at
    const { sent, acked, dropped } = running.counts
    stdout.write(`${elapsed(at).padStart(7)}  ${sent} messages sent, ${acked} acknowledged, ${dropped} not sent or given up\n`)
  }
}

/** Throws BAD_CONFIG. */
function readPasswords(file: string, fleet: DemoFleet): Login {
  const bad = (what: string, cause?: unknown) => new PipelineError('BAD_CONFIG', `--passwords ${file}: ${what}`, { cause })
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw bad(errorText(error), error)
  }
  const lines = text.split('\n').filter((line) => line.includes(':'))
  const passwords = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trimEnd()]))
  const missing = fleet.devices.find(({ member }) => !passwords.has(member.id))
  if (missing) throw bad(`has no line for ${missing.member.id}; expected device:password for each of the fleet`)
  return (device) => passwords.get(device)!
}
