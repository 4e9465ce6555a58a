/** Adapter: a simulated device's connection over mqtt.js, as a real device of docs/device.md has one. */
import type { Link, OpenLink } from '../../fleet/running-fleet.ts'

const CONNECT_MS = 10_000
/** A device that lost its connection tries again after this, ms. */
const RECONNECT_MS = 1_000

/** The password by which a device logs in under its name. */
export type Login = (device: string) => string

/** Without `login` nobody logs in. Rejects when the first connection fails; a later loss is mended by itself. */
export function linksTo(url: string, login: Login | null = null): OpenLink {
  return async ({ client: clientId, topics, receive }): Promise<Link> => {
    const { connectAsync } = await import('mqtt')
    const loggingIn = login && { username: clientId, password: login(clientId) }
    const client = await connectAsync(url, { clientId, ...loggingIn, protocolVersion: 4, connectTimeout: CONNECT_MS, reconnectPeriod: RECONNECT_MS }, false)
    // Without a listener an error would end the process; the client connects again by itself.
    client.on('error', () => undefined)
    client.on('message', receive)
    await client.subscribeAsync([...topics], { qos: 1 })
    return {
      async publish(topic, payload) {
        await client.publishAsync(topic, payload, { qos: 1 })
      },
      end: () => client.endAsync(true),
    }
  }
}
