/** What the fuzzing of ingest's parsers shares: many inputs of one seed, and one named error that may come of them. */
import fc from 'fast-check'
import { Prng } from '../../src/fleet/prng.ts'

/** Inputs drawn from one seed. */
export const INPUTS = 1_000

/** Gives `check` a generator of its own in each run, for `INPUTS` inputs; a failure names the seed that fast-check shrank to. */
export function forAll(runs: number, check: (random: Prng) => void): void {
  const frames = Error.stackTraceLimit
  // Most of the time of a refusal is its stack, which nobody reads here.
  Error.stackTraceLimit = 0
  try {
    fc.assert(
      fc.property(fc.nat(), (seed) => check(new Prng(seed))),
      { numRuns: runs },
    )
  } finally {
    Error.stackTraceLimit = frames
  }
}

/** What `run` gives; null where it threw what `isNamed` knows. */
export function readOrNamed<T>(input: unknown, isNamed: (error: unknown) => boolean, run: () => T): T | null {
  try {
    return run()
  } catch (error) {
    if (isNamed(error)) return null
    throw new Error(`${JSON.stringify(input)} threw ${String(error)}`, { cause: error })
  }
}
