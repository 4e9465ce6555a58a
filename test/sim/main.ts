/** Entry of the bundle that scripts/sim.mjs makes: simulates the seeds its parent sends, one after another, and answers with verdicts. */
import { changed, drawOptions, type SimOptions } from './options.ts'
import { simulate, type Verdict } from './simulation.ts'

export interface Task {
  readonly seed: number
  /** Parts of the options that are not as drawn. */
  readonly options?: unknown
  /** Writes every log line. */
  readonly verbose?: boolean
}

export interface Answer {
  readonly verdict: Verdict
  readonly options: SimOptions
}

// Whoever asked is gone.
process.on('disconnect', () => process.exit())
process.on('message', (task: Task) => {
  void answer(task).then((result) => process.send!(result))
})

async function answer({ seed, options = {}, verbose = false }: Task): Promise<Answer> {
  const drawn = changed(drawOptions(seed), options)
  const verdict = await simulate(drawn, verbose ? (line) => void process.stdout.write(`${line}\n`) : null)
  return { verdict, options: drawn }
}
