/** Starts the service `picket run` runs: adapters, then the app over them; and lets go of them in the other order. */
import { hostname } from 'node:os'
import { ingestLimits, notifiersOf, openAdapters } from './adapters.ts'
import { startApp } from './app.ts'
import type { PicketPorts, RunningPicket } from './cli/run.ts'
import type { Config } from './config/config.ts'

export { openKafkaReader } from './adapters.ts'

/** Null when `ports.stopping` aborted before. Rejects with what keeps it from starting; then nothing of it is left running. */
export async function startPicket(config: Config, ports: PicketPorts): Promise<RunningPicket | null> {
  // Two processes may have one address, each on its own machine's loopback: the rest tells them apart.
  const name = `${ports.advertised ?? hostname()}/${ports.random.id().slice(0, 6)}`
  const adapters = await openAdapters(config, ports, { name, waitFor: ports.waitFor, stopping: ports.stopping })
  if (!adapters) return null
  const { log } = adapters.ports
  const options = {
    roles: config.roles,
    name,
    settings: config.settings,
    settingsHash: config.settingsHash,
    policy: config.respond,
    limits: ingestLimits(config),
    checkpoint: { everyMs: config.checkpoint.intervalMs, bytes: config.checkpoint.bytes },
    waitFor: ports.waitFor,
    stopping: ports.stopping,
  }
  try {
    const app = await startApp(adapters.ports, options)
    app.failed.catch((error: unknown) => ports.fail(error))
    ports.metrics.beforeScrape(() => app.measure())
    return {
      app,
      mqtt: adapters.broker?.address() ?? null,
      reload: (next, by) =>
        app.reload({ settings: next.settings, settingsHash: next.settingsHash, policy: next.respond, notifiers: notifiersOf(next, ports) }, by),
      async stop() {
        await app.stop()
        await log.close()
      },
    }
  } catch (error) {
    await log.close()
    if (ports.stopping?.aborted) return null
    throw error
  }
}
