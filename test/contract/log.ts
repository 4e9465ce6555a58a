/** The contract of the log port as one suite, run on every adapter: `logContract('memory', makeHarness)`. The cases lie in `log/`. */
import { describe, it } from 'vitest'
import { appending } from './log/appending.ts'
import { committing } from './log/committing.ts'
import type { LogHarness } from './log/harness.ts'
import { Lab } from './log/lab.ts'
import { leading } from './log/leading.ts'
import { owning } from './log/owning.ts'
import { reading } from './log/reading.ts'

export type { LogHarness, OpenOptions } from './log/harness.ts'

export interface ContractOptions {
  /** Where cases wait for other machines and share nothing: several at a time. */
  readonly concurrent?: boolean
}

/** `makeHarness` gives a fresh, empty store each time; the suite closes it. */
export function logContract(name: string, makeHarness: () => Promise<LogHarness>, { concurrent = false }: ContractOptions = {}): void {
  const groups = { appending, reading, committing, owning, leading }
  describe(`log contract: ${name}`, () => {
    for (const [group, cases] of Object.entries(groups)) {
      describe(group, { concurrent }, () => {
        for (const one of cases) {
          it(one.it, async (context) => {
            const harness = await makeHarness()
            const lab = new Lab(harness)
            try {
              const missing = lab.missing(one.needs ?? [])
              if (missing) return context.skip(missing)
              await one.run(lab)
            } finally {
              await lab.close()
            }
          })
        }
      })
    }
  })
}
