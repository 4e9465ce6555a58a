/** Ports for a demonstration: those of its configuration where they are free, else whichever the system gives, so that it runs beside another Picket. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Address } from '../../config/notation.ts'
import type { DemoOptions } from '../demo.ts'
import { bracketed, readConfig } from '../options.ts'

/** `--set` arguments for `listen.mqtt` and `listen.http`: none where the configured port will do. A check never takes a port that somebody may look for. */
export async function freePorts(options: DemoOptions): Promise<readonly [mqtt: readonly string[], http: readonly string[]]> {
  const { listen } = readConfig(options)
  const choose = async (door: 'mqtt' | 'http', { host, port }: Address) => {
    // Who names a port wants that one or none.
    if (port === 0 || options.set.some((one) => one.startsWith(`listen.${door}=`))) return []
    return options.check || (await isTaken({ host, port })) ? [`listen.${door}=${host.includes(':') ? `"${bracketed(host)}:0"` : `${host}:0`}`] : []
  }
  return [await choose('mqtt', listen.mqtt), await choose('http', listen.http)]
}

async function isTaken({ host, port }: Address): Promise<boolean> {
  const server = createServer()
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
    return false
  } catch (error) {
    // Whatever else keeps it from listening is Picket's to say.
    return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
  } finally {
    server.close()
  }
}
