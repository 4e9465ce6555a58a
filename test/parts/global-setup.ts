/** Beside every run of the tests: a coordinator that starts the real parts which test files ask for, and ends them. */
import type { TestProject } from 'vitest/node'
import { Coordinator } from './coordinator.ts'

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const coordinator = new Coordinator()
  provide('parts', await coordinator.listen())
  return async () => {
    await coordinator.close()
    for (const line of coordinator.closingLines()) process.stdout.write(`${line}\n`)
  }
}
