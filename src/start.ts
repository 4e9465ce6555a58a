/** Starts the service `picket run` runs: adapters, then the app over them; and lets go of them in the other order. */
import { hostname } from 'node:os'
import { ingestLimits, openAdapters } from './adapters.ts'
import { startApp } from './app.ts'
import type { PicketPorts, RunningPicket } from './cli/run.ts'
import type { Config } from './config/config.ts'

/** Rejects with what keeps it from starting; then nothing of it is left running. */
export async function startPicket(config: Config, ports: PicketPorts): Promise<RunningPicket> {
  const adapters = await openAdapters(config, ports)
  const { log } = adapters.ports
  const options = {
    name: `${hostname()}-${ports.random.id().slice(0, 6)}`,
    settings: config.settings,
    settingsHash: config.settingsHash,
    policy: config.respond,
    limits: ingestLimits(config),
    checkpoint: { everyMs: config.checkpoint.intervalMs, bytes: config.checkpoint.bytes },
  }
  try {
    const app = await startApp(adapters.ports, options)
    app.failed.catch((error: unknown) => ports.fail(error))
    ports.metrics.beforeScrape(() => app.measure())
    return {
      app,
      mqtt: adapters.broker.address(),
      async stop() {
        await app.stop()
        await log.close()
      },
    }
  } catch (error) {
    await log.close()
    throw error
  }
}
