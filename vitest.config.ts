/** How the tests run: every `*.test.ts` under `test/`, each file in a process of its own; real brokers are started when one asks. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/parts/global-setup.ts'],
    pool: 'forks',
    // Much of it waits for a disk or a socket: one process a core, where vitest leaves one core free.
    maxWorkers: '100%',
    // Integration tests start real brokers and processes on machines that are busy with other things.
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
})
