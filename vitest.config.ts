/** How the tests run: every `*.test.ts` under `test/`, each file in a process of its own. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // Integration tests start real brokers and processes on machines that are busy with other things.
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
})
